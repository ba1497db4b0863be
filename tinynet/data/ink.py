"""Find the digit in a picture and bring it into MNIST's form: 28×28, ink bright, 20×20 box, centre of mass.

The way: one plane out of the colours → light evened out → which of dark and light is the ink → contrast above the
paper → printed lines removed → strokes → the largest group of strokes → thickness, size and place as in MNIST.
Nothing is learned here and nothing is random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinynet.data.components import Components, components, dilate, gaussian, opening
from tinynet.data.images import opaque, resize

WORK_SIDE = 480  # pixels of the longer side while searching; strokes of one pixel in 400 survive
SMALL_SIDE = 112  # smaller pictures are enlarged to this first
LEAST_CONTRAST = 0.03  # of the range 0…1, after evening out the light: less is no ink


@dataclass(frozen=True)
class DigitPicture:
    """A digit in MNIST's form.

    pixels: float32 (28, 28), 0…1, ink bright. count: separate digits that seem to be in the picture; `pixels` is the
    largest of them. box: left, top, right, bottom of that one in pixels of the picture.
    """

    pixels: np.ndarray
    count: int
    box: tuple[int, int, int, int]


def prepare_digit(image: np.ndarray) -> DigitPicture | None:
    """The largest digit in a picture as MNIST would store it, or None where there is none.

    Args:
        image: (h, w, c) float32 0…1 as `tinynet.data.images.read_image` gives it, of any size.
    """
    picture = opaque(image, _backdrop(image))
    if (pixels := _already_mnist(picture)) is not None:
        return DigitPicture(pixels, 1, (0, 0, 28, 28))
    work = _working_size(picture)
    ink = find_ink(work)
    if ink is None:
        return None
    found = _largest_digit(ink)
    if found is None:
        return None
    alpha, count, (top, left, bottom, right) = found
    y, x = picture.shape[0] / work.shape[0], picture.shape[1] / work.shape[1]
    box = int(left * x), int(top * y), int(np.ceil(right * x)), int(np.ceil(bottom * y))
    return DigitPicture(mnist_form(alpha), count, box)


def _backdrop(image: np.ndarray) -> np.ndarray | float:
    """What to lay a transparent picture on: its own paper if it has any, else what its ink stands out from."""
    if image.shape[2] != 4:
        return 1.0
    opacity = image[..., 3]
    solid = image[opacity > 0.5][:, :3]
    if not len(solid):
        return 1.0
    grey = solid.mean(axis=1)
    if len(solid) > 0.3 * opacity.size and np.subtract(*np.percentile(grey, [97, 3])) > 0.2:
        return np.median(solid, axis=0)
    return 1.0 if np.median(grey) < 0.5 else 0.0


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
    off = np.abs(_centre_of_mass(plane) - 14).max()
    return plane.astype(np.float32) if longer in (19, 20, 21) and off < 0.75 else None


def _centre_of_mass(plane: np.ndarray) -> np.ndarray:
    total = plane.sum()
    return np.array([
        (plane.sum(1) * np.arange(plane.shape[0])).sum() / total,
        (plane.sum(0) * np.arange(plane.shape[1])).sum() / total,
    ])


def _working_size(picture: np.ndarray) -> np.ndarray:
    longer = max(picture.shape[:2])
    scale = WORK_SIDE / longer if longer > WORK_SIDE else max(1, -(-SMALL_SIDE // longer))
    return resize(picture, *(max(1, round(side * scale)) for side in picture.shape[:2]))


# ---- from colours to ink


def find_ink(picture: np.ndarray) -> np.ndarray | None:
    """Contrast of ink above its paper, float32 (h, w), 0 where there is paper; None for a picture without ink."""
    picture = _evenly_lit(picture)
    plane = _one_plane(picture)
    noise = 1.4826 * float(np.median(np.abs(plane - gaussian(plane, 1.5))))
    plane = gaussian(plane, 0.4 + min(1.5, 25 * noise))
    ink, paper = _above_paper(plane)
    ink = ink - np.median(ink)
    spread = 1.4826 * float(np.median(np.abs(ink)))
    floor = max(LEAST_CONTRAST, 6 * spread)
    if (ink > floor).sum() < 4:
        return None
    return np.where(ink > 0, ink, 0) if floor else ink


def _evenly_lit(picture: np.ndarray) -> np.ndarray:
    """Divide by a quadratic surface fitted to the paper (iterated least squares, Cauchy weights)."""
    grey = picture.mean(axis=2)
    coarse = resize(grey, *(min(32, side) for side in grey.shape))
    terms = _quadratic(coarse.shape)
    weights = np.ones(coarse.size)
    for _ in range(8):
        factors = np.linalg.lstsq(terms * weights[:, None], coarse.ravel() * weights, rcond=None)[0]
        error = np.abs(coarse.ravel() - terms @ factors)
        weights = 1 / (1 + (error / (2 * np.median(error) + 0.005)) ** 2)
    light = (_quadratic(grey.shape) @ factors).reshape(grey.shape).astype(np.float32) + 0.05
    light = np.clip(light, 0.15 * light.max(), None)
    return picture * (np.median(light) / light)[..., None]


def _quadratic(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    return np.stack([np.ones_like(y), y, x, y * y, y * x, x * x], axis=-1).reshape(-1, 6)


def _one_plane(picture: np.ndarray) -> np.ndarray:
    """Project colours on the direction in which the strokes differ from what surrounds them.

    That is the first principal axis of the colours less their blur, strong differences weighted most; so yellow on
    white and red on a green of the same brightness are seen as well as black.
    """
    if picture.shape[2] == 1:
        return picture[..., 0]
    coarse = gaussian(picture[::2, ::2], 0.7)
    detail = (coarse - gaussian(coarse, 6)).reshape(-1, 3).astype(np.float64)
    strength = (detail**2).sum(axis=1)
    axis = np.linalg.eigh((detail * strength[:, None]).T @ detail)[1][:, -1]
    axis *= 1 if axis.sum() >= 0 else -1
    return (picture @ (axis / np.abs(axis).sum())).astype(np.float32)


def _above_paper(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(ink, paper): how far the ink lies from the paper around it, dark or light."""
    plane = plane if _light_ink(plane) else -plane
    paper = opening(plane, max(3, int(0.35 * min(plane.shape))))
    bright = np.abs(paper) + 0.1
    return (plane - paper) * (bright.max() / bright), paper


