"""Sizes for the families of kernels/cases.py that are quick in the simulator, and still cross every edge of tiles and blocks."""

from __future__ import annotations

from kernels.cases import CONVOLUTIONS, CONVOLUTIONS_AND_POOLS, DEPTHWISE, FAMILIES, NONE, POOLS, Case

WHOLE = ((1, 1), (1, 1)), (1, 1)
TABLES = {
    "convolutions": [
        CONVOLUTIONS[0],
        ((2, 6, 5, 4), (3, 3, 8), (1, 1), *WHOLE),
        ((2, 7, 8, 8), (3, 3, 68), (1, 1), ((0, -1), (0, -1)), (1, 1)),
        ((3, 9, 9, 1), (3, 3, 12), (1, 1), NONE, (1, 1)),
        ((2, 5, 4, 7), (5, 3, 33), (1, 1), ((2, 2), (2, 2)), (1, 1)),
        *(row for row in CONVOLUTIONS[3:] if row[0] != (9, 5, 5, 7)),
    ],
    "depthwise": [
        ((3, 5, 5, 8), (3, 3, 1), (1, 1), *WHOLE),
        ((2, 5, 6, 5), (3, 3, 1), (2, 2), ((0, 1), (0, 1)), (1, 1)),
        *(row for row in DEPTHWISE if row[0][0] < 3 and row[0][3] < 33),
    ],
    "convolutions_and_pools": [
        row for row in CONVOLUTIONS_AND_POOLS if row[0] in ((2, 8, 8, 3), (3, 7, 7, 2), (0, 6, 6, 2))
    ],
    "matrices": [(1, 1, 1), (1, 70, 13), (5, 3, 16), (65, 70, 66), (64, 200, 10), (7, 33, 17), (0, 3, 4)],
    "pools": [((1, 6, 7, 20), (2, 2), (2, 2), NONE), *POOLS[2:]],
    "elements": [(1, 1), (3, 7), (2, 3, 16), (2, 5, 1, 33), (130, 2), (0, 5)],
    "losses": [(1, 1), (5, 10), (3, 8), (2, 65), (0, 4)],
    "steps": [1, 600],
    "warps": [(2, 5, 9, 3), (1, 1, 1, 1), (2, 12, 12, 1), (0, 4, 4, 1)],
    "cells": [(1, 1, 1), (2, 3, 5), (5, 2, 17), (2, 2, 33), (0, 3, 4), (2, 0, 3)],
    "sequences": [(1, 1, 1), (2, 3, 5), (3, 4, 17), (2, 2, 33), (0, 3, 4), (2, 0, 3)],
    "attentions": [
        (1, 1, 0, 1, 1),
        (2, 1, 3, 2, 8),
        (2, 5, 4, 1, 16),
        (1, 9, 0, 2, 3),
        (0, 3, 2, 1, 4),
        (2, 0, 3, 2, 2),
    ],
    "draws": [1, 2, 9],
}
EVERY = {"convolutions_and_pools": 3, "cells": 2, "attentions": 4}
"""Of families whose settings are many, each so many'th call."""


def quick_cases(names: set[str]) -> list[Case]:
    """The calls of kernels with these names."""
    found = []
    for family, table in TABLES.items():
        calls = [case for case in FAMILIES[family](table) if case.name in names]
        found += calls[:: EVERY.get(family, 1)]
    return found
