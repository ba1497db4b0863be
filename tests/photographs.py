"""Hard pictures made out of 28×28 digits: photographs, drawings, scans, and the file modes they come in.

`render(kind, digit, seed)` gives the bytes of a picture file; the same arguments give the same bytes. A digit is a
28×28 array, uint8 or 0…1, ink bright. `KINDS` names what there is. Numbers are drawn wide on purpose: a reader of
pictures that copes with these should cope with other people's.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

Stage = np.ndarray  # (height, width) ink coverage 0…1, or (height, width, 3) colour 0…1


def render(kind: str, digit: np.ndarray, seed: int = 0) -> bytes:
    """The picture file of one kind of photograph of a digit."""
    digit = np.asarray(digit, dtype=np.float32)
    digit = digit / 255 if digit.max() > 1 else digit
    return KINDS[kind](digit, np.random.default_rng([seed, *kind.encode()]))


# ---- files


def encode(colour: Stage, rng=None, format: str = "PNG", **options) -> bytes:
    image = Image.fromarray(np.round(np.clip(colour, 0, 1) * 255).astype(np.uint8))
    return save(
        image,
        "JPEG" if rng is not None else format,
        **({"quality": int(rng.integers(30, 81))} if rng is not None else options),
    )


def save(image: Image.Image, format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


# ---- ink


def resized(plane: Stage, height: int, width: int) -> Stage:
    return np.asarray(
        Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    )


def blurred(plane: Stage, radius: float) -> Stage:
    """Gaussian blur of a plane, in 16 bits so that faint things keep their shape."""
    if plane.ndim == 3:
        return np.stack([blurred(plane[..., i], radius) for i in range(plane.shape[2])], axis=-1)
    size = max(1, int(3 * radius + 0.5))
    weights = np.exp(-0.5 * (np.arange(-size, size + 1) / max(radius, 1e-3)) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (0, 1):
        wide = np.pad(plane, [(size, size) if i == axis else (0, 0) for i in (0, 1)], mode="edge")
        plane = sum(
            w * np.take(wide, np.arange(i, i + plane.shape[axis]), axis) for i, w in enumerate(weights)
        )
    return plane.astype(np.float32)


def shape_of(digit: np.ndarray, height: int) -> Stage:
    """The digit enlarged smoothly to a given height of its ink: coverage with crisp edges, in a margin of its own."""
    rows, columns = np.flatnonzero(digit.max(1) > 0.2), np.flatnonzero(digit.max(0) > 0.2)
    cut = np.pad(digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 3)
    scale = height / (len(cut) - 6) if len(cut) >= cut.shape[1] else height / (cut.shape[1] - 6)
    large = resized(cut, round(len(cut) * scale), round(cut.shape[1] * scale))
    large = blurred(large, 0.35 * scale)
    return np.clip((large - 0.45) * 0.8 * scale + 0.5, 0, 1)


def skeleton(mask: np.ndarray) -> np.ndarray:
    """Zhang and Suen's thinning (1984) of a boolean mask."""
    mask = np.pad(mask, 1).astype(np.uint8)
    changed = True
    while changed:
        changed = False
        for first in (True, False):
            ring = [
                np.roll(mask, shift, (0, 1))
                for shift in ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
            ]
            north, _, east, _, south, _, west, _ = ring
            neighbours = sum(ring)
            turns = sum((ring[i] == 0) & (ring[(i + 1) % 8] == 1) for i in range(8))
            ends = (east & south) * (north | west) if first else (north & west) * (east | south)
            drop = (mask == 1) & (neighbours >= 2) & (neighbours <= 6) & (turns == 1) & (ends == 0)
            mask[drop] = 0
            changed |= bool(drop.any())
    return mask[1:-1, 1:-1].astype(bool)


def joined(mask: np.ndarray, parts: int) -> np.ndarray:
    """Points (n, 2) of a thin mask, with the ways between neighbours cut into so many parts."""
    wide = np.pad(mask, 1)
    points = [np.argwhere(mask).astype(float)]
    for step in ((0, 1), (1, 0), (1, 1), (1, -1)):
        starts = np.argwhere(wide & np.roll(wide, np.negative(step), (0, 1))) - 1
        points += [starts + np.array(step) * i / parts for i in range(1, parts)]
    return np.concatenate(points)


