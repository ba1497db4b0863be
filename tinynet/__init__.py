"""tinynet: a neural-network framework small enough to read in an evening and fast enough to prefer."""

from importlib import import_module as _import_module
from pathlib import Path as _Path

from .version import __version__

_root = _Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file():
    # In a checkout `cli` and `weights` lie beside this package; installed, they are inside it.
    __path__.append(str(_root))

# Public names by module, imported on first use: `tinynet --help` must not wait for NumPy.
_HOMES = {
    "data.augment": ("Augment",),
    "errors": ("TinynetError",),
    "kernels": ("set_device", "set_threads"),
    "layers": (
        *("Activation", "AvgPool1D", "AvgPool2D", "BatchNorm", "Bidirectional", "Conv1D", "Conv2D", "Dense"),
        *("Dropout", "Embedding", "Flatten", "GRU", "GlobalAveragePool2D", "GlobalMaxPool2D", "LSTM"),
        *("Masking", "MaxPool1D", "MaxPool2D", "RNN", "RepeatVector", "Reshape", "TimeDistributed"),
    ),
    "model": ("Sequential",),
    "storage": ("load",),
    "training": (
        *(
            "Adam",
            "AdamW",
            "Callback",
            "CosineDecay",
            "EarlyStopping",
            "History",
            "Huber",
            "OneCycle",
            "RMSprop",
        ),
        *("ReduceOnPlateau", "SGD", "StepDecay", "WarmUp"),
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'tinynet' has no attribute {name!r}")
    value = getattr(_import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
