"""The history of a training, epoch by epoch."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, field
from typing import Any

from ..errors import counted
from ..files import atomic_write
from .curves import draw_curves
from .metrics import COLUMNS

SHOWN = (3, 5)
"""Epochs shown at the beginning and at the end of a long table."""


@dataclass
class History:
    """One dict per epoch: epoch (from 1), loss, accuracy or mae, the same with val_, learning_rate, seconds.

    An epoch that was broken off is included with what it reached, unless no step was done.
    `stopped` says why training ended before its last epoch ("early stopping", "time limit", "interrupted"), or is
    empty; `best_epoch` is the epoch, from 1, that was best in the value watched, `kept_epoch` the one whose
    weights the model holds, None if they are those that training began with; `signal` is the number of the
    signal that interrupted it: SIGINT, which is Ctrl-C, SIGTERM or SIGHUP. `broken_off`: the last epoch was stopped
    before its end.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    stopped: str = ""
    best_epoch: int | None = None
    kept_epoch: int | None = None
    signal: int | None = None
    broken_off: bool = False

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C, SIGTERM or SIGHUP ended it."""
        return self.stopped == "interrupted"

    @property
    def history(self) -> dict[str, list[Any]]:
        """The same as one list per name, as in Keras."""
        return {
            name: [epoch[name] for epoch in self.epochs] for name in (self.epochs[0] if self.epochs else ())
        }

    def save_csv(self, path: str | os.PathLike) -> None:
        """Write one line per epoch under a line of names; raises TinynetError if the file cannot be written."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(self.history), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.epochs)
        with atomic_write(path) as file:
            file.write(text.getvalue().encode())

    def draw(self, path: str | os.PathLike) -> None:
        """Draw loss and metric over the epochs into a picture (.png): training blue, validation red, the kept epoch marked.

        A loss that falls far gets a logarithmic axis; an epoch that was broken off is left out.
        Raises TinynetError if the file cannot be written.
        """
        whole = self.epochs[:-1] if self.broken_off else self.epochs
        panels = {
            name: [[epoch[key] for epoch in whole] for key in (name, f"val_{name}") if key in self.history]
            for name in self.history
            if name not in COLUMNS or name == "loss"
            if not name.startswith("val_")
        }
        image = draw_curves([epoch["epoch"] for epoch in whole], panels, self.kept_epoch)
        with atomic_write(path) as file:
            image.save(file, "PNG")

    def __repr__(self) -> str:
        """A table with a line per epoch; if there are many, the first and the last."""
        lines = [list(self.history), *([_show(value) for value in row.values()] for row in self.epochs)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(map(str.rjust, line, widths)) for line in lines]
        first, last = SHOWN
        if len(self.epochs) > first + last:
            table[1 + first : -last] = [f"… {len(self.epochs) - first - last} more"]
        kept = f", kept: epoch {self.kept_epoch}" if self.kept_epoch else ""
        stopped = f", stopped: {self.stopped}" if self.stopped else ""
        return "\n".join(
            [f"History of {counted(len(self.epochs), 'epoch')}{kept}{stopped}", *filter(None, table)]
        )


def _show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