def pen(digit: np.ndarray, height: int, width: float) -> Stage:
    """The digit redrawn with a round pen of constant width, in pixels."""
    base = shape_of(digit, 140) > 0.5
    line = joined(skeleton(base), max(1, round(height / 70 / width))) * (height / 140)
    shape = [round(side * height / 140) + 2 * int(width) + 4 for side in base.shape]
    coverage = np.zeros(shape, dtype=np.float32)
    reach = int(width / 2 + 2)
    steps = np.arange(-reach, reach + 1)
    for dy in steps:
        for dx in steps:
            spot = np.round(line).astype(int) + int(width) + 2
            distance = np.hypot(
                spot[:, 0] + dy - line[:, 0] - int(width) - 2, spot[:, 1] + dx - line[:, 1] - int(width) - 2
            )
            np.maximum.at(
                coverage, (spot[:, 0] + dy, spot[:, 1] + dx), np.clip(width / 2 - distance + 0.5, 0, 1)
            )
    return coverage


def turned(ink: Stage, rng, degrees: float = 8, shear: float = 0.12) -> Stage:
    """A slight turn, shear and keystone, in a margin large enough."""
    margin = int(0.2 * max(ink.shape)) + 2
    ink = np.pad(ink, margin)
    height, width = ink.shape
    angle, slant = np.deg2rad(rng.uniform(-degrees, degrees)), rng.uniform(-shear, shear)
    cos, sin, keystone = np.cos(angle), np.sin(angle), rng.uniform(-0.15, 0.15) / height
    a, b, d, e = cos, -sin + slant, sin, cos
    cy, cx = height / 2, width / 2
    matrix = np.array([[1, 0, cx], [0, 1, cy], [0, 0, 1.0]]) @ np.array(
        [[a, b, 0], [d, e, 0], [0, keystone, 1.0]]
    )
    matrix = matrix @ np.array([[1, 0, -cx], [0, 1, -cy], [0, 0, 1.0]])
    data = (matrix / matrix[2, 2]).ravel()[:8]
    image = Image.fromarray(ink.astype(np.float32))
    return trimmed(
        np.asarray(image.transform(image.size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BILINEAR))
    )


def trimmed(ink: Stage) -> Stage:
    rows, columns = np.flatnonzero(ink.max(1) > 0.1), np.flatnonzero(ink.max(0) > 0.1)
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def drawn(digit: np.ndarray, rng, height: int, pens: bool = True) -> Stage:
    """A digit of a given height as drawn, or retraced with some pen; slightly turned."""
    retraced = pens and rng.random() < 0.5
    ink = pen(digit, height, height * rng.uniform(0.02, 0.09)) if retraced else shape_of(digit, height)
    return turned(trimmed(ink), rng)


