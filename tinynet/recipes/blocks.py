"""Networks for pictures out of the blocks of the literature: each function returns the layers of a classifier.

All begin with a convolution and end with a softmax, most of them over the mean of the last map. Between them lie stages of blocks: from
one stage to the next the map is halved and its channels are doubled, so that every stage takes about the same time. A convolution is
followed by batch normalisation, which makes its bias superfluous, and a ReLU.
"""

from __future__ import annotations

from ..errors import Setting, TinynetError
from ..layers import (
    Activation,
    BatchNorm,
    Chain,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    MaxPool2D,
    Parallel,
    Residual,
)

SMALLEST_MAP = 7
"""Side of the map below which no further stage is added."""
LEAST_CHANNELS = 5
"""Of an Inception module."""
MOMENTUM = 0.9
"""Of batch normalisation's moving averages: a training of a few hundred steps must be able to fill them."""


def vgg(
    input_shape: tuple[int, int, int],
    classes: int,
    width: int = 24,
    blocks_per_stage: int = 2,
    stages: int | None = None,
    dropout: float = 0.0,
    strides: int = 1,
) -> list[Layer]:
    """A small VGG network: 3×3 convolutions one upon the other (Simonyan & Zisserman, "Very deep convolutional networks", 2014).

    The first stage has `width` channels, every other twice as many; a max-pooling leads to the next. A block is one convolution. The
    classifier sees where on the last map something is, not only the mean.
    """
    layers: list[Layer] = []
    for stage in range(stages or count_stages(input_shape)):
        layers += [MaxPool2D(2)] if stage else []
        for _ in range(blocks_per_stage):
            layers += convolution(width << stage, 3, 1 if layers else strides)
    layers += [Flatten(), *([Dropout(dropout)] if dropout else [])]
    return [*layers, Dense(classes, activation="softmax")]


def residual(
    input_shape: tuple[int, int, int],
    classes: int,
    width: int = 16,
    blocks_per_stage: int = 2,
    stages: int | None = None,
    dropout: float = 0.0,
    strides: int = 1,
    pooled: bool = False,
) -> list[Layer]:
    """A small residual network (He et al., "Deep residual learning for image recognition", 2015, section 4.2).

    The first stage has `width` channels, every other twice as many as the one before. `stages` None: until the map is small.
    The first convolution has these `strides`. pooled: the first stage is a max-pooling and no more, as in the paper's networks for
    large pictures (section 3.3).
    """
    layers = convolution(width, 3, strides) + ([MaxPool2D(2)] if pooled else [])
    for stage in range(int(pooled), stages or count_stages(input_shape)):
        for block in range(blocks_per_stage):
            layers += residual_block(width << stage, strides=2 if stage > pooled and not block else 1)
    return layers + classifier(classes, dropout)


def residual_block(filters: int, strides: int = 1) -> list[Layer]:
    """y = relu(x + f(x)), f two 3×3 convolutions: the block learns what to add to its input (He et al. 2015, figure 2)."""
    second = Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")
    return [
        Residual([*convolution(filters, 3, strides), second, BatchNorm(MOMENTUM)]),
        Activation("relu"),
    ]


def inception(
    input_shape: tuple[int, int, int],
    classes: int,
    width: int = 32,
    blocks_per_stage: int = 2,
    stages: int | None = None,
    dropout: float = 0.0,
    strides: int = 1,
) -> list[Layer]:
    """A small Inception network (Szegedy et al., "Going deeper with convolutions", 2014), with batch normalisation (Ioffe & Szegedy 2015).

    The modules of the first stage have `width` channels; a max-pooling leads to the next.
    """
    layers = convolution(width, 3, strides)
    for stage in range(stages or count_stages(input_shape)):
        if stage:
            layers.append(MaxPool2D(3, 2, "same"))
        for _ in range(blocks_per_stage):
            layers.append(inception_module(width << stage))
    return layers + classifier(classes, dropout)


