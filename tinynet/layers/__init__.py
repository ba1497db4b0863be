"""Layers: each is its equation, its parameters, forward and backward, side by side."""

from .activation import Activation
from .base import Layer, Run
from .conv import Conv1D, Conv2D
from .dense import Dense
from .pooling import AvgPool1D, AvgPool2D, GlobalAveragePool2D, GlobalMaxPool2D, MaxPool1D, MaxPool2D
from .regularisation import BatchNorm, Dropout
from .shape import Flatten, Reshape

LAYERS = {
    layer.__name__: layer
    for layer in (
        Activation,
        AvgPool1D,
        AvgPool2D,
        BatchNorm,
        Conv1D,
        Conv2D,
        Dense,
        Dropout,
        Flatten,
        GlobalAveragePool2D,
        GlobalMaxPool2D,
        MaxPool1D,
        MaxPool2D,
        Reshape,
    )
}
"""Every layer by the name that model files use."""

__all__ = ["LAYERS", "Layer", "Run", *LAYERS]
