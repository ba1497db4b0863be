"""Kernels as loops over single numbers, written from their equations: slow, plain, and sharing nothing with any back end.

Each takes what the kernel of its name takes and returns float64.
"""

from .attention import *  # noqa: F403
from .pictures import *  # noqa: F403
from .rows import *  # noqa: F403
from .sequences import *  # noqa: F403
