"""Layers: each is its equation, its parameters, forward and backward, side by side."""

from .activation import Activation
from .base import Layer, Run
from .conv import Conv1D, Conv2D
from .dense import Dense
from .embedding import Embedding
from .pooling import AvgPool1D, AvgPool2D, GlobalAveragePool2D, GlobalMaxPool2D, MaxPool1D, MaxPool2D
from .recurrent import GRU, LSTM, RNN
from .regularisation import BatchNorm, Dropout
from .sequence import Masking, RepeatVector
from .shape import Flatten, Reshape
from .wrappers import Bidirectional, TimeDistributed

LAYERS = {
    layer.__name__: layer
    for layer in (
        Activation,
        AvgPool1D,
        AvgPool2D,
        BatchNorm,
        Bidirectional,
        Conv1D,
        Conv2D,
        Dense,
        Dropout,
        Embedding,
        Flatten,
        GRU,
        GlobalAveragePool2D,
        GlobalMaxPool2D,
        LSTM,
        Masking,
        MaxPool1D,
        MaxPool2D,
        RNN,
        RepeatVector,
        Reshape,
        TimeDistributed,
    )
}
"""Every layer by the name that model files use."""

__all__ = ["LAYERS", "Layer", "Run", *LAYERS]