def _light_ink(plane: np.ndarray) -> bool:
    """Whether taking away what is narrow and light leaves less edges than taking away what is narrow and dark.

    Strokes are narrower than what they enclose, so the sizes at which each kind vanishes tell them apart.
    """
    half = plane[::2, ::2] if min(plane.shape) > 100 else plane
    left = {True: 0.0, False: 0.0}
    for part in (1 / 24, 1 / 12, 1 / 6, 1 / 3):
        size = max(2, round(part * min(half.shape)))
        left[True] += _edges(opening(half, size))
        left[False] += _edges(opening(-half, size))
    return left[True] < left[False]


def _edges(plane: np.ndarray) -> float:
    return float((np.diff(plane, axis=0) ** 2).sum() + (np.diff(plane, axis=1) ** 2).sum())


# ---- from ink to a digit


def _level(ink: np.ndarray, floor: float) -> float:
    """Typical contrast of the strong ink: faint lines and noise hardly count (Σ ink³ / Σ ink²)."""
    strong = ink[ink > floor].astype(np.float64)
    return float((strong**3).sum() / (strong**2).sum()) if strong.size else 0.0


def _largest_digit(ink: np.ndarray) -> tuple[np.ndarray, int, tuple[int, int, int, int]] | None:
    level = _level(ink, LEAST_CONTRAST)
    mask = ink > 0.45 * level
    if not mask.any():
        return None
    found = components(mask)
    found = _without_frames(found)
    size = np.maximum(found.box[:, 2] - found.box[:, 0], found.box[:, 3] - found.box[:, 1])
    if not size.size or size.max() < 0.03 * max(ink.shape):
        return None
    main = int(np.argmax(size * np.sqrt(found.area)))
    groups = _groups(found, main)
    chosen = np.isin(found.labels, groups + 1)
    near = dilate(chosen.astype(np.float32), 3) > 0
    others = (found.labels > 0) & ~chosen
    typical = float(np.median(ink[chosen]))
    alpha = np.clip((ink / typical - 0.2) / 0.6, 0, 1) * (near & ~others)
    box = found.box[groups]
    top, left, bottom, right = (*box[:, :2].min(0), *box[:, 2:].max(0))
    margin = 4
    rows = slice(max(0, top - margin), bottom + margin)
    columns = slice(max(0, left - margin), right + margin)
    return alpha[rows, columns], 1, (int(top), int(left), int(bottom), int(right))


