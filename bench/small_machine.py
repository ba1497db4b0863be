"""What the digit CNN takes on the NumPy kernels, as on a Raspberry Pi without Numba: memory beyond NumPy, time a picture."""

from __future__ import annotations

import sys

from .measure import run_process

NUMPY = "import numpy as np; x = np.zeros((1, 28, 28, 1), np.float32)"
READ = """
import time
import tinynet as tn
tn.set_device("reference")
net, times = tn.load("digits"), []
for _ in range(500):
    start = time.perf_counter()
    net.predict(x)
    times.append(time.perf_counter() - start)
print(sorted(times)[250])
"""


def main() -> None:
    """Print one line."""
    alone, whole = (run_process([sys.executable, "-c", code]) for code in (NUMPY, NUMPY + READ))
    print(
        f"{whole.megabytes - alone.megabytes:.0f} MB beyond Python and NumPy ({whole.megabytes:.0f} MB in all), "
        f"{1e3 * float(whole.output):.2f} ms a picture"
    )


if __name__ == "__main__":
    main()
