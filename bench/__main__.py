"""All benchmarks: prints the table that README quotes, and keeps it in `bench/results.md`."""

from __future__ import annotations

from pathlib import Path

from . import cnn, cold_start, recurrent, time_to_accuracy
from .measure import machine, markdown

rows = [*cnn.rows(), *time_to_accuracy.rows(), *recurrent.rows(), *cold_start.rows()]
text = f"{machine()}\n\n{markdown(rows)}\n"
print(text)
(Path(__file__).parent / "results.md").write_text(text)
