"""Curves of a training as a picture: one panel for each value, with ticks, a legend and a mark at the kept epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

PANEL = (480, 300)
MARGIN = (56, 32, 16, 32)
"""Left, top, right, bottom of a panel, in pixels."""
COLOURS = {"training": (31, 119, 180), "validation": (214, 39, 40)}
GREY = (150, 150, 150)
TICKS = 5
LOG_RATIO = 30
"""A loss that falls by more than this factor has a logarithmic axis, or its end would be a flat line."""
SMALLEST = 1e-300

Curve = Sequence[float]


def draw_curves(epochs: Sequence[int], panels: dict[str, list[Curve]], kept: int | None) -> Image:
    """A picture with a panel for each name: its training curve, and its validation curve where there is one.

    epochs numbers the values of each curve; values that are not finite are left out; kept is the epoch that is marked.
    """
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (PANEL[0] * max(len(panels), 1), PANEL[1]), "white")
    for number, (name, curves) in enumerate(panels.items()):
        _panel(ImageDraw.Draw(image), number * PANEL[0], name, curves, epochs, kept)
    return image


def _panel(
    draw: ImageDraw, offset: int, name: str, curves: list[Curve], epochs: Sequence[int], kept: int | None
) -> None:
    left, top = offset + MARGIN[0], MARGIN[1]
    right, bottom = offset + PANEL[0] - MARGIN[2], PANEL[1] - MARGIN[3]
    draw.line([(left, top), (left, bottom), (right, bottom)], fill="black")
    draw.text((left, 8), name, fill="black")
    values = [value for curve in curves for value in curve if math.isfinite(value)]
    if not values:
        return
    low, high = min(values), max(values)
    logarithmic = not name.endswith("accuracy") and low > 0 and high / low > LOG_RATIO
    across = _scale(epochs[0], epochs[-1], left, right)
    up = _scale(low, high, bottom, top, math.log if logarithmic else float)
    for tick in _powers(low, high) if logarithmic else _steps(low, high):
        draw.line([(left - 4, up(tick)), (left, up(tick))], fill="black")
        draw.text((left - 7, up(tick)), f"{tick:.4g}", fill="black", anchor="rm")
    for tick in _steps(epochs[0], epochs[-1], least=1):
        draw.line([(across(tick), bottom), (across(tick), bottom + 4)], fill="black")
        draw.text((across(tick), bottom + 7), f"{tick:.0f}", fill="black", anchor="mt")
    draw.text((left - 8, bottom + 7), "epoch", fill="black", anchor="rt")
    if kept in epochs:
        for y in range(top, bottom, 6):
            draw.line([(across(kept), y), (across(kept), y + 2)], fill=GREY)
        draw.text((right, 8), f"kept: epoch {kept}", fill=GREY, anchor="ra")
    for number, (curve, (label, colour)) in enumerate(zip(curves, COLOURS.items(), strict=False)):
        for points in _pieces(zip(epochs, curve, strict=True)):
            placed = [(across(epoch), up(value)) for epoch, value in points]
            draw.line(placed, fill=colour, width=2)
            for x, y in placed:
                draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
        x = left + 90 + number * 95
        draw.line([(x, 14), (x + 16, 14)], fill=colour, width=2)
        draw.text((x + 20, 8), label, fill="black")


def _scale(
    low: float, high: float, first: float, last: float, form: Callable[[float], float] = float
) -> Callable[[float], float]:
    """From values low…high to pixels first…last; what cannot be told apart lies in the middle."""
    start, length = form(low), form(high) - form(low)
    if not SMALLEST < length < math.inf:
        return lambda value: (first + last) / 2
    return lambda value: first + (form(value) - start) / length * (last - first)


def _steps(low: float, high: float, least: float = 0) -> Iterable[float]:
    """Round numbers from low to high, about TICKS of them, `least` or more apart."""
    if not SMALLEST < high - low < math.inf:
        return [low]
    rough = (high - low) / TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = max(least, next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough))
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _powers(low: float, high: float) -> Iterable[float]:
    """Powers of ten from low to high, and between them where they are few, no more than about TICKS."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    between = (1, 2, 5) if last - first <= 3 else (1,)
    every = -(-(last - first) // (2 * TICKS))
    marks = (digit * 10.0**power for power in range(first, last + 1, every) for digit in between)
    return [mark for mark in marks if low <= mark <= high] or [low, high]


def _pieces(points: Iterable[tuple[int, float]]) -> Iterator[list[tuple[int, float]]]:
    """What lies between values that are not finite."""
    piece: list[tuple[int, float]] = []
    for epoch, value in points:
        if math.isfinite(value):
            piece.append((epoch, value))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece
