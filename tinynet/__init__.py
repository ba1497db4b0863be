"""tinynet: a neural-network framework written to be read, and fast enough for daily work."""

import sys as _sys

if _sys.version_info < (3, 10):
    raise ImportError(f"tinynet needs Python 3.10 or newer, but this is Python {_sys.version.split()[0]}")

from importlib import import_module as _import_module
from pathlib import Path as _Path
from typing import TYPE_CHECKING

from .version import __version__

_root = _Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file():
    # In a checkout `cli` and `weights` lie beside this package; installed, they are inside it.
    __path__.append(str(_root))

if (
    TYPE_CHECKING
):  # Nothing is imported before it is used, but editors and packagers such as PyInstaller must see the names.
    from . import (
        cli,
        data,
        errors,
        kernels,
        layers,
        network,
        recipes,
        sequential,
        storage,
        tasks,
        training,
        weights,
    )
    from .data.captions.augment import WordAugment
    from .data.pictures.augment import Augment
    from .data.sounds.augment import SoundAugment
    from .data.video.augment import ClipAugment
    from .errors import TinynetError
    from .kernels import cpu, reference
    from .kernels.device import set_device, set_threads
    from .layers import (
        GRU,
        LSTM,
        RNN,
        Activation,
        AveragePooling1D,
        AveragePooling2D,
        AvgPool1D,
        AvgPool2D,
        BatchNorm,
        BatchNormalization,
        Bidirectional,
        Conv1D,
        Conv2D,
        Convolution1D,
        Convolution2D,
        Cropping1D,
        Dense,
        DepthwiseConv2D,
        DepthwiseConvolution2D,
        Dropout,
        Embedding,
        EmbeddingBag,
        Flatten,
        GlobalAveragePool1D,
        GlobalAveragePool2D,
        GlobalAveragePooling1D,
        GlobalAveragePooling2D,
        GlobalMaxPool1D,
        GlobalMaxPool2D,
        GlobalMaxPooling1D,
        GlobalMaxPooling2D,
        LayerNorm,
        LayerNormalization,
        Masking,
        MaxPool1D,
        MaxPool2D,
        MaxPooling1D,
        MaxPooling2D,
        Mirrored,
        MultiHeadAttention,
        Parallel,
        PositionEmbedding,
        RepeatVector,
        Reshape,
        Residual,
        SeparableConv2D,
        SeparableConvolution2D,
        SimpleRNN,
        TimeDistributed,
    )
    from .sequential import Ensemble, Sequential, load
    from .training import (
        SGD,
        Adam,
        AdamW,
        Callback,
        CosineDecay,
        EarlyStopping,
        History,
        Huber,
        OneCycle,
        ReduceOnPlateau,
        RMSprop,
        StepDecay,
        WarmUp,
    )

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "Augment",
    "AveragePooling1D",
    "AveragePooling2D",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNorm",
    "BatchNormalization",
    "Bidirectional",
    "Callback",
    "ClipAugment",
    "Conv1D",
    "Conv2D",
    "Convolution1D",
    "Convolution2D",
    "CosineDecay",
    "Cropping1D",
    "Dense",
    "DepthwiseConv2D",
    "DepthwiseConvolution2D",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "EmbeddingBag",
    "Ensemble",
    "Flatten",
    "GlobalAveragePool1D",
    "GlobalAveragePool2D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "History",
    "Huber",
    "LayerNorm",
    "LayerNormalization",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPooling1D",
    "MaxPooling2D",
    "Mirrored",
    "MultiHeadAttention",
    "OneCycle",
    "Parallel",
    "PositionEmbedding",
    "RMSprop",
    "ReduceOnPlateau",
    "RepeatVector",
    "Reshape",
    "Residual",
    "SeparableConv2D",
    "SeparableConvolution2D",
    "Sequential",
    "SimpleRNN",
    "SoundAugment",
    "StepDecay",
    "TimeDistributed",
    "TinynetError",
    "WarmUp",
    "WordAugment",
    "__version__",
    "load",
    "set_device",
    "set_threads",
]
_MODULES = (
    "data", "errors", "kernels", "layers", "network", "recipes", "sequential", "storage", "tasks", "training",
)  # fmt: skip
_HOMES = (
    "errors", "kernels.device", "layers", "sequential", "data.pictures.augment", "data.sounds.augment", "data.video.augment",
    "data.captions.augment", "training",
)  # fmt: skip
"""Modules that hold the names of `__all__`, the cheapest to import first."""


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return _import_module(f".{name}", __name__)
    if name in __all__:
        for home in _HOMES:
            found = getattr(_import_module(f".{home}", __name__), name, None)
            if found is not None:
                globals()[name] = found
                return found
    close = "" if name.startswith("_") else _import_module(".errors", __name__).did_you_mean(name, __all__)
    raise AttributeError(f"module 'tinynet' has no attribute {name!r}{'; ' * bool(close)}{close}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name.startswith("__"))})
