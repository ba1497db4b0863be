"""Write text: a network reads the seed, and then each character that it has sampled.

There is one way to write a character: a step of the network, replayed where that pays, then `sample`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_count, check_number, check_seed
from ..data.text.characters import encode, read_text, windows
from ..errors import DataError, Setting, TinynetError, UsageError
from ..kernels import device
from ..layers import Activation
from ..layers.base import State
from ..layers.inputs import check_finite_output
from ..network import Network, leaves, rebuilt
from ..settings import checked
from .base import CHARACTERS, Task, check_task, was_trained_on

PIECE = 256
"""Characters of the seed that are read at once."""
AT_ONCE = 32
"""Characters written per replay, without Python in between: few enough to appear live and to react to Ctrl-C."""
HELD_OUT = 0.1
"""Fraction of a text, at its end, on which settings and the best epoch are chosen."""
PRIMER = "\n"
"""Stands for an empty seed, so that a new line begins; if the vocabulary lacks it, its first character does."""


@dataclass
class Text:
    """Text that a model is measured on: ids of characters, (n,)."""

    ids: np.ndarray
    remarks: Sequence[str] = ()
    unreadable: Sequence[str] = ()


@dataclass(frozen=True)
class TextMeasures:
    """How well each character of a text was predicted; the loss is in nats per character."""

    loss: float
    accuracy: float
    characters: int

    def as_json(self) -> dict[str, Any]:
        """All measures as JSON values."""
        more = {"bits_per_character": bits(self.loss), "perplexity": math.exp(self.loss)}
        return {"loss": self.loss, "accuracy": self.accuracy, **more, "characters": self.characters}


class Characters(Task[Text, TextMeasures]):
    """A network that says how probable each character is to come next."""

    name = CHARACTERS

    def __init__(self, *models: Network) -> None:
        super().__init__(*models)
        if len(models) > 1:
            raise UsageError(
                "several models can be averaged where they name classes or predict rows of a table, but not for writing text; give one"
            )
        self.alphabet = alphabet_of(self.model)

    def answer(self, given: str, length: int = 200, **settings: Any) -> Iterator[str]:
        """The `length` characters that follow a seed, one by one; settings as in `generate`."""
        return characters(self.model, given, length, **settings)

    def read(self, data: str) -> Text:
        """A text file, or "shakespeare"; of that, and of a text that the model was trained on, the last tenth.

        Raises DataError for a text that holds unknown characters.
        """
        ids = encode(text_of(data), self.alphabet, data)
        if data != "shakespeare" and not was_trained_on(self.model, data):
            return Text(ids)
        return Text(split(ids)[1], ["measured on the last tenth of the text, which was not trained on"])

    def evaluate(self, data: Text) -> TextMeasures:
        """How well the model predicts each character, in windows of 512 characters from a zero state."""
        from ..training import evaluate

        x, y, weights = windows(data.ids)
        found = evaluate(self.model, x, y, sample_weight=weights)
        return TextMeasures(found["loss"], found["accuracy"], len(data.ids) - 1)

    def show(self, found: TextMeasures | Iterator[str]) -> Iterator[str]:
        """Characters as they come; measures in a line."""
        if not isinstance(found, TextMeasures):
            yield from found
            return
        right = f"{100 * found.accuracy:.2f} % of the next characters predicted"
        yield f"loss {show_loss(found.loss)}, {right} ({found.characters:,} characters)"


TASK = Characters


def text_of(data: str) -> str:
    """The text that DATA names: "shakespeare", or the content of a file."""
    if data == "shakespeare":
        from ..data.datasets import load_shakespeare

        return load_shakespeare()
    return read_text(data)


def split(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part to train on, and the last tenth, to measure on."""
    held_out = held_out_of(len(ids))
    return ids[:-held_out], ids[-held_out:]


def held_out_of(length: int) -> int:
    """How many characters of a text of that length are not trained on."""
    return max(round(length * HELD_OUT), 1)


def bits(nats: float) -> float:
    """Nats as bits."""
    return nats / math.log(2)


def show_loss(nats: float) -> str:
    """A loss in three units: nats, bits and perplexity."""
    return f"{nats:.4f} nats, {bits(nats):.4f} bits per character, perplexity {math.exp(nats):.2f}"


