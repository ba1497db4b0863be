"""Find the digit in a picture: which of its colours is ink, where it is, how many digits there are.

The way: one plane out of the colours; light evened out; then every guess of how broad the strokes are, dark or
light, is tried on a small copy and the one whose outline the picture supports best is taken; its digit is cut out of
the full picture once more, closely, without printed lines. Nothing is learned here and nothing is random.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..pixels import backdrop, opaque, quantile, resize
from .crops import BROADEST, two_tones, with_paper
from .groups import LYING, digits_among, reading_order, split
from .mnist_form import centre_of_mass, mnist_form
from .morphology import broadest, components, dilate, framed, gaussian, opening
from .ruling import Line, enlarged, painted_over, underline, without_lines
from .scan import tight_scan

SEARCH_SIDE = 256  # pixels of the longer side while searching; strokes of one pixel in 400 survive
SMALL_SIDE = 112  # smaller pictures are enlarged to this first
CLOSE_SIDE = 200  # pixels of the cut-out in which the strokes are separated from the paper
COLOUR_SIDE = 128  # pixels of the longer side while the colours are compared
STROKES = 1 / 3, 1 / 24, 1 / 12, 1 / 6, 1
"""Guesses of the broadest stroke's width, as a fraction of the picture's shorter side; 1: the paper is evenly lit. The first is enough
for most drawings."""
FAINT_RULING = 0.12
"""On lined paper, what is fainter than both the lines and this is a remnant of lines."""
LEAST_CONTRAST = 0.04  # of the range 0…1, light evened out: less is no ink
LEAST_LEVEL = 0.06  # mean contrast of strokes that are not alone in the picture
MOST_UNDERLINES = 4  # that the strokes of one picture may touch
RULED = 6  # lines of a page; fewer may be a frame


class DigitPicture(NamedTuple):
    """A digit in MNIST's form.

    pixels: float32 (28, 28), 0…1, ink bright. count: separate digits that seem to be in the picture. box: left, top,
    right, bottom of this one in pixels of the picture.
    """

    pixels: np.ndarray
    count: int
    box: tuple[int, int, int, int]


class Found(NamedTuple):
    """One digit of a guess. mask: (h, w) bool; box: top, left, bottom, right, in pixels of the search."""

    mask: np.ndarray
    box: np.ndarray


class Guess(NamedTuple):
    """What one guess of the strokes finds; lengths in pixels of the search.

    score: the support of its outline, less for blobs and a little less for light ink; gain: that support. light: light
    ink on dark. stroke: the broadest that it allowed; broadest: what it found. mask, box: of the largest digit; others:
    the rest; line: what underlines it. ink: (h, w), how much each point stands out; level: the mean of that within the
    mask. alone: no edges elsewhere.
    """

    score: float
    gain: float
    light: bool
    stroke: int
    broadest: int
    mask: np.ndarray
    box: np.ndarray
    others: list[Found]
    line: Line | None
    ink: np.ndarray
    level: float
    alone: bool = False


def prepare_digit(image: np.ndarray) -> DigitPicture | None:
    """The largest digit in a picture as MNIST would store it, or None where there is none.

    Args:
        image: (h, w, c) float32 0…1 as `read_image` gives it, of any size.
    """
    return next(_digits(image), None)


def prepare_digits(image: np.ndarray) -> list[DigitPicture]:
    """All digits in a picture, in reading order: lines from top to bottom, each from left to right."""
    digits = list(_digits(image))
    return [digits[i] for i in reading_order([digit.box for digit in digits])]


def _digits(image: np.ndarray) -> Iterator[DigitPicture]:
    """The digits in a picture, the largest first."""
    picture = opaque(image, backdrop(image))
    if (pixels := _already_mnist(picture)) is not None:
        yield DigitPicture(pixels, 1, (0, 0, 28, 28))
        return
    if (alpha := tight_scan(picture)) is not None:
        yield DigitPicture(mnist_form(alpha), 1, (0, 0, picture.shape[1], picture.shape[0]))
        return
    full = picture @ _colour_axis(picture)
    search = _search_size(full)
    padded, margin = with_paper(search, full)
    found = list(_found(padded, _search_size(padded), margin)) if margin else []
    yield from found or _found(full, search)


def _found(full: np.ndarray, search: np.ndarray, margin: int = 0) -> Iterator[DigitPicture]:
    """The digits in a plane, the largest first. search: a small copy; margin: what was added to it on each side."""
    plane, lines = without_lines(search)
    guess = _best_guess(plane, lines)
    for _ in range(MOST_UNDERLINES):
        if guess is None or guess.line is None:
            break
        full = _without(full, guess, search)
        search = _search_size(full)
        plane, lines = without_lines(search)
        guess = _best_guess(plane, lines)
    if guess is None:
        return
    scale = np.array(full.shape) / search.shape
    size = np.tile(np.array(full.shape) - 2 * margin, 2)
    found = [Found(guess.mask, guess.box), *guess.others]
    for mask, box in found:
        alpha = _cut_out(full, guess._replace(mask=mask, box=box), scale, lines.size > 0)
        if alpha is not None:
            corners = np.clip(np.round(box * np.tile(scale, 2)).astype(int) - margin, 0, size)
            top, left, bottom, right = corners.tolist()
            yield DigitPicture(mnist_form(alpha), len(found), (left, top, right, bottom))


def _without(full: np.ndarray, guess: Guess, search: np.ndarray) -> np.ndarray:
    """The full plane without the line that the strokes of a guess touch."""
    assert guess.line is not None
    line = enlarged(guess.line, np.array(full.shape) / search.shape, full.shape[1])
    return -painted_over(-full, line) if guess.light else painted_over(full, line)


def _already_mnist(picture: np.ndarray) -> np.ndarray | None:
    """The picture itself where it has MNIST's form already, dark ink on white made bright on black."""
    if picture.shape[:2] != (28, 28):
        return None
    plane = picture.mean(axis=2)
    plane = 1 - plane if plane[0, 0] > 0.5 else plane
    rows, columns = np.flatnonzero(plane.max(1) > 0.05), np.flatnonzero(plane.max(0) > 0.05)
    if not rows.size or plane.max() < 0.8:
        return None
    longer = max(np.ptp(rows), np.ptp(columns)) + 1
    off = np.abs(centre_of_mass(plane) - 14).max()
    return plane.astype(np.float32) if longer in (19, 20, 21) and off < 0.75 else None


