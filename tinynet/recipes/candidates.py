"""Candidates of an architecture search: the recipe's own settings first, then others drawn at random around them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .architectures import ARCHITECTURES
from .base import Recipe

WIDTHS, DEPTHS = (0.5, 0.7, 1.0, 1.4, 2.0), (None, 1, 2, 3, 4)
RATES = 3.0
"""The learning rate lies between the recipe's divided by this, and times this."""
AUGMENTED = 0.75
"""Part of the candidates whose pictures, sounds or clips are changed at random."""
NARROWEST = 1 / 16
MOST_DRAWS = 100
"""For each candidate, since it may be like an earlier one."""


@dataclass(frozen=True)
class Candidate:
    """Settings relative to those of the recipe."""

    arch: str
    width: float = 1.0
    depth: int | None = None
    rate: float = 1.0
    augment: bool = True

    def settings(self, usual_rate: float) -> dict[str, Any]:
        """As `Choices` has them, without those that are the recipe's own; usual_rate: its learning rate."""
        found: dict[str, Any] = {"arch": self.arch}
        if self.width != 1:
            found["width"] = self.width
        if self.depth is not None:
            found["depth"] = self.depth
        if self.rate != 1:
            found["learning_rate"] = float(f"{self.rate * usual_rate:.2g}")
        if not self.augment:
            found["augment"] = False
        return found


def draw(recipe: Recipe, architectures: Sequence[str], count: int, seed: int) -> list[Candidate]:
    """At most `count` different candidates; fewer where the recipe and these architectures, the best first, leave less to choose."""
    rng, found = random.Random(seed), [Candidate(architectures[0])]
    for _ in range(MOST_DRAWS * count):
        if len(found) == count:
            break
        drawn = _drawn(recipe, architectures, rng)
        if drawn not in found:
            found.append(drawn)
    return found


def _drawn(recipe: Recipe, architectures: Sequence[str], rng: random.Random) -> Candidate:
    """Architectures are drawn the less often the later they come in the table; a third of the learning rates is the recipe's."""
    (arch,) = rng.choices(architectures, [1 / (1 + rank) for rank in range(len(architectures))])
    width, depth = rng.choice(WIDTHS), rng.choice(DEPTHS)
    rate = math.exp(rng.uniform(-1, 1) * math.log(RATES)) if rng.random() < 2 / 3 else 1.0
    augment = rng.random() < AUGMENTED
    takes = recipe.options | ARCHITECTURES[arch].options
    return Candidate(
        arch,
        width if "width" in takes else 1.0,
        depth if "depth" in takes else None,
        rate,
        augment or "augment" not in takes,
    )


def narrower(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The same with layers of half the width; None where that cannot be."""
    width = settings.get("width", 1.0) / 2
    if "width" not in ARCHITECTURES[settings["arch"]].options or width < NARROWEST:
        return None
    others = {name: value for name, value in settings.items() if name != "width"}
    return others if width == 1 else {**others, "width": width}


def described(settings: Mapping[str, Any]) -> str:
    """Settings in a few words: resnet, width 0.7, learning rate 0.0021."""
    words = [settings["arch"]]
    words += [
        f"{name.replace('_', ' ')} {settings[name]:g}"
        for name in ("width", "depth", "learning_rate")
        if name in settings
    ]
    return ", ".join([*words, *["no augmentation"] * ("augment" in settings)])
