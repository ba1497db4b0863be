"""Drawing: line charts, a sheet of small pictures, shades for a terminal. Pillow is imported when the first is drawn."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .files import atomic_write

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

# ---- line charts ----

CHART = (480, 300)
MARGIN = (56, 32, 16, 32)
"""Left, top, right, bottom of a chart, in pixels."""
COLOURS = ((31, 119, 180), (214, 39, 40), (150, 150, 150))
"""Blue, red and grey, of the first lines."""
PALE = (248, 218, 218)
"""Of what lies within a band."""
DOTS = 60
"""A line with more values than these has no dots."""
GREY = (150, 150, 150)
TICKS = 5
LOG_RATIO = 30
"""Values that fall by more than this factor get a logarithmic axis; on a linear one their end would be a flat line."""
SMALLEST = 1e-300


@dataclass(frozen=True)
class Chart:
    """Lines over whole numbers.

    x: the positions of every line's values; lines are keyed by label, and values that are not finite are left out.
    logarithmic: use a logarithmic axis if the values fall far. mark: a position on the x-axis, and its label. band: the lower and
    upper values of a shaded range over the same x. x_name: the label of a number on the x-axis. size: in pixels.
    """

    title: str
    x_label: str
    x: Sequence[int]
    lines: Mapping[str, Sequence[float]]
    logarithmic: bool = False
    mark: tuple[int, str] | None = None
    band: tuple[Sequence[float], Sequence[float]] | None = None
    x_name: Callable[[float], str] = "{:.0f}".format
    size: tuple[int, int] = CHART


def draw_charts(charts: Sequence[Chart]) -> Image:
    """A picture with the charts side by side, each with ticks, a legend and its mark."""
    from PIL import Image, ImageDraw

    sizes = [chart.size for chart in charts] or [CHART]
    image = Image.new("RGB", (sum(width for width, _ in sizes), max(height for _, height in sizes)), "white")
    offset = 0
    for chart in charts:
        _draw_chart(ImageDraw.Draw(image), offset, chart)
        offset += chart.size[0]
    return image


def _draw_chart(draw: ImageDraw, offset: int, chart: Chart) -> None:
    left, top = offset + MARGIN[0], MARGIN[1]
    right, bottom = offset + chart.size[0] - MARGIN[2], chart.size[1] - MARGIN[3]
    draw.line([(left, top), (left, bottom), (right, bottom)], fill="black")
    draw.text((left, 8), chart.title, fill="black")
    values = [v for line in (*chart.lines.values(), *(chart.band or ())) for v in line if math.isfinite(v)]
    if not values:
        return
    low, high = min(values), max(values)
    logarithmic = chart.logarithmic and low > 0 and high / low > LOG_RATIO
    across = _scale(chart.x[0], chart.x[-1], left, right)
    up = _scale(low, high, bottom, top, math.log if logarithmic else float)
    for tick in _powers(low, high) if logarithmic else _steps(low, high):
        draw.line([(left - 4, up(tick)), (left, up(tick))], fill="black")
        draw.text((left - 7, up(tick)), f"{tick:.4g}", fill="black", anchor="rm")
    for tick in _steps(chart.x[0], chart.x[-1], least=1):
        draw.line([(across(tick), bottom), (across(tick), bottom + 4)], fill="black")
        draw.text((across(tick), bottom + 7), chart.x_name(tick), fill="black", anchor="mt")
    draw.text((left - 8, bottom + 7), chart.x_label, fill="black", anchor="rt")
    if chart.mark is not None:
        place, text = chart.mark
        for y in range(top, bottom, 6):
            draw.line([(across(place), y), (across(place), y + 2)], fill=GREY)
        draw.text((right, 8), text, fill=GREY, anchor="ra")
    if chart.band is not None:
        edges = [list(_pieces(zip(chart.x, edge, strict=True))) for edge in chart.band]
        for low, high in zip(*edges, strict=True):
            draw.polygon([(across(x), up(value)) for x, value in (*low, *reversed(high))], fill=PALE)
    for number, ((label, line), colour) in enumerate(zip(chart.lines.items(), COLOURS, strict=False)):
        for points in _pieces(zip(chart.x, line, strict=True)):
            placed = [(across(x), up(value)) for x, value in points]
            draw.line(placed, fill=colour, width=2)
            for x, y in placed if len(chart.x) <= DOTS else ():
                draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
        x = left + 90 + number * 95
        draw.line([(x, 14), (x + 16, 14)], fill=colour, width=2)
        draw.text((x + 20, 8), label, fill="black")


def _scale(
    low: float, high: float, first: float, last: float, form: Callable[[float], float] = float
) -> Callable[[float], float]:
    """Map values low…high to pixels first…last; equal bounds map to the middle."""
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
    """Powers of ten from low to high, with steps between them if they are few; about TICKS at most."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    between = (1, 2, 5) if last - first <= 3 else (1,)
    every = -(-(last - first) // (2 * TICKS))
    marks = (digit * 10.0**power for power in range(first, last + 1, every) for digit in between)
    return [mark for mark in marks if low <= mark <= high] or [low, high]


def _pieces(points: Iterable[tuple[int, float]]) -> Iterator[list[tuple[int, float]]]:
    """The runs of points between values that are not finite."""
    piece: list[tuple[int, float]] = []
    for x, value in points:
        if math.isfinite(value):
            piece.append((x, value))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


# ---- many small pictures ----

COLUMNS = 10
MOST = 400
TILE = 84
GAP = 8
LINE = 12
"""Height of a caption's line in pixels."""


def save_contact_sheet(
    path: str | os.PathLike, pictures: np.ndarray, captions: Sequence[Sequence[str]]
) -> int:
    """Write pictures (n, h, w), (n, h, w, 1) or (n, h, w, 3) in 0…1 as one PNG, each above its caption.

    Returns how many it shows: at most 400, ten per row, in columns as wide as the longest caption.
    Raises TinynetError where the file cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont

    shown = min(len(pictures), MOST)
    lines = max(map(len, captions[:shown]), default=1)
    font = ImageFont.load_default()
    texts = [[_drawable(line) for line in caption] for caption in captions[:shown]]
    width = GAP + max([TILE, *(round(font.getlength(line)) for caption in texts for line in caption)])
    height = TILE + lines * LINE + GAP
    columns = max(min(shown, COLUMNS), 1)
    sheet = Image.new("RGB", (columns * width, max(-(-shown // columns), 1) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for index in range(shown):
        left, top = index % columns * width + GAP // 2, index // columns * height + GAP // 2
        sheet.paste(_tile(pictures[index]), (left, top))
        for number, line in enumerate(texts[index]):
            draw.text((left, top + TILE + number * LINE), line, fill="black", font=font)
    with atomic_write(path) as file:
        sheet.save(file, "PNG")
    return shown


def _drawable(line: str) -> str:
    """The line as the font can draw it: in Latin 1, without control characters."""
    return "".join(c if c.isprintable() else "?" for c in line).encode("latin-1", "replace").decode("latin-1")


def _tile(picture: np.ndarray) -> Image:
    """A picture whose longer side is TILE pixels."""
    from PIL import Image

    pixels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if pixels.shape[2:] in ((), (1,)):
        pixels = pixels.reshape(pixels.shape[:2])
    scale = TILE / max(pixels.shape[:2])
    size = [max(round(side * scale), 1) for side in pixels.shape[1::-1]]
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).convert("RGB")


# ---- for a terminal ----

SHADES = " ░▒▓█"


def shades(grey: np.ndarray) -> str:
    """A grey picture (h, w) or (h, w, 1) in 0…1 as h lines of text: a shade for each pixel, doubled to be about square."""
    levels = np.round(np.clip(grey.reshape(grey.shape[:2]), 0, 1) * (len(SHADES) - 1)).astype(int)
    return "\n".join("".join(SHADES[level] * 2 for level in row).rstrip() for row in levels)