def _search_size(plane: np.ndarray) -> np.ndarray:
    longer = max(plane.shape)
    return _scaled(plane, SEARCH_SIDE / longer if longer > SEARCH_SIDE else max(1, -(-SMALL_SIDE // longer)))


def _scaled(picture: np.ndarray, scale: float) -> np.ndarray:
    return resize(picture, *(max(1, round(side * scale)) for side in picture.shape[:2]))


# ---- colours


def _colour_axis(picture: np.ndarray) -> np.ndarray:
    """Weights (c,) of the channels, along which the strokes differ most from what surrounds them.

    That is the first principal axis of the colours less their blur, strong differences weighted most; so yellow on
    white and red on a green of the same brightness are seen as well as black.
    """
    channels = picture.shape[2]
    if channels == 1:
        return np.ones(1, dtype=np.float32)
    coarse = _scaled(picture, COLOUR_SIDE / max(picture.shape))
    detail = (coarse - gaussian(coarse, 6)).reshape(-1, channels).astype(np.float64)
    strength = (detail**2).sum(axis=1)
    axis = np.linalg.eigh((detail * strength[:, None]).T @ detail)[1][:, -1]
    axis *= 1 if axis.sum() >= 0 else -1
    return (axis / np.abs(axis).sum()).astype(np.float32)


# ---- the search


def _quiet(plane: np.ndarray) -> tuple[np.ndarray, float]:
    """(the plane, blurred according to its noise, the standard deviation of the noise that is left)."""
    plane = gaussian(plane, 0.4 + min(1.5, 25 * _grain(plane, 1)))
    return plane, max(_grain(plane, 4), _grain(plane, 10))


def _grain(plane: np.ndarray, lag: int) -> float:
    """Standard deviation of the noise at a distance of `lag`: second differences, which light hardly moves.

    Their 5th percentile is taken, which strokes hardly change, even of a digit that fills the picture: 0.0627 standard
    deviations for normal noise.
    """
    if len(plane) <= 2 * lag:
        return 0.0
    middle = plane[lag:-lag]
    return quantile(np.abs(plane[2 * lag :] - 2 * middle + plane[: -2 * lag]), 0.05) / 0.0627 / 6**0.5


def _best_guess(plane: np.ndarray, lines: np.ndarray) -> Guess | None:
    """lines: the contrast of each printed line that was taken out of the plane."""
    plane, grain = _quiet(plane)
    ruling = quantile(lines, 0.5) if lines.size else 0.0
    floor = max(LEAST_CONTRAST, min(ruling, FAINT_RULING), 7 * grain)
    least = 1.4 * ruling if lines.size >= RULED else 0.0
    step = dilate(plane, 2) + dilate(-plane, 2)

    def both(part: float) -> list[Guess]:
        found = (_guess(plane, step, floor, grain, light, part) for light in (False, True))
        return [guess for guess in found if guess is not None]

    guesses = both(STROKES[0])
    best = _first_ink(plane, guesses, least)
    if best is None or not best.alone:
        guesses += [guess for part in STROKES[1:] for guess in both(part)]
        best = _first_ink(plane, guesses, least)
    whole = [guess._replace(score=guess.gain) for guess in guesses if best and _completes(guess, best)]
    return _first_ink(plane, whole, least)


def _first_ink(plane: np.ndarray, guesses: list[Guess], least: float) -> Guess | None:
    """The best of the guesses that hold, of strokes with that contrast at least."""
    guesses = sorted(guesses, key=lambda guess: guess.score, reverse=True)
    return next((g for g in guesses if _is_ink(plane if g.light else -plane, g, least)), None)


def _completes(guess: Guess, part: Guess) -> bool:
    """Whether a guess covers another of the same digit: broader strokes may show more of it."""
    size, whole = ((g.box[2:] - g.box[:2]).max() for g in (part, guess))
    return guess.light == part.light and whole <= 1.5 * size and guess.mask[part.mask].mean() > 0.9


def _is_ink(plane: np.ndarray, guess: Guess, least: float) -> bool:
    """Whether a guess is plausible: strokes long enough, on quiet paper, none of them part of something broader.

    plane: ink light, as above_paper takes it. least: their contrast.
    """
    level = guess.level
    if level < least or (level < LEAST_LEVEL and not guess.alone):
        return False
    if guess.broadest - 2 > BROADEST * (guess.box[2:] - guess.box[:2]).max():
        return False
    mask = guess.mask.astype(np.uint8)
    around = (dilate(mask, 5) > 0) & (dilate(mask, 2) == 0)
    if around.any() and quantile(guess.ink[around], 0.9) > 0.5 * level:  # as noisy beside it as in it
        return False
    around = (dilate(mask, 8) > 0) & (dilate(mask, 4) == 0)
    own = dilate(np.where(guess.mask, plane, -np.inf), 8)
    if around.any() and quantile((own - plane)[around], 0.25) < 0.4 * level:  # as dark beside it as in it
        return False
    if guess.stroke * 2 > min(plane.shape):
        return True
    return bool(above_paper(plane, 2 * guess.stroke)[0][guess.mask].mean() < 1.6 * level)


def _guess(
    plane: np.ndarray, step: np.ndarray, floor: float, grain: float, light: bool, part: float
) -> Guess | None:
    """The largest group of strokes, if they are light (or dark) and at most `part` of the picture broad.

    step: the range of values around each point. floor: the least contrast that is ink. grain: of the paper.
    """
    stroke = max(3, round(part * min(plane.shape)))
    ink, lit = above_paper(plane if light else -plane, stroke)
    mask, gain, clean = _strokes(ink, step / lit, floor)
    if not clean:  # again, without what turned out to be a frame or the rest of a shadow
        mask, gain, _ = _strokes(np.where(dilate(mask.astype(np.uint8), 2) > 0, ink, 0), step / lit, floor)
    guess = _main_group(mask, gain, ink, light, stroke) if mask.any() else None
    return guess and guess._replace(alone=_is_alone(guess, step - 4 * grain))


def _is_alone(guess: Guess, step: np.ndarray) -> bool:
    """Whether all edges of the picture, without its grain, are those of the guess: no other guess can find more."""
    edges = step > 0.3 * guess.level
    near = dilate(guess.mask.astype(np.uint8), 3) > 0
    return bool(edges[~near].sum() <= 0.01 * edges.sum())


def above_paper(plane: np.ndarray, stroke: int) -> tuple[np.ndarray, np.ndarray]:
    """(ink, light): how much lighter than the paper each point is, if strokes are at most `stroke` pixels broad.

    Dark ink (a plane that was turned round) is measured relative to the light on its paper, so that it counts as much
    in a shadow; light is that of each point, of the brighter part.
    """
    if stroke >= min(plane.shape):
        return plane - float(two_tones(plane[::2, ::2]).dark), np.ones_like(plane)
    paper = opening(plane, stroke)
    ink = plane - paper
    bright = -paper
    light = (
        np.clip(bright / quantile(bright[::4, ::4], 0.75), 0.4, 1)
        if bright.min() > 0
        else np.ones_like(plane)
    )
    return (ink - quantile(ink[::2, ::2], 0.5)) / light, light


def ink_level(ink: np.ndarray, floor: float) -> float:
    """Typical contrast of the strong ink: faint lines and noise hardly count (Σ ink³ / Σ ink²)."""
    strong = ink[ink > floor].astype(np.float64)
    square = strong * strong
    return float(square @ strong / square.sum()) if strong.size else 0.0


def _strokes(ink: np.ndarray, step: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray, bool]:
    """(mask of the regions that end in edges as ink does, gain of each point of their outline, whether that is all).

    What is left of a shadow, of a vignette or of a wrong guess ends where the light fades; a frame, or the desk round
    a sheet, at the border of the picture. The gain of an outline point is its squared contrast, negative without an edge.
    """
    mask = ink > max(floor, 0.45 * ink_level(ink, floor))
    gain = np.zeros_like(ink)
    if mask.mean() > 0.65:
        return np.zeros_like(mask), gain, True
    found = components(mask)
    inside = framed(mask, 1, False)
    inside = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    y, x = np.nonzero(mask & ~inside)
    height = dilate(ink, 2)[y, x]
    rim = (y == 0) | (x == 0) | (y == mask.shape[0] - 1) | (x == mask.shape[1] - 1)
    edge = (step[y, x] > 0.35 * height) & ~rim
    gain[y, x] = np.where(edge, height, -height) * np.abs(height)
    names, count = found.labels[y, x], len(found.area) + 1
    length, edges, rims = (np.bincount(names, weights, count) for weights in (None, edge, rim))
    good = (edges > 0.85 * length) & (rims < 0.3 * length)
    return good[found.labels], gain, bool(found.area[~good[1:]].sum() <= 0.02 * found.area.sum())


def _main_group(
    mask: np.ndarray, outline: np.ndarray, ink: np.ndarray, light: bool, stroke: int
) -> Guess | None:
    gap = min(3, max(1, stroke // 8))
    groups = split(components(dilate(mask.astype(np.uint8), gap) > 0), mask)
    gains = np.bincount(
        groups.labels.ravel(), weights=(outline * mask).ravel(), minlength=len(groups.area) + 1
    )[1:]
    digits = digits_among(groups, gains)
    if not digits:
        return None
    found = []
    for members in digits:
        box = np.concatenate([groups.box[members, :2].min(0), groups.box[members, 2:].max(0)])
        found.append(Found(np.isin(groups.labels, members + 1) & mask, box))
    chosen, box = found[0]
    height, width = box[2:] - box[:2]
    line = underline(chosen, box)
    if max(height, width) < max(6, 0.025 * max(mask.shape)) or (width > LYING * height and line is None):
        return None  # a speck; a bar that lies
    length = (outline[chosen] != 0).sum() / max(height, width)
    everywhere = (box[2:] - box[:2] > 0.95 * np.array(mask.shape)).all()
    if length < 1.6 or (everywhere and length > 10):
        return None  # an outline runs down both sides of a stroke; one all over the picture is a pattern
    widest = broadest(chosen)
    slender = (1 - widest / max(height, width)) ** 8  # a sheet of paper and the hole in a 0 are not
    usual = 0.85 if light else 1.0
    gain = float(gains[digits[0]].sum())
    level = float(ink[chosen].mean())
    score = usual * slender * gain
    return Guess(score, gain, light, stroke, widest, chosen, box, found[1:], line, ink, level)


# ---- cutting out


def _cut_out(full: np.ndarray, guess: Guess, scale: np.ndarray, ruled: bool) -> np.ndarray | None:
    """Ink coverage 0…1 of the digit that was found, from the full plane around it."""
    size = (guess.box[2:] - guess.box[:2]).max()
    margin = 4 + int(0.3 * size)
    start = np.maximum(guess.box[:2] - margin, 0)
    stop = np.minimum(guess.box[2:] + margin, guess.mask.shape)
    (y0, x0), (y1, x1) = (start * scale).astype(int), np.ceil(stop * scale).astype(int)
    cut = full[y0:y1, x0:x1]
    shape = [max(3, round(side * CLOSE_SIDE / max(cut.shape))) for side in cut.shape]
    zoom = shape[0] / (stop[0] - start[0])
    plane = resize(cut, *shape)
    if ruled:
        plane, _ = without_lines(plane, least=1)
    plane, grain = _quiet(plane if guess.light else -plane)
    mask = guess.mask[start[0] : stop[0], start[1] : stop[1]].astype(np.float32)
    ink, _ = above_paper(plane, round((1.5 * guess.broadest + 3) * zoom))
    near = resize(dilate(mask, 1), *shape) > 0.3
    near = dilate(near.astype(np.uint8), 2 + int(0.5 * zoom)) > 0
    level = ink_level(ink[near], max(0.5 * LEAST_CONTRAST, 4 * grain))
    if level == 0:
        return None
    return np.clip((ink / level - 0.2) / 0.6, 0, 1) * near
