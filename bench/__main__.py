"""All benchmarks: prints the tables that README quotes, and keeps them in `bench/results.md`."""

from __future__ import annotations

from pathlib import Path

from . import cnn, cold_start, readers, recurrent, time_to_accuracy
from .measure import Row, machine, table

rows = [*cnn.rows(), *time_to_accuracy.rows(), *recurrent.rows(), *cold_start.rows()]
text = f"{machine()}\n\n{table(Row._fields, rows)}\n\n{table(readers.HEAD, readers.rows())}\n"
print(text)
(Path(__file__).parent / "results.md").write_text(text)
