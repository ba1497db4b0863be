"""The table behind `arch`: which networks fit which kind of data, and why. `auto` is the first that fits."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import Setting, TinynetError, did_you_mean, one_of


class Architecture(NamedTuple):
    """A kind of network. title: its name in sentences; options: settings that only such networks have."""

    title: str
    options: frozenset[str] = frozenset()


class Rule(NamedTuple):
    """The architectures that fit one kind of data, the best first; reason: why these."""

    architectures: tuple[str, ...]
    reason: str


RECURRENT_OPTIONS = frozenset({"units", "width"})
DEEP_OPTIONS = frozenset({"width", "depth"})
ARCHITECTURES = {
    "cnn": Architecture("a CNN", DEEP_OPTIONS),
    "lstm": Architecture("an LSTM", RECURRENT_OPTIONS),
    "gru": Architecture("a GRU", RECURRENT_OPTIONS),
    "rnn": Architecture("an RNN", RECURRENT_OPTIONS),
    "transformer": Architecture("a transformer", RECURRENT_OPTIONS | DEEP_OPTIONS),
    "mlp": Architecture("a plain network", DEEP_OPTIONS),
    "cnn-gru": Architecture("a CNN, then a GRU", RECURRENT_OPTIONS),
    "cnn-lstm": Architecture("a CNN, then an LSTM", RECURRENT_OPTIONS),
    "vgg": Architecture("a VGG network", DEEP_OPTIONS),
    "resnet": Architecture("a residual network", DEEP_OPTIONS),
    "inception": Architecture("an Inception network", DEEP_OPTIONS),
    "mobilenet": Architecture("a MobileNet", DEEP_OPTIONS),
    "nano": Architecture("a CNN of fewer than 1,000 parameters"),
}
RULES = {
    "text": Rule(
        ("gru", "lstm", "cnn-gru", "cnn-lstm"),
        "what a word means depends on those before and after it, near and far: a recurrent network carries that along, in long texts "
        "behind a CNN that takes neighbours together",
    ),
    "grid": Rule(
        ("resnet", "cnn", "vgg", "inception", "mobilenet"),
        "pictures are grids: neighbouring pixels belong together, wherever they are, which is what a CNN assumes, be it residual or plain",
    ),
    "small grid": Rule(
        ("cnn", "vgg", "resnet", "inception", "mobilenet", "nano", "lstm", "gru", "rnn"),
        "pictures are grids, which a CNN reads best; small ones can also be read row by row",
    ),
    "rows": Rule(
        ("mlp",),
        "columns of a table have no order and no neighbours, so there is nothing to convolve or to carry along",
    ),
    "sound": Rule(
        ("cnn-gru", "cnn-lstm"),
        "sound is both: a moment of it is a small grid, bands by time, which a CNN reads, and moments follow each other, which a "
        "recurrent network carries along",
    ),
    "captions": Rule(
        ("cnn-gru", "cnn-lstm"),
        "a caption is both: a picture is a grid, which a CNN reads, and a sentence is a sequence, which a recurrent network writes word "
        "by word",
    ),
    "video": Rule(
        ("cnn-gru", "cnn-lstm"),
        "clips are both: a frame is a grid, which a CNN reads, and frames follow each other, which a recurrent network carries along",
    ),
    "series": Rule(
        ("gru", "lstm", "cnn"),
        "a series is a sequence: what comes next depends on what came before, which a recurrent network carries along and a CNN finds "
        "in windows",
    ),
    "sequence": Rule(
        ("lstm", "gru", "rnn", "transformer"),
        "text is a sequence: what comes next depends on what came before, which a recurrent network carries along and a transformer "
        "looks up",
    ),
}


def choose(kind: str, asked: str) -> str:
    """The architecture for a kind of data; raises TinynetError, with the reason, for one that does not fit."""
    fitting, reason = RULES[kind]
    if asked == "auto":
        return fitting[0]
    if asked not in ARCHITECTURES:
        advice = did_you_mean(asked, fitting) or f"choose {one_of(fitting)}"
        raise TinynetError(Setting("arch"), f" {asked or repr(asked)} is no kind of network; {advice}")
    if asked not in fitting:
        advice = f"choose {one_of(('auto', *fitting))}, since {reason}"
        raise TinynetError(Setting("arch"), f" {asked} does not fit this data; {advice}")
    return asked
