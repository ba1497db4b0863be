"""Choosing one of several classes: the most probable, or one that is drawn."""

from __future__ import annotations

import numpy as np


def argmax(x: np.ndarray) -> np.ndarray:
    """Where each row of x (m, c) is largest, (m,) int64: the first of equals; a NaN counts as large."""
    return x.argmax(axis=1)


def sample(probabilities: np.ndarray, temperature: float, top_k: int, top_p: float, u: float) -> int:
    """The class that a uniform number u in [0, 1) stands for, among c classes with these probabilities (c,).

    p^(1/temperature), divided by its sum, is drawn from: below 1 the likely becomes likelier, and 0 is the most probable
    class, the lowest of equals. Of these, the `top_k` most probable (0: all) stay, and of them the fewest that together
    have at least `top_p` of what stayed (Holtzman et al. 2020). They lie on [0, 1) in order of their probability.
    """
    order = np.argsort(-probabilities, kind="stable")
    if temperature == 0:
        return int(order[0])
    if top_k:
        order = order[:top_k]
    p = probabilities[order].astype(np.float64)
    sums = np.cumsum((p / p[0]) ** (1 / temperature))
    if top_p < 1:
        sums = sums[: 1 + np.searchsorted(sums, top_p * sums[-1])]
    return int(order[min(np.searchsorted(sums, u * sums[-1], side="right"), len(sums) - 1)])