def _without_frames(found: Components) -> Components:
    height, width = found.labels.shape
    keep = np.ones(len(found.area), dtype=bool)
    for i, (top, left, bottom, right) in enumerate(found.box):
        if found.area[i] < 3:
            keep[i] = False
            continue
        if top > 1 and left > 1 and bottom < height - 1 and right < width - 1:
            continue
        mine = found.labels == i + 1
        contact = np.array([mine[:2].any(0).mean(), mine[-2:].any(0).mean(), mine[:, :2].any(1).mean(), mine[:, -2:].any(1).mean()])
        depth = np.array([bottom, height - top, right, width - left]) / np.array([height, height, width, width])
        if contact.sum() > 2 or ((contact > 0.8) & (depth < 0.3)).any():
            keep[i] = False
    return _selected(found, keep)


def _selected(found: Components, keep: np.ndarray) -> Components:
    names = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)])
    return Components(names[found.labels], found.area[keep], found.box[keep])


def _groups(found: Components, main: int) -> np.ndarray:
    top, left, bottom, right = found.box[main]
    reach = 0.12 * max(bottom - top, right - left)
    b = found.box
    gap_y = np.maximum(b[:, 0] - bottom, top - b[:, 2])
    gap_x = np.maximum(b[:, 1] - right, left - b[:, 3])
    close = (gap_y < reach) & (gap_x < reach) & (found.area > 0.01 * found.area[main])
    return np.flatnonzero(close)


# ---- MNIST's form

FINE = 80  # pixels of the box while the strokes are measured: 4 to one of MNIST
THICKNESS = 1.9 * 4, 3.1 * 4  # of most MNIST strokes, at that size


def mnist_form(alpha: np.ndarray) -> np.ndarray:
    """A cut-out digit, (h, w) ink coverage 0…1, in MNIST's form: float32 (28, 28).

    Its strokes are brought to MNIST's thickness where they are far off; the box of the ink is scaled to fit 20×20,
    antialiased, and placed so that the centre of mass lies at the centre (LeCun et al. 1998).
    """
    fine = _to_box(alpha, FINE)
    thickness = stroke_thickness(fine)
    change = np.clip(thickness, *THICKNESS) - thickness
    if change > 0.5:
        fine = _to_box(_grown(np.pad(fine, 8), change / 2), FINE)
    elif change < -0.5:
        fine = _to_box(1 - _grown(1 - fine, min(-change / 2, 0.3 * thickness)), FINE)
    small = np.clip(_to_box(fine, 20), 0, 1)
    small /= max(float(np.percentile(small[small > 0.3], 90)) if (small > 0.3).any() else 1.0, 0.3)
    return _centred(np.clip(small, 0, 1))


def _to_box(alpha: np.ndarray, side: int) -> np.ndarray:
    """The ink's bounding box scaled so that its longer side is `side` pixels."""
    rows, columns = np.flatnonzero(alpha.max(1) > 0.4), np.flatnonzero(alpha.max(0) > 0.4)
    cut = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = side / max(cut.shape)
    return np.clip(resize(cut, *(max(1, round(length * scale)) for length in cut.shape)), 0, 1)


def stroke_thickness(alpha: np.ndarray) -> float:
    """Mean thickness in pixels: twice the area over the length of the outline (its total variation)."""
    wide = np.pad(alpha, 1)
    outline = np.hypot(wide[1:, 1:] - wide[:-1, 1:], wide[1:, 1:] - wide[1:, :-1]).sum()
    return 2 * float(alpha.sum()) / max(float(outline), 1e-6)


def _grown(alpha: np.ndarray, radius: float) -> np.ndarray:
    """Dilate by a disc of a radius that need not be whole."""
    reach = int(np.ceil(radius))
    wide = np.pad(alpha, reach, mode="edge")
    result = alpha
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            weight = min(1.0, radius + 1 - np.hypot(dy, dx))
            if weight > 0 and (dy or dx):
                shifted = wide[reach + dy : reach + dy + alpha.shape[0], reach + dx : reach + dx + alpha.shape[1]]
                result = np.maximum(result, weight * shifted)
    return result


def _centred(small: np.ndarray) -> np.ndarray:
    """In 28×28, the centre of mass within half a pixel of (14, 14)."""
    canvas = np.zeros((28, 28), dtype=np.float32)
    corner = np.round(14 - _centre_of_mass(small)).astype(int)
    top, left = np.clip(corner, 0, 28 - np.array(small.shape))
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas
