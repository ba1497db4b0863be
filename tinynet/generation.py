"""Writing text: a network reads the seed, then each character that it draws is what it reads next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from . import kernels
from .checks import check_count, check_number, check_seed
from .data.text import encode
from .errors import DataError, TinynetError
from .layers import Activation
from .layers.base import State
from .layers.inputs import check_finite_output
from .network import Network, leaves, rebuilt
from .settings import checked

PIECE = 256
"""Characters of the seed that are read at once."""
AT_ONCE = 32
"""Characters that are written without Python in between: so few that they still look live, and that Ctrl-C is soon heard."""
PRIMER = "\n"
"""What stands for an empty seed, so that a line begins; where the vocabulary lacks it, its first character does."""


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
    check_model(model)
    check_count("generate", "length", length, least=0)
    check_number("generate", "temperature", temperature)
    check_count("generate", "top_k", top_k, least=0, most=math.inf)
    check_number("generate", "top_p", top_p, above=0, most=1)
    if random_seed is not None:
        check_seed("generate", "random_seed", random_seed)
    ids = _seed_ids(model, seed, skip_unknown)
    rng = np.random.default_rng(random_seed)
    top_k = min(int(top_k), len(model.vocabulary))  # compiled kernels know no larger number
    return _draw(model, ids, length, (float(temperature), top_k, float(top_p)), rng)


def check_model(model: Network) -> None:
    """Raise TinynetError unless a model reads characters one by one and says how probable each is to come next."""
    vocabulary = model.vocabulary
    if not model.takes_ids:
        raise TinynetError(
            f"{model.name} neither reads nor writes text; choose shakespeare, or a model trained on a .txt file"
        )
    if vocabulary is None:
        raise TinynetError(
            f"{model.name} has no vocabulary, so its ids stand for no characters; make it with Sequential(…, vocabulary=…)"
        )
    if any(len(character) != 1 for character in vocabulary):
        raise TinynetError(f"{model.name} has a vocabulary of words; text is written character by character")
    if model.output_shape[-1:] != (len(vocabulary),):
        raise TinynetError(
            f"{model.name} has {len(vocabulary)} characters in its vocabulary, but its output is another number: "
            "end it with Dense(len(vocabulary), activation='softmax')"
        )
    name, embedding = next(iter(model.children().items()))
    if getattr(embedding, "input_dim", math.inf) < len(vocabulary):
        raise TinynetError(
            f"{model.name} has {len(vocabulary)} characters in its vocabulary, but {name} has a row for "
            f"{embedding.input_dim} only: begin with Embedding(len(vocabulary), …)"
        )
    model.check_stream()


def _seed_ids(model: Network, seed: str, skip_unknown: bool) -> np.ndarray:
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
    model: Network,
    ids: np.ndarray,
    length: int,
    settings: tuple[float, int, float],
    rng: np.random.Generator,
) -> Iterator[str]:
    """Read the ids, and draw, hand out and read one character after the other; `index` is the one that is read next."""
    if model.logits_activation != "softmax":
        model = Network([*model.layers, Activation("softmax")], model.input_shape, name=model.name,
                        vocabulary=model.vocabulary)  # fmt: skip
    k = kernels.backend(0)
    index, state = ids[-1], _read(model, ids[:-1])
    for left in range(length, 0, -AT_ONCE):
        points = rng.random(min(left, AT_ONCE))
        written = model.replay.iterate(k, index, leaves(state), settings, points)
        if written is None:
            for point in points:
                probabilities, state = model.advance(np.array([index], np.int32), state)
                check_finite_output(model.name, probabilities)
                index = k.sample(probabilities[0], *settings, point)
                yield model.vocabulary[index]
        else:
            drawn, arrays = written
            for array in arrays:
                check_finite_output(model.name, array)
            index, state = drawn[-1], rebuilt(state, iter(arrays))
            yield from (model.vocabulary[each] for each in drawn)


def _read(model: Network, ids: np.ndarray) -> State:
    """The state after some ids."""
    state = model.zero_state(1)
    for start in range(0, len(ids), PIECE):
        _, state = model.answer(ids[None, start : start + PIECE], state=state)
    return state
