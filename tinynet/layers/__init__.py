"""Layers: each has its equation, parameters, forward and backward side by side."""

from typing import Any

from ..checks import check_flag
from ..errors import TinynetError
from ..settings import sealed
from .activation import Activation
from .attention import MultiHeadAttention, PositionEmbedding
from .base import Context, Layer
from .containers import Chain, Parallel, Residual
from .conv import Conv1D, Conv2D
from .dense import Dense
from .depthwise import DepthwiseConv2D, SeparableConv2D
from .embedding import Embedding, EmbeddingBag
from .mirrored import Mirrored
from .normalisation import BatchNorm, LayerNorm
from .pooling import (
    AvgPool1D,
    AvgPool2D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
)
from .recurrent import GRU, LSTM, RNN
from .regularisation import Dropout
from .sequence import Cropping1D, Masking, RepeatVector
from .shape import Flatten, Reshape
from .wrappers import Bidirectional, TimeDistributed

LAYERS = {
    layer.type_name(): sealed(layer)
    for layer in (
        Activation,
        AvgPool1D,
        AvgPool2D,
        BatchNorm,
        Bidirectional,
        Chain,
        Conv1D,
        Conv2D,
        Cropping1D,
        Dense,
        DepthwiseConv2D,
        Dropout,
        Embedding,
        EmbeddingBag,
        Flatten,
        GRU,
        GlobalAveragePool1D,
        GlobalAveragePool2D,
        GlobalMaxPool1D,
        GlobalMaxPool2D,
        LSTM,
        LayerNorm,
        Masking,
        MaxPool1D,
        MaxPool2D,
        Mirrored,
        MultiHeadAttention,
        Parallel,
        PositionEmbedding,
        RNN,
        RepeatVector,
        Reshape,
        Residual,
        SeparableConv2D,
        TimeDistributed,
    )
}
"""Every layer, by its name in model files."""

BatchNormalization, LayerNormalization, SimpleRNN = BatchNorm, LayerNorm, RNN
Convolution1D, Convolution2D = Conv1D, Conv2D
DepthwiseConvolution2D, SeparableConvolution2D = DepthwiseConv2D, SeparableConv2D
MaxPooling1D, MaxPooling2D, AveragePooling1D, AveragePooling2D = MaxPool1D, MaxPool2D, AvgPool1D, AvgPool2D
GlobalAveragePooling1D, GlobalMaxPooling1D = GlobalAveragePool1D, GlobalMaxPool1D
GlobalAveragePooling2D, GlobalMaxPooling2D = GlobalAveragePool2D, GlobalMaxPool2D
# Keras's longer names of the same layers; files use the short ones.


def make(config: Any) -> Layer:
    """A layer, with the layers inside it, from the type and settings in `Layer.config`; raises TinynetError."""
    settings = dict(config) if isinstance(config, dict) else {}
    kind, trainable = settings.pop("type", None), settings.pop("trainable", True)
    if not isinstance(kind, str) or kind not in LAYERS:
        raise TinynetError(f"the layer type {kind!r} is unknown to this version of tinynet")
    if "layer" in settings:
        settings["layer"] = make(settings["layer"])
    if isinstance(settings.get("layers"), list):
        settings["layers"] = [make(inner) for inner in settings["layers"]]
    try:
        layer = LAYERS[kind](**settings)
    except TypeError as error:
        raise TinynetError(f"the layer {kind} has a setting that does not fit: {error}") from error
    if trainable is not True:
        layer.trainable = check_flag(kind, "trainable", trainable)
    return layer


__all__ = ["LAYERS", "Layer", "Context", "make", *(layer.__name__ for layer in LAYERS.values())]