def placed(ink: Stage, height: int, width: int, rng, centred: bool = False) -> Stage:
    """The ink on an empty page, anywhere that it fits; cut where the page is smaller."""
    ink = ink[:height, :width]
    page = np.zeros((height, width), dtype=np.float32)
    room = height - ink.shape[0], width - ink.shape[1]
    top, left = (room[0] // 2, room[1] // 2) if centred else (int(rng.integers(0, r + 1)) for r in room)
    page[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return page


def page_of(digit, rng, low: float = 0.3, high: float = 0.75, size=(260, 700), pens: bool = True) -> Stage:
    """A page with the digit somewhere on it, `low` to `high` of its height tall."""
    height = int(rng.integers(*size))
    width = int(height * rng.uniform(0.75, 1.33))
    ink = drawn(digit, rng, int(min(height, width) * rng.uniform(low, high)), pens)
    return placed(ink, height, width, rng)


# ---- paper, light, camera


def grid(shape) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates −1…1 down and across."""
    return np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")


def uneven_light(shape, rng, strength: float = 0.6) -> Stage:
    """A slope, a vignette, and the soft or hard edge of a shadow: brightness 0…1."""
    y, x = grid(shape)
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 - strength * rng.uniform(0.2, 0.9) * (0.5 + (np.cos(angle) * x + np.sin(angle) * y) / 2.83)
    light = light * (1 - rng.uniform(0, 0.45) * strength * (x**2 + y**2))
    if rng.random() < 0.5:
        light = light * shadow(shape, rng, rng.uniform(0.45, 0.8))
    return np.clip(light, 0.05, 1).astype(np.float32)


def shadow(shape, rng, depth: float) -> Stage:
    """1 in the light, `depth` in the shadow; a straight or curved edge across the page, hard or soft."""
    y, x = grid(shape)
    angle, offset, bend = rng.uniform(0, 2 * np.pi), rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5)
    across, along = np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y
    side = (across - offset + bend * along**2) / rng.choice([0.01, 0.05, 0.2])
    return (depth + (1 - depth) / (1 + np.exp(-np.clip(side, -50, 50)))).astype(np.float32)


def texture(shape, rng, strength: float = 0.02) -> Stage:
    """Paper fibres: noise at three sizes, mean 1."""
    total = np.ones(shape, dtype=np.float32)
    for cell in (1, 3, 12):
        coarse = rng.normal(size=[-(-s // cell) + 1 for s in shape]).astype(np.float32)
        total += strength / 1.7 * resized(coarse, *[s * cell for s in coarse.shape])[: shape[0], : shape[1]]
    return total


def camera(colour: Stage, rng, noise=(0.005, 0.04), blur=(0.3, 1.3)) -> Stage:
    """Lens blur, then sensor noise (partly of colour)."""
    colour = blurred(colour, rng.uniform(*blur))
    sigma = rng.uniform(*noise)
    grain = rng.normal(0, sigma, (*colour.shape[:2], 1)) + rng.normal(0, sigma / 2, (*colour.shape[:2], 3))
    return colour + grain.astype(np.float32)


def inked(coverage: Stage, paper, ink) -> Stage:
    """Paper where there is no ink, ink where there is; colours (3,) or pages (h, w, 3)."""
    paper, ink = np.asarray(paper, dtype=np.float32), np.asarray(ink, dtype=np.float32)
    return paper + coverage[..., None] * (ink - paper)


def white(rng) -> np.ndarray:
    return rng.uniform(0.75, 1) * np.array([1, rng.uniform(0.95, 1), rng.uniform(0.85, 1)])


def dark(rng) -> np.ndarray:
    """Black, blue or pencil grey."""
    return np.array(
        [[0.05, 0.05, 0.05], [0.1, 0.15, 0.5], [0.35, 0.35, 0.37]][rng.integers(3)]
    ) * rng.uniform(0.7, 1.2)


def lines(shape, rng, across: bool, spacing: float, phase: float, tilt: float, width: float) -> Stage:
    """Coverage of parallel printed lines."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    position = (y + tilt * x if across else x - tilt * y) / spacing + phase
    distance = np.abs(position - np.round(position)) * spacing
    return np.clip(width / 2 - distance + 0.5, 0, 1) * min(1, width)


def printed(shape, rng, squared: bool) -> tuple[Stage, np.ndarray]:
    """Ruled or squared paper: coverage of the lines, and their colour."""
    spacing = min(shape) * rng.uniform(0.05, 0.14) * (0.8 if squared else 1.2)
    tilt, width = rng.uniform(-0.06, 0.06), rng.uniform(0.8, 2.2)
    cover = lines(shape, rng, True, spacing, rng.random(), tilt, width)
    if squared:
        cover = np.maximum(cover, lines(shape, rng, False, spacing, rng.random(), tilt, width))
    colour = np.array(
        [[0.55, 0.7, 0.9], [0.7, 0.7, 0.7], [0.6, 0.8, 0.7], [0.45, 0.55, 0.8]][rng.integers(4)]
    )
    return cover, colour


# ---- the kinds


def photo(digit, rng) -> bytes:
    """Paper under uneven light, with sensor noise, as a JPEG of quality 30 to 80."""
    coverage = page_of(digit, rng)
    page = inked(coverage, white(rng), dark(rng)) * texture(coverage.shape, rng)[..., None]
    return encode(camera(page * uneven_light(coverage.shape, rng)[..., None], rng), rng)


def hard_shadow(digit, rng) -> bytes:
    coverage = page_of(digit, rng, 0.4, 0.8)
    page = (
        inked(coverage, white(rng), dark(rng)) * shadow(coverage.shape, rng, rng.uniform(0.4, 0.7))[..., None]
    )
    return encode(camera(page, rng, (0.003, 0.02)), rng)


def ruled(digit, rng, squared: bool = False) -> bytes:
    coverage = page_of(digit, rng, 0.35, 0.85)
    cover, colour = printed(coverage.shape, rng, squared)
    page = inked(cover, white(rng), colour)
    if not squared and rng.random() < 0.5:
        margin = lines(coverage.shape, rng, False, 9999, rng.uniform(0.85, 0.97), 0, 2)
        page = inked(margin, page, [0.85, 0.4, 0.4])
    page = inked(coverage, page, dark(rng)) * uneven_light(coverage.shape, rng, 0.35)[..., None]
    return encode(camera(page, rng, (0.003, 0.02), (0.3, 0.9)), rng)


def squared(digit, rng) -> bytes:
    return ruled(digit, rng, True)


COLOURS = (  # ink, paper
    ((0.95, 0.85, 0.1), (1, 1, 1)),  # yellow on white
    ((0.6, 0.8, 1), (1, 1, 1)),  # light blue on white
    ((0.85, 0.2, 0.2), (0.25, 0.45, 0.25)),  # red on green, about the same luminance
    ((0.1, 0.3, 0.9), (0.95, 0.9, 0.5)),
    ((1, 1, 1), (0.1, 0.2, 0.6)),
    ((0.9, 0.3, 0.6), (0.9, 0.9, 0.9)),
    ((0.2, 0.6, 0.3), (0.75, 0.7, 0.6)),
    ((0.95, 0.9, 0.3), (0.1, 0.3, 0.2)),  # chalk on a board
    ((0.5, 0.1, 0.1), (0.7, 0.6, 0.9)),
    ((0.75, 0.75, 0.75), (1, 1, 1)),  # hard pencil
)


def coloured(digit, rng) -> bytes:
    coverage = page_of(digit, rng)
    ink, paper = COLOURS[rng.integers(len(COLOURS))]
    page = inked(coverage, paper, ink) * uneven_light(coverage.shape, rng, 0.2)[..., None]
    return encode(camera(page, rng, (0.002, 0.015)), rng)


def small(digit, rng) -> bytes:
    """A digit of 4 to 10 % on a large page."""
    coverage = page_of(digit, rng, 0.04, 0.1, (700, 1400), pens=False)
    page = inked(coverage, white(rng), dark(rng)) * uneven_light(coverage.shape, rng, 0.3)[..., None]
    return encode(camera(page, rng, (0.003, 0.012), (0.3, 0.8)), rng)


def thin(digit, rng) -> bytes:
    """A line of one pixel or two, the digit 400 pixels or less."""
    height = int(rng.integers(120, 400))
    ink = turned(pen(digit, height, rng.uniform(1, 2)), rng)
    coverage = placed(ink, int(ink.shape[0] * 1.4), int(ink.shape[1] * 1.8), rng)
    return encode(np.repeat(1 - coverage[..., None] * rng.uniform(0.5, 1), 3, axis=2))


def thick(digit, rng) -> bytes:
    height = int(rng.integers(150, 400))
    ink = turned(pen(digit, height, height * rng.uniform(0.14, 0.2)), rng)
    coverage = placed(ink, int(ink.shape[0] * 1.3), int(ink.shape[1] * 1.5), rng)
    page = inked(coverage, white(rng), dark(rng)) * uneven_light(coverage.shape, rng, 0.2)[..., None]
    return encode(camera(page, rng, (0.001, 0.01)), rng)


def inverted(digit, rng) -> bytes:
    """Chalk or a screen: light on dark."""
    coverage = page_of(digit, rng) * rng.uniform(0.6, 1)
    page = inked(coverage, rng.uniform(0, 0.3, 3), rng.uniform(0.7, 1, 3))
    return encode(camera(page * uneven_light(coverage.shape, rng, 0.3)[..., None], rng, (0, 0.02)), rng)


def drawing(digit, rng) -> bytes:
    """Drawn on a screen: clean, one pen."""
    ink = pen(digit, int(rng.integers(100, 300)), rng.uniform(5, 16))
    coverage = placed(turned(ink, rng, 4), 400, 400, rng)
    return encode(coverage if rng.random() < 0.5 else 1 - coverage)


def transparent(digit, rng, tone: float = 0.0) -> bytes:
    coverage = page_of(digit, rng)
    layers = np.full((*coverage.shape, 4), tone, dtype=np.float32)
    layers[..., 3] = coverage
    layers[coverage == 0, :3] = rng.choice([0.0, 1.0])  # what programs leave under nothing differs
    return encode(layers)


def transparent_white(digit, rng) -> bytes:
    return transparent(digit, rng, 1.0)


def palette(digit, rng) -> bytes:
    """A photograph in the 216 dithered colours of the web, or a drawing in 4 to 16 colours; PNG or GIF."""
    if rng.random() < 0.5:
        image = Image.open(io.BytesIO(photo(digit, rng))).convert("P")
    else:
        coverage = page_of(digit, rng)
        ink, paper = COLOURS[rng.integers(len(COLOURS))]
        image = Image.fromarray(np.round(inked(coverage, paper, ink) * 255).astype(np.uint8))
        image = image.quantize(int(rng.integers(4, 17)))
    return save(image, "GIF" if rng.random() < 0.5 else "PNG")


def deep(digit, rng) -> bytes:
    """16 bits a pixel, of which the picture may use a few thousand steps only."""
    coverage = page_of(digit, rng)
    grey = camera(inked(coverage, white(rng), dark(rng)), rng, (0.001, 0.01))[..., 0]
    top = rng.choice([4095, 16383, 65535])
    return save(
        Image.fromarray(np.clip(grey * 0.9 * top, 0, top).astype(np.uint16)), rng.choice(["PNG", "TIFF"])
    )


def cmyk(digit, rng) -> bytes:
    coverage = page_of(digit, rng)
    page = inked(coverage, white(rng), dark(rng)) * uneven_light(coverage.shape, rng, 0.3)[..., None]
    image = Image.fromarray(np.round(np.clip(page, 0, 1) * 255).astype(np.uint8)).convert("CMYK")
    return save(image, "JPEG", quality=70) if rng.random() < 0.5 else save(image, "TIFF")


UPRIGHT = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def exif(digit, rng) -> bytes:
    """Stored lying or standing on its head, as phones do, with the tag that says so."""
    orientation = int(rng.choice(list(UPRIGHT)))
    image = Image.open(io.BytesIO(photo(digit, rng))).transpose(UPRIGHT[orientation])
    tags = Image.Exif()
    tags[0x0112] = orientation
    return save(image, "JPEG", quality=85, exif=tags)


def out_of_focus(digit, rng) -> bytes:
    coverage = page_of(digit, rng, 0.4, 0.7)
    page = inked(coverage, white(rng), dark(rng))
    page = blurred(page, min(coverage.shape) * rng.uniform(0.006, 0.018))
    return encode(camera(page, rng, (0.002, 0.02)), rng)


def pencil(digit, rng) -> bytes:
    """Grainy grey strokes that break up."""
    coverage = page_of(digit, rng)
    grain = blurred(rng.normal(size=coverage.shape).astype(np.float32), rng.uniform(0.7, 1.6))
    coverage = coverage * np.clip(0.6 + 0.5 * grain / grain.std(), 0, 1)
    page = (
        inked(coverage, white(rng), np.full(3, rng.uniform(0.3, 0.55)))
        * texture(coverage.shape, rng)[..., None]
    )
    return encode(camera(page * uneven_light(coverage.shape, rng, 0.3)[..., None], rng, (0.002, 0.02)), rng)


def touching(digit, rng) -> bytes:
    """Cut out close: the ink reaches the border, or stops a pixel or two before it."""
    ink = drawn(digit, rng, int(rng.integers(40, 300)))
    coverage = np.pad(ink, int(rng.integers(0, 3)))
    return encode(camera(inked(coverage, white(rng), dark(rng)), rng, (0, 0.015), (0.1, 0.8)), rng)


def on_a_desk(digit, rng) -> bytes:
    """A sheet on a darker or coloured desk."""
    sheet = page_of(digit, rng, 0.35, 0.65, (220, 500))
    page = inked(sheet, white(rng), dark(rng))
    rims = [int(r) for r in rng.uniform(0.02, 0.25, 4) * min(sheet.shape)]
    desk = rng.uniform(0.05, 0.6, 3) * rng.uniform(0.4, 1)
    whole = np.empty(
        (sheet.shape[0] + rims[0] + rims[1], sheet.shape[1] + rims[2] + rims[3], 3), dtype=np.float32
    )
    whole[:] = desk
    whole *= texture(whole.shape[:2], rng, 0.05)[..., None]
    whole[rims[0] : rims[0] + sheet.shape[0], rims[2] : rims[2] + sheet.shape[1]] = page
    image = Image.fromarray(np.round(np.clip(whole, 0, 1) * 255).astype(np.uint8))
    image = image.rotate(
        rng.uniform(-4, 4), Image.Resampling.BICUBIC, fillcolor=tuple(int(c * 255) for c in desk)
    )
    whole = np.asarray(image, dtype=np.float32) / 255 * uneven_light(whole.shape[:2], rng, 0.3)[..., None]
    return encode(camera(whole, rng, (0.002, 0.02)), rng)


def dirty(digit, rng) -> bytes:
    """Specks, a printed frame near the border, a coffee ring's worth of shading."""
    coverage = page_of(digit, rng, 0.4, 0.6)
    height, width = coverage.shape
    for _ in range(int(rng.integers(3, 25))):
        y, x, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0.5, 0.008 * height + 0.6)
        rows, columns = np.ogrid[:height, :width]
        coverage = np.maximum(coverage, np.clip(radius - np.hypot(rows - y, columns - x) + 0.5, 0, 1))
    if rng.random() < 0.6:
        coverage = np.pad(coverage, int(rng.uniform(2, 12)))
        coverage = np.pad(coverage, int(rng.integers(1, 6)), constant_values=1)
        coverage = np.pad(coverage, int(rng.integers(0, 10)))
    page = inked(coverage, white(rng), dark(rng)) * uneven_light(coverage.shape, rng, 0.3)[..., None]
    return encode(camera(page, rng, (0.002, 0.015)), rng)


def tiny(digit, rng) -> bytes:
    """A thumbnail: 16 to 40 pixels in all."""
    coverage = placed(drawn(digit, rng, 200, pens=False), 300, 300, rng)
    side = int(rng.integers(16, 41))
    grey = resized(inked(coverage, white(rng), dark(rng))[..., 0], side, side)
    return encode(grey + rng.normal(0, 0.01, grey.shape))


def plain_mnist(digit, rng) -> bytes:
    return encode(digit)


def white_mnist(digit, rng) -> bytes:
    return encode(1 - digit)


def large_mnist(digit, rng) -> bytes:
    """The 28×28 picture enlarged, hard or soft pixels, either polarity."""
    side = int(rng.integers(56, 600))
    how = Image.Resampling.NEAREST if rng.random() < 0.5 else Image.Resampling.BICUBIC
    image = Image.fromarray((digit * 255).astype(np.uint8)).resize((side, side), how)
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(side / 100))
    return encode(np.abs(int(rng.integers(2)) - np.asarray(image, dtype=np.float32) / 255))


KINDS = {
    function.__name__: function
    for function in (
        plain_mnist, white_mnist, large_mnist, drawing, photo, hard_shadow, ruled, squared, coloured, small, thin, thick,
        inverted, transparent, transparent_white, palette, deep, cmyk, exif, out_of_focus, pencil, touching, on_a_desk,
        dirty, tiny,
    )
}  # fmt: skip