def inception_module(filters: int) -> Layer:
    """1×1, 3×3 and 5×5 convolutions and a pooling side by side, so that the next layer sees every size (Szegedy et al. 2014, figure 2b).

    1×1 convolutions before the larger ones reduce the channels. Their shares are those of the paper's module 3a:
    64, 96 → 128, 16 → 32 and 32 of 256. Raises TinynetError for too few channels to divide.
    """
    if filters < LEAST_CHANNELS:
        raise TinynetError(
            f"an Inception module divides at least {LEAST_CHANNELS} channels, not {filters}; give a larger ",
            Setting("width"),
        )

    def share(parts: int) -> int:
        return max(filters * parts // 16, 1)

    one_by_one = convolution(filters - share(8) - 2 * share(2), 1)
    three_by_three = convolution(share(6), 1) + convolution(share(8), 3)
    five_by_five = convolution(share(1), 1) + convolution(share(2), 5)
    pooled = [MaxPool2D(3, 1, "same"), *convolution(share(2), 1)]
    return Parallel([Chain(branch) for branch in (one_by_one, three_by_three, five_by_five, pooled)])


def mobile(
    input_shape: tuple[int, int, int],
    classes: int,
    width: int = 16,
    blocks_per_stage: int = 2,
    stages: int | None = None,
    dropout: float = 0.0,
    strides: int = 1,
    expansion: int = 4,
) -> list[Layer]:
    """A small MobileNet: few weights and few operations (Howard et al., "MobileNets", 2017; Sandler et al., "MobileNetV2", 2018).

    The first stage has `width` channels, every other twice as many; inside a block there are `expansion` times as many.
    """
    layers, channels = convolution(width, 3, strides), width
    for stage in range(stages or count_stages(input_shape)):
        for block in range(blocks_per_stage):
            step = 2 if stage and not block else 1
            layers += inverted_residual(channels, width << stage, step, expansion)
            channels = width << stage
    return layers + convolution(expansion * channels, 1) + classifier(classes, dropout)


def inverted_residual(channels: int, filters: int, strides: int, expansion: int) -> list[Layer]:
    """Few channels, many, few: 1×1 convolutions mix channels, between them a depthwise one the pixels (Sandler et al. 2018, figure 4b).

    The last is linear, since a ReLU of few channels would lose too much. x is added where the shape stays.
    """
    block = [
        *convolution(expansion * channels, 1),
        DepthwiseConv2D(3, strides, "same", use_bias=False),
        BatchNorm(MOMENTUM),
        Activation("relu"),
        Conv2D(filters, 1, use_bias=False, kernel_initializer="he_normal"),
        BatchNorm(MOMENTUM),
    ]
    return [Residual(block)] if strides == 1 and channels == filters else block


def convolution(filters: int, size: int, strides: int = 1) -> list[Layer]:
    """Convolution, batch normalisation, ReLU."""
    return [
        Conv2D(filters, size, strides, "same", use_bias=False, kernel_initializer="he_normal"),
        BatchNorm(MOMENTUM),
        Activation("relu"),
    ]


def classifier(classes: int, dropout: float = 0.0) -> list[Layer]:
    """The mean of each channel, and from them the probabilities (Lin et al., "Network in network", 2014)."""
    layers: list[Layer] = [GlobalAveragePool2D()]
    if dropout:
        layers.append(Dropout(dropout))
    return [*layers, Dense(classes, activation="softmax")]


NETWORKS = {"vgg": vgg, "resnet": residual, "inception": inception, "mobilenet": mobile}
"""By the name of the architecture."""


def count_stages(input_shape: tuple[int, int, int]) -> int:
    """How often the map can be halved, and once more."""
    side, stages = min(input_shape[:2]), 1
    while side // 2 >= SMALLEST_MAP:
        side, stages = side // 2, stages + 1
    return stages
