"""Layers: each is its equation, its parameters, forward and backward, side by side."""

from ..settings import sealed
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
    layer.__name__: sealed(layer)
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

BatchNormalization, SimpleRNN = BatchNorm, RNN
Convolution1D, Convolution2D = Conv1D, Conv2D
MaxPooling1D, MaxPooling2D, AveragePooling1D, AveragePooling2D = MaxPool1D, MaxPool2D, AvgPool1D, AvgPool2D
GlobalAveragePooling2D, GlobalMaxPooling2D = GlobalAveragePool2D, GlobalMaxPool2D
# Keras's longer names of the same layers; files hold ours.

__all__ = ["LAYERS", "Layer", "Run", *LAYERS]
