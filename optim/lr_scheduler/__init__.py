"""Learning-rate schedulers: call `scheduler.step()` once an epoch (or batch), after `optimizer.step()`.

Most compute the next rate from the present one (the chainable form), so that several may drive one optimiser.
"""

from autograd_core.optim.lr_scheduler.base import LRScheduler as LRScheduler
from autograd_core.optim.lr_scheduler.composite import ChainedScheduler as ChainedScheduler
from autograd_core.optim.lr_scheduler.composite import SequentialLR as SequentialLR
from autograd_core.optim.lr_scheduler.cosine import CosineAnnealingLR as CosineAnnealingLR
from autograd_core.optim.lr_scheduler.cosine import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
from autograd_core.optim.lr_scheduler.cyclic import CyclicLR as CyclicLR
from autograd_core.optim.lr_scheduler.cyclic import OneCycleLR as OneCycleLR
from autograd_core.optim.lr_scheduler.decay import ConstantLR as ConstantLR
from autograd_core.optim.lr_scheduler.decay import ExponentialLR as ExponentialLR
from autograd_core.optim.lr_scheduler.decay import LambdaLR as LambdaLR
from autograd_core.optim.lr_scheduler.decay import LinearLR as LinearLR
from autograd_core.optim.lr_scheduler.decay import MultiplicativeLR as MultiplicativeLR
from autograd_core.optim.lr_scheduler.decay import MultiStepLR as MultiStepLR
from autograd_core.optim.lr_scheduler.decay import PolynomialLR as PolynomialLR
from autograd_core.optim.lr_scheduler.decay import StepLR as StepLR
from autograd_core.optim.lr_scheduler.plateau import ReduceLROnPlateau as ReduceLROnPlateau
