"""Signal processing: window functions, as in `torch.signal`."""

from autograd_core.signal import windows as windows
