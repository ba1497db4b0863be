"""What happened in a training, epoch by epoch."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..files import atomic_write

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

PANEL = (480, 300)
MARGIN = (56, 28, 16, 32)
"""Left, top, right, bottom of a panel, in pixels."""
COLOURS = ((31, 119, 180), (214, 39, 40))
"""Training, validation."""


@dataclass
class History:
    """One dict an epoch: epoch (from 1), loss, accuracy or mae, the same with val_, learning_rate, seconds.

    An epoch that was broken off is there too, with what it reached; there is none where no step was done.
    `stopped` says why training ended before its last epoch ("early stopping", "time limit", "interrupted"), and is
    empty where it did not; `best_epoch` is the epoch, from 1, that was best in the value watched, `kept_epoch` the one whose
    weights the model holds, None where they are those that training began with; `signal` is the number of the
    signal that interrupted it: SIGINT, which is Ctrl-C, SIGTERM or SIGHUP.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    stopped: str = ""
    best_epoch: int | None = None
    kept_epoch: int | None = None
    signal: int | None = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C, SIGTERM or SIGHUP ended it."""
        return self.stopped == "interrupted"

    @property
    def history(self) -> dict[str, list[Any]]:
        """The same as one list for each name, as Keras has it."""
        return {
            name: [epoch[name] for epoch in self.epochs] for name in (self.epochs[0] if self.epochs else ())
        }

    def save_csv(self, path: str | os.PathLike) -> None:
        """Write one line an epoch under a line of names; raises TinynetError where that cannot be written."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(self.history), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.epochs)
        with atomic_write(path) as file:
            file.write(text.getvalue().encode())

    def draw(self, path: str | os.PathLike) -> None:
        """Draw loss and metric over the epochs into a picture (.png): training blue, validation red.

        Raises TinynetError where that cannot be written.
        """
        from PIL import Image, ImageDraw

        names = [name for name in ("loss", "accuracy", "mae") if name in self.history]
        image = Image.new("RGB", (PANEL[0] * max(len(names), 1), PANEL[1]), "white")
        draw = ImageDraw.Draw(image)
        for number, name in enumerate(names):
            self._panel(draw, number * PANEL[0], name)
        with atomic_write(path) as file:
            image.save(file, "PNG")

    def _panel(self, draw: ImageDraw, offset: int, name: str) -> None:
        curves = [self.history[key] for key in (name, f"val_{name}") if key in self.history]
        low, high = min(map(min, curves)), max(map(max, curves))
        left, top = offset + MARGIN[0], MARGIN[1]
        right, bottom = offset + PANEL[0] - MARGIN[2], PANEL[1] - MARGIN[3]
        across, up = (right - left) / max(len(self.epochs) - 1, 1), (bottom - top) / ((high - low) or 1)
        draw.line([(left, top), (left, bottom), (right, bottom)], fill="black")
        draw.text(
            (left, 8), f"{name}: training blue, validation red" if len(curves) > 1 else name, fill="black"
        )
        draw.text((offset + 4, top - 6), f"{high:.4g}", fill="black")
        draw.text((offset + 4, bottom - 6), f"{low:.4g}", fill="black")
        draw.text((left, bottom + 8), f"epoch {self.epochs[0]['epoch']}", fill="black")
        draw.text((right - 24, bottom + 8), f"{self.epochs[-1]['epoch']}", fill="black")
        for curve, colour in zip(curves, COLOURS, strict=False):
            points = [(left + i * across, bottom - (value - low) * up) for i, value in enumerate(curve)]
            draw.line(points, fill=colour, width=2)
            for x, y in points:
                draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