@checked
def generate(
    model: Network,
    seed: str = "",
    length: int = 200,
    *,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    random_seed: int | None = None,
    skip_unknown: bool = False,
    on_text: Callable[[str], object] | None = None,
) -> str:
    """The seed and exactly `length` more characters.

    seed: of any length; an empty one is read as a line break, which is not part of the answer
    temperature: below 1 makes likely characters likelier; 0 always takes the most probable one
    top_k: sample only from the k most probable characters, 0: from all; top_p: only from the most probable that together reach this
        probability (see the kernel `sample`)
    random_seed: the same one gives the same text; None: another text each time
    skip_unknown: ignore characters of the seed that the vocabulary lacks instead of refusing them
    on_text: called with each character as it comes

    Raises TinynetError for a model that writes no text, a bad setting, or a seed with unknown characters.
    """
    written = [seed]
    for character in characters(model, seed, length, temperature, top_k, top_p, random_seed, skip_unknown):
        written.append(character)
        if on_text is not None:
            on_text(character)
    return "".join(written)


def characters(
    model: Network,
    seed: str,
    length: int,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    random_seed: int | None = None,
    skip_unknown: bool = False,
) -> Iterator[str]:
    """The characters that `generate` writes after the seed, one by one. Everything is checked before the first."""
    alphabet = alphabet_of(model)
    check_count("generate", "length", length, least=0)
    check_number("generate", "temperature", temperature)
    check_count("generate", "top_k", top_k, least=0, most=math.inf)
    check_number("generate", "top_p", top_p, above=0, most=1)
    if random_seed is not None:
        check_seed("generate", "random_seed", random_seed)
    ids = _seed_ids(alphabet, seed, skip_unknown)
    rng = np.random.default_rng(random_seed)
    top_k = min(int(top_k), len(alphabet))  # compiled kernels know no larger number
    drawn = _draw(model, ids, length, (float(temperature), top_k, float(top_p)), rng)
    return (alphabet[index] for index in drawn)


def alphabet_of(model: Network) -> str:
    """The characters of a model, by id.

    Raises TinynetError unless it reads characters one by one and says how probable each is to come next.
    """
    check_task(model, CHARACTERS)
    vocabulary = model.vocabulary
    if vocabulary is None:
        raise TinynetError(
            f"{model.name} has no vocabulary, so it cannot turn ids into characters; make it with Sequential(…, vocabulary=…)"
        )
    if any(len(character) != 1 for character in vocabulary):
        raise TinynetError(f"{model.name} has a vocabulary of words; text is written character by character")
    if model.output_shape[-1:] != (len(vocabulary),):
        raise TinynetError(
            f"{model.name} has {len(vocabulary)} characters in its vocabulary, but its output has another size: "
            "end it with Dense(len(vocabulary), activation='softmax')"
        )
    name, embedding = next(iter(model.children().items()))
    rows = getattr(embedding, "input_dim", math.inf)
    if rows < len(vocabulary):
        raise TinynetError(
            f"{model.name} has {len(vocabulary)} characters in its vocabulary, but {name} has only "
            f"{rows} rows: begin with Embedding(len(vocabulary), …)"
        )
    model.check_streamable()
    return "".join(vocabulary)


def _seed_ids(alphabet: str, seed: str, skip_unknown: bool) -> np.ndarray:
    """The ids that the network reads first, at least one."""
    if not isinstance(seed, str):
        raise TinynetError(f"generate takes a seed of text, not {type(seed).__name__}")
    try:
        ids = encode(seed, alphabet, "the seed", skip_unknown)
    except DataError as error:
        raise DataError(f"{error}, or have them skipped (", Setting("skip_unknown"), ")") from None
    if len(ids):
        return ids
    primer = max(alphabet.find(PRIMER), 0)
    return np.array([primer], np.int32)


def _draw(
    model: Network,
    ids: np.ndarray,
    length: int,
    settings: tuple[float, int, float],
    rng: np.random.Generator,
) -> Iterator[int]:
    """Read the ids, then sample, yield and read one id after another; `index` is the one to read next."""
    if model.logits_activation != "softmax":
        model = Network([*model.layers, Activation("softmax")], model.input_shape, name=model.name)
    k = device.backend(0)
    index, state = ids[-1], _read(model, ids[:-1])
    for left in range(length, 0, -AT_ONCE):
        points = rng.random(min(left, AT_ONCE))
        written = model.replay.iterate(k, index, leaves(state), settings, points)
        if written is None:
            for point in points:
                probabilities, state = model.advance(np.array([index], np.int32), state)
                check_finite_output(model.name, probabilities)
                index = k.sample(probabilities[0], *settings, point)
                yield index
        else:
            drawn, arrays = written
            for array in arrays:
                check_finite_output(model.name, array)
            index, state = drawn[-1], rebuilt(state, iter(arrays))
            yield from drawn


def _read(model: Network, ids: np.ndarray) -> State:
    """The state after reading the ids."""
    state = model.zero_state(1)
    for start in range(0, len(ids), PIECE):
        _, state = model.answer(ids[None, start : start + PIECE], state=state)
    return state
