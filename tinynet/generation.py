"""Writing text: a network reads the seed, then each character that it draws is what it reads next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from . import kernels
from .data.text import encode
from .errors import DataError, TinynetError
from .layers.base import check_count
from .training.schedules import check_number

if TYPE_CHECKING:
    from .model import Sequential

PIECE = 256
"""Characters of the seed that are read at once."""
PRIMER = "\n"
"""What stands for an empty seed, so that a line begins; where the vocabulary lacks it, its first character does."""


def generate(
    model: Sequential,
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
    """The seed and exactly `length` characters more.

    seed: of any length; an empty one is read as a line break, which is not part of the answer
    temperature: below 1 the likely becomes likelier, 0 is always the most probable character
    top_k: draw from the so many most probable characters, 0: from all; top_p: from the fewest that together have this
        probability (see the kernel `sample`)
    random_seed: the same one gives the same text; None: another text each time
    skip_unknown: pass over characters of the seed that the vocabulary lacks, rather than refuse them
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
    model: Sequential,
    seed: str,
    length: int,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    random_seed: int | None = None,
    skip_unknown: bool = False,
) -> Iterator[str]:
    """The characters that `generate` writes after the seed, one by one. Everything is checked before the first."""
    check_model(model)
    check_count("generate", "length", length, least=0)
    check_number("generate", "temperature", temperature)
    check_count("generate", "top_k", top_k, least=0)
    check_number("generate", "top_p", top_p, above=0, most=1)
    if random_seed is not None:
        check_count("generate", "random_seed", random_seed, least=0)
    ids = _seed_ids(model, seed, skip_unknown)
    rng = np.random.default_rng(random_seed)
    return _draw(model, ids, length, (float(temperature), int(top_k), float(top_p)), rng)


def check_model(model: Sequential) -> None:
    """Raise TinynetError unless a model reads characters one by one and says how probable each is to come next."""
    vocabulary = model.vocabulary
    takes_text = vocabulary is not None and model.layers and model.layers[0].takes_ids
    if not takes_text:
        raise TinynetError(
            f"{model.name} neither reads nor writes text; choose a model trained on a .txt file"
        )
    if any(len(character) != 1 for character in vocabulary):
        raise TinynetError(f"{model.name} has a vocabulary of words; text is written character by character")
    if model.output_shape[-1:] != (len(vocabulary),):
        raise TinynetError(
            f"{model.name} has {len(vocabulary)} characters in its vocabulary, but its output is another number: "
            "end it with Dense(len(vocabulary), activation='softmax')"
        )
    model.check_stream()


def _seed_ids(model: Sequential, seed: str, skip_unknown: bool) -> np.ndarray:
    """What the network reads first, at least one id."""
    if not isinstance(seed, str):
        raise TinynetError(f"generate takes a seed of text, not {type(seed).__name__}")
    try:
        ids = encode(seed, model.vocabulary, "the seed", skip_unknown)
    except DataError as error:
        raise DataError(f"{error}, or have them skipped (--skip-unknown, skip_unknown=True)") from None
    if len(ids):
        return ids
    primer = max("".join(model.vocabulary).find(PRIMER), 0)
    return np.array([primer], np.int32)


def _draw(
    model: Sequential,
    ids: np.ndarray,
    length: int,
    settings: tuple[float, int, float],
    rng: np.random.Generator,
) -> Iterator[str]:
    """Read the ids, then draw, hand out and read one character after the other."""
    outputs, state = _read(model, ids)
    for left in range(length, 0, -1):
        k = kernels.backend(0)
        p = outputs if model.logits_activation == "softmax" else k.activation(outputs, "softmax")
        index = k.sample(p[0], *settings, rng.random())
        yield model.vocabulary[index]
        if left > 1:
            outputs, state = model.step(np.array([index], np.int32), state)


def _read(model: Sequential, ids: np.ndarray) -> tuple[np.ndarray, dict]:
    """The output (1, characters) after the last of some ids, and the state there."""
    outputs, state = None, None
    for start in range(0, len(ids), PIECE):
        piece = ids[None, start : start + PIECE]
        outputs, state = model.predict(piece, initial_state=state, return_state=True)
    return outputs.reshape(-1, outputs.shape[-1])[-1:], state
