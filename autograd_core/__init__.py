"""autograd-core: a PyTorch-style deep-learning library in pure Python on NumPy, CuPy and Numba."""

from importlib import import_module
from math import e as e
from math import inf as inf
from math import nan as nan
from math import pi as pi
from typing import TYPE_CHECKING, Any

from autograd_core._layout import install_finder

__version__ = "0.1.0"

install_finder()

from autograd_core import autograd as autograd
from autograd_core import devices as devices
from autograd_core.autograd import Function as Function
from autograd_core.devices import device as device
from autograd_core.devices import get_default_device as get_default_device
from autograd_core.devices import register_backend as register_backend
from autograd_core.devices import set_default_device as set_default_device
from autograd_core.dtypes import bool_ as bool_
from autograd_core.dtypes import dtype as dtype
from autograd_core.dtypes import finfo as finfo
from autograd_core.dtypes import float16 as float16
from autograd_core.dtypes import float32 as float32
from autograd_core.dtypes import float64 as float64
from autograd_core.dtypes import get_default_dtype as get_default_dtype
from autograd_core.dtypes import iinfo as iinfo
from autograd_core.dtypes import int8 as int8
from autograd_core.dtypes import int16 as int16
from autograd_core.dtypes import int32 as int32
from autograd_core.dtypes import int64 as int64
from autograd_core.dtypes import promote_types as promote_types
from autograd_core.dtypes import set_default_dtype as set_default_dtype
from autograd_core.dtypes import uint8 as uint8
from autograd_core.interop import as_tensor as as_tensor
from autograd_core.interop import asarray as asarray
from autograd_core.interop import from_dlpack as from_dlpack
from autograd_core.interop import from_numpy as from_numpy
from autograd_core.interop import frombuffer as frombuffer
from autograd_core.interop import set_printoptions as set_printoptions
from autograd_core.interop import tensor as tensor
from autograd_core.modes import enable_grad as enable_grad
from autograd_core.modes import inference_mode as inference_mode
from autograd_core.modes import is_grad_enabled as is_grad_enabled
from autograd_core.modes import is_inference_mode_enabled as is_inference_mode_enabled
from autograd_core.modes import no_grad as no_grad
from autograd_core.modes import set_grad_enabled as set_grad_enabled
from autograd_core.operands import result_type as result_type
from autograd_core.ops import EXPORTED
from autograd_core.random import Generator as Generator
from autograd_core.random import get_rng_state as get_rng_state
from autograd_core.random import initial_seed as initial_seed
from autograd_core.random import manual_seed as manual_seed
from autograd_core.random import seed as seed
from autograd_core.random import set_rng_state as set_rng_state
from autograd_core.switches import are_deterministic_algorithms_enabled as are_deterministic_algorithms_enabled
from autograd_core.switches import get_float32_matmul_precision as get_float32_matmul_precision
from autograd_core.switches import get_num_threads as get_num_threads
from autograd_core.switches import (
    is_deterministic_algorithms_warn_only_enabled as is_deterministic_algorithms_warn_only_enabled,
)
from autograd_core.switches import set_float32_matmul_precision as set_float32_matmul_precision
from autograd_core.switches import set_num_threads as set_num_threads
from autograd_core.switches import use_deterministic_algorithms as use_deterministic_algorithms
from autograd_core.tensor import Size as Size
from autograd_core.tensor import Tensor as Tensor

globals().update(EXPORTED)

# PyTorch's other names for the same things. Our own modules never `import *` from here.
float, double, half = float32, float64, float16
long, int, short = int64, int32, int16
bool = bool_
newaxis = None

# Loaded at first use (PEP 562), so that `import autograd_core` stays cheap.
_LAZY_MODULES = (
    "accelerator", "amp", "backends", "benchmarks", "compiler", "cuda", "distributions", "examples", "func", "insight",
    "nn", "optim", "profiler", "random", "serialization", "signal", "special", "utils",
)  # fmt: skip
_NOT_YET = ("bfloat16", "distributed", "fft", "stft")
_NEVER = ("complex64", "complex128", "jit", "nested", "onnx", "quantize_per_tensor", "sparse", "sparse_coo_tensor")
_LAZY_NAMES = {
    "DeviceDisagreementError": "checked_device", "OutOfMemoryError": "cuda", "autocast": "amp",
    "check_devices": "checked_device", "compile": "compiler", "load": "serialization", "save": "serialization",
} | dict.fromkeys(
    (
        "autocast_decrement_nesting", "autocast_increment_nesting", "clear_autocast_cache", "get_autocast_dtype",
        "is_autocast_cache_enabled", "is_autocast_enabled", "set_autocast_cache_enabled", "set_autocast_dtype",
        "set_autocast_enabled",
    ),
    "amp.state",
) | dict.fromkeys(
    (
        "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor",
        "LongTensor", "ShortTensor",
    ),
    "tensor_types",
)  # fmt: skip

if TYPE_CHECKING:
    from autograd_core import amp as amp
    from autograd_core import backends as backends
    from autograd_core import benchmarks as benchmarks
    from autograd_core import compiler as compiler
    from autograd_core import distributions as distributions
    from autograd_core import func as func
    from autograd_core import insight as insight
    from autograd_core import nn as nn
    from autograd_core import optim as optim
    from autograd_core import profiler as profiler
    from autograd_core import signal as signal
    from autograd_core import special as special
    from autograd_core import utils as utils
    from autograd_core.amp import autocast as autocast
    from autograd_core.amp.state import autocast_decrement_nesting as autocast_decrement_nesting
    from autograd_core.amp.state import autocast_increment_nesting as autocast_increment_nesting
    from autograd_core.amp.state import clear_autocast_cache as clear_autocast_cache
    from autograd_core.amp.state import get_autocast_dtype as get_autocast_dtype
    from autograd_core.amp.state import is_autocast_cache_enabled as is_autocast_cache_enabled
    from autograd_core.amp.state import is_autocast_enabled as is_autocast_enabled
    from autograd_core.amp.state import set_autocast_cache_enabled as set_autocast_cache_enabled
    from autograd_core.amp.state import set_autocast_dtype as set_autocast_dtype
    from autograd_core.amp.state import set_autocast_enabled as set_autocast_enabled
    from autograd_core.backends.cuda.memory import OutOfMemoryError as OutOfMemoryError
    from autograd_core.checked_device import DeviceDisagreementError as DeviceDisagreementError
    from autograd_core.checked_device import check_devices as check_devices
    from autograd_core.compiler import compile as compile
    from autograd_core.serialization import load as load
    from autograd_core.serialization import save as save


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return import_module(f"autograd_core.{name}")
    if name in _LAZY_NAMES:
        return getattr(import_module(f"autograd_core.{_LAZY_NAMES[name]}"), name)
    if TYPE_CHECKING:
        return Any
    absent = "not there yet" if name in _NOT_YET else "never to come" if name in _NEVER else ""
    hint = f"; it is {absent}, see docs/differences-from-pytorch.md" if absent else ""
    raise AttributeError(f"module 'autograd_core' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_MODULES, *_LAZY_NAMES})
