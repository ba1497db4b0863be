"""Kernels: arrays in, arrays out. They know no layer.

device.py chooses the back end and the number of threads; replay.py repeats small calls without Python in between; reference/ defines
every kernel in NumPy; cpu/ has the same names and signatures in Numba.
"""

from . import device

__all__ = ["device"]
