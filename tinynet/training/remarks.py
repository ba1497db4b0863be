"""Notes on odd samples before training; none of them is an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..network import Network
from .losses import Loss
from .samples import Samples

FEWEST = 10
"""From this many samples on, a column with a single value is no coincidence."""
PIECE = 1 << 22
"""Numbers that are compared at once; the first of them already show most columns not to be constant."""
SHOWN = 5
"""Most classes or columns that a remark names."""


def remarks(model: Network, loss: Loss, samples: Samples, split: Samples | None) -> Iterator[str]:
    """A sentence on each oddity of the samples to train on, and of those that validation_split has `split` off."""
    if len(samples) > 1 and (samples.targets == samples.targets[:1]).all():
        yield "all labels to train on are the same, so there is nothing to learn"
    elif split is not None:
        yield from _left_out(model.labels, loss.labels(samples.targets), loss.labels(split.targets))
    if columns := _constant_columns(model, samples.x):
        what, has = ("column", "has") if len(columns) == 1 else ("columns", "have")
        yield f"{what} {_listed(columns)} of x {has} the same value in all samples, which tells nothing"


def _left_out(names: Sequence[str] | None, *labels: Any) -> Iterator[str]:
    """A sentence on classes that only the samples to train on have, and on those that only the validation samples have."""
    if any(own is None or own.ndim > 1 for own in labels):
        return
    for purpose, own, other in (("train", *labels), ("validate", *labels[::-1])):
        missing = [names[label] if names else label for label in np.setdiff1d(other, own).tolist()]
        if missing:
            yield (
                f"validation_split takes the last samples, which leaves none of class {_listed(missing)} to {purpose} on: "
                "shuffle x and y together"
            )


def _constant_columns(model: Network, x: np.ndarray) -> list[int]:
    if (
        isinstance(x, tuple)
        or x.ndim != 2
        or len(x) < FEWEST
        or model.takes_ids
        or model.is_picture(model.input_shape)
    ):
        return []
    found, rows = np.arange(x.shape[1]), max(PIECE // x.shape[1], 1)
    for start in range(0, len(x), rows):
        found = found[(x[start : start + rows, found] == x[0, found]).all(axis=0)]
        if not len(found):
            break
    return found.tolist()


def _listed(items: Sequence[Any]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(map(str, items[:SHOWN])) + more
