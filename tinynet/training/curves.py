"""Curves of a training as a picture: one chart per value, with a mark at the kept epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..drawing import Chart, draw_charts

if TYPE_CHECKING:
    from PIL.Image import Image

Curve = Sequence[float]


def draw_curves(epochs: Sequence[int], panels: Mapping[str, Sequence[Curve]], kept: int | None) -> Image:
    """A picture with one chart per name: its training curve, and its validation curve if there is one.

    epochs: the epoch of each value; values that are not finite are left out. kept: the epoch that is marked.
    """
    mark = (kept, f"kept: epoch {kept}") if kept is not None and kept in epochs else None
    return draw_charts(
        [
            Chart(
                name,
                "epoch",
                epochs,
                dict(zip(("training", "validation"), curves, strict=False)),
                logarithmic=not name.endswith("accuracy"),
                mark=mark,
            )
            for name, curves in panels.items()
        ]
    )
