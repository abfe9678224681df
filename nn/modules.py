"""PyTorch's places of the modules: `from autograd_core.nn.modules.linear import Linear`.

The modules themselves lie in the files beside this one; here are only the names by which programs may import them.
"""

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from types import ModuleType
from typing import Any

import autograd_core.nn as nn

_PLACES = {
    "activation": (
        "Threshold ReLU RReLU Hardtanh ReLU6 Sigmoid Hardsigmoid Tanh SiLU Mish Hardswish ELU CELU SELU GLU GELU "
        "Hardshrink LeakyReLU LogSigmoid Softplus Softshrink MultiheadAttention PReLU Softsign Tanhshrink Softmin "
        "Softmax Softmax2d LogSoftmax"
    ),
    "batchnorm": "BatchNorm1d LazyBatchNorm1d BatchNorm2d LazyBatchNorm2d BatchNorm3d LazyBatchNorm3d",
    "channelshuffle": "ChannelShuffle",
    "container": "Sequential ModuleList ModuleDict ParameterList ParameterDict",
    "conv": (
        "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d LazyConv2d LazyConv3d "
        "LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d"
    ),
    "distance": "PairwiseDistance CosineSimilarity",
    "dropout": "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout",
    "flatten": "Flatten Unflatten",
    "fold": "Fold Unfold",
    "instancenorm": (
        "InstanceNorm1d LazyInstanceNorm1d InstanceNorm2d LazyInstanceNorm2d InstanceNorm3d LazyInstanceNorm3d"
    ),
    "linear": "Identity Linear Bilinear LazyLinear",
    "loss": (
        "L1Loss NLLLoss PoissonNLLLoss GaussianNLLLoss KLDivLoss MSELoss BCELoss BCEWithLogitsLoss "
        "HingeEmbeddingLoss MultiLabelMarginLoss SmoothL1Loss HuberLoss SoftMarginLoss CrossEntropyLoss "
        "MultiLabelSoftMarginLoss CosineEmbeddingLoss MarginRankingLoss MultiMarginLoss TripletMarginLoss "
        "TripletMarginWithDistanceLoss CTCLoss"
    ),
    "module": "Module",
    "normalization": "LocalResponseNorm LayerNorm GroupNorm RMSNorm",
    "padding": (
        "CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d "
        "ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d "
        "ZeroPad3d"
    ),
    "pixelshuffle": "PixelShuffle PixelUnshuffle",
    "pooling": (
        "MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d AvgPool1d AvgPool2d AvgPool3d "
        "FractionalMaxPool2d FractionalMaxPool3d LPPool1d LPPool2d LPPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d "
        "AdaptiveMaxPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d"
    ),
    "rnn": "RNNBase RNN LSTM GRU RNNCellBase RNNCell LSTMCell GRUCell",
    "sparse": "Embedding EmbeddingBag",
    "transformer": "Transformer TransformerEncoder TransformerDecoder TransformerEncoderLayer TransformerDecoderLayer",
    "upsampling": "Upsample UpsamplingNearest2d UpsamplingBilinear2d",
}


# What programs import although it is not public: the bases of their own classes.
_BASES = {
    "batchnorm": {"_NormBase": "normalization:_BatchNorm"},
    "conv": {"_ConvNd": "convolution:_Conv"},
    "loss": {"_Loss": "loss:_Loss", "_WeightedLoss": "loss:_WeightedLoss"},
}


def _finder(place: str, names: list[str]) -> Callable[[str], Any]:
    def find(name: str) -> Any:
        if name in names:
            return getattr(nn, name)
        if name in _BASES.get(place, {}):
            file, _, base = _BASES[place][name].partition(":")
            return getattr(import_module(f"autograd_core.nn.{file}"), base)
        if (place, name) == ("batchnorm", "_BatchNorm"):  # For isinstance; the base here is also that of InstanceNorm.
            return nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d
        raise AttributeError(f"module 'autograd_core.nn.modules.{place}' has no attribute {name!r}")

    return find


def _ntuple(n: int) -> Callable[[Any], tuple[Any, ...]]:
    """A function that makes `n` times the same of a number, and a tuple of an iterable."""

    def repeat(x: Any) -> tuple[Any, ...]:
        return tuple(x) if isinstance(x, Iterable) else (x,) * n

    return repeat


for _place, _names in _PLACES.items():
    _module = ModuleType(f"{__name__}.{_place}", f"PyTorch's place of {_names.replace(' ', ', ')}.")
    _module.__all__ = _names.split()  # type: ignore[attr-defined]
    _module.__getattr__ = _finder(_place, _names.split())  # type: ignore[method-assign]
    sys.modules[_module.__name__] = globals()[_place] = _module
_module = ModuleType(f"{__name__}.utils", "PyTorch's place of the functions that repeat a number.")
for _n, _name in enumerate(("_single", "_pair", "_triple", "_quadruple"), 1):
    setattr(_module, _name, _ntuple(_n))
_module._ntuple = _ntuple  # type: ignore[attr-defined]
sys.modules[_module.__name__] = globals()["utils"] = _module


def __getattr__(name: str) -> Any:
    if any(name in names.split() for names in _PLACES.values()):
        return getattr(nn, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
