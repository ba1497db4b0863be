"""Reading pictures of every kind, and refusing what is none."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, features

from tinynet.data.pictures.read import MAX_SIDE, read_image
from tinynet.errors import ImageError


def picture(height: int = 20, width: int = 30) -> np.ndarray:
    """Smooth colours, different in every corner: uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * y / height, 255 * x / width, 255 - 128 * y / height], axis=-1).astype(np.uint8)


def save(image: Image.Image, format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG file whose header says what it likes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# ---- modes and formats


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "JPEG", "GIF", "WEBP", "PPM"])
def test_formats(format):
    if format == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    options = {"lossless": True} if format == "WEBP" else {"quality": 95} if format == "JPEG" else {}
    image = read_image(save(Image.fromarray(picture()), format, **options))
    assert image.shape == (20, 30, 3) and image.dtype == np.float32
    assert np.abs(image - picture() / 255).mean() < 0.03


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P", "CMYK", "YCbCr", "LAB", "HSV"])
def test_opaque_modes_keep_light_and_dark(mode):
    colour = Image.new("RGB", (8, 6), "white")
    colour.paste((0, 0, 0), (0, 0, 4, 6))
    if mode == "LAB":
        data = np.zeros((6, 8, 3), np.uint8)
        data[:, 4:, 0] = 255
        content = save(Image.frombytes("LAB", (8, 6), data.tobytes()), "TIFF")
    elif mode == "HSV":
        image = Image.open(io.BytesIO(save(colour)))
        content = save(image.convert("HSV").convert("RGB"))
    else:
        format = {"CMYK": "TIFF", "YCbCr": "JPEG"}.get(mode, "PNG")
        content = save(colour.convert(mode), format)
    image = read_image(content)
    assert image.shape in ((6, 8, 1), (6, 8, 3))
    assert image[:, :3].max() < 0.1 and image[:, 5:].min() > 0.9


def test_cmyk_jpeg_is_not_a_negative():
    white = Image.new("RGB", (16, 16), "white").convert("CMYK")
    assert read_image(save(white, "JPEG")).min() > 0.9


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_transparency_becomes_a_fourth_channel(mode):
    layers = np.zeros((4, 6, 4), np.uint8)
    layers[:, 3:] = 255
    image = Image.fromarray(layers)
    if mode == "P":
        palette = Image.new("P", (6, 4), 0)
        palette.putpalette([0, 0, 0, 255, 255, 255])
        palette.paste(1, (3, 0, 6, 4))
        content = save(palette, transparency=0)
    else:
        content = save(image.convert(mode))
    image = read_image(content)
    assert image.shape == (4, 6, 4)
    assert (image[:, :3, 3] == 0).all() and (image[:, 3:] == 1).all()


def test_opacity_that_hides_nothing_is_dropped():
    assert read_image(save(Image.fromarray(picture()).convert("RGBA"))).shape == (20, 30, 3)


def test_transparent_colour_of_a_grey_png():
    image = read_image(save(Image.fromarray(np.array([[0, 200]], np.uint8)), transparency=200))
    assert image[0, :, 3].tolist() == [1, 0]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_are_kept(format):
    values = np.array([[0, 1000, 1001, 40000, 65535]], np.uint16)
    image = read_image(save(Image.fromarray(values), format))
    assert image.shape == (1, 5, 1)
    np.testing.assert_allclose(image[..., 0] * 65535, values, atol=0.01)


@pytest.mark.parametrize("top", [255, 1023, 4095, 16383, 65535])
def test_the_bit_depth_is_taken_from_the_values(top):
    values = np.array([[0, top // 2, top]], np.uint16)
    np.testing.assert_allclose(read_image(save(Image.fromarray(values)))[0, :, 0], values[0] / top, atol=1e-6)


def test_wide_integers_and_floats():
    integers = np.array([[0, 30000, 60000]], np.int32)
    np.testing.assert_allclose(
        read_image(save(Image.fromarray(integers), "TIFF")).ravel() * 65535, [0, 30000, 60000], 1e-5
    )
    floats = np.array([[-1.0, 0.0, np.nan, 1.0]], np.float32)
    np.testing.assert_allclose(
        read_image(save(Image.fromarray(floats), "TIFF")).ravel(), [0, 1 / 255, 1 / 255, 2 / 255]
    )
    unit = np.array([[0.0, 0.25, 1.0]], np.float32)
    np.testing.assert_allclose(read_image(save(Image.fromarray(unit), "TIFF")).ravel(), [0, 0.25, 1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    from PIL import ImageOps

    tags = Image.Exif()
    tags[0x0112] = orientation
    content = save(Image.fromarray(picture()), "PNG", exif=tags)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content)))) / 255
    np.testing.assert_allclose(read_image(content), expected, atol=1e-6)


def test_a_broken_exif_block_is_ignored():
    content = save(Image.fromarray(picture()), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert read_image(content).shape == (20, 30, 3)


def test_first_frame_of_an_animation():
    frames = [Image.new("L", (5, 5), shade) for shade in (255, 0)]
    assert read_image(save(frames[0], "GIF", save_all=True, append_images=frames[1:])).min() == 1


# ---- sources


def test_paths_bytes_and_files(tmp_path, monkeypatch):
    content = save(Image.fromarray(picture()))
    path = tmp_path / "a.png"
    path.write_bytes(content)
    expected = picture().astype(np.float32) / 255
    for source in (path, str(path), content, bytearray(content), io.BytesIO(content), path.open("rb")):
        np.testing.assert_array_equal(read_image(source), expected)

    class Pipe:  # standard input cannot seek
        def __init__(self) -> None:
            self.file = io.BytesIO(content)

        def read(self, size: int) -> bytes:
            return self.file.read(size)

    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": Pipe()}))
    np.testing.assert_array_equal(read_image("-"), expected)


def test_large_pictures_are_reduced_while_they_are_read():
    grey = Image.linear_gradient("L").resize((8000, 6250))
    for image in (grey, grey.resize((2100, 700)).convert("RGB")):
        result = read_image(save(image, "JPEG", quality=50))
        assert MAX_SIDE / 2 < max(result.shape) <= MAX_SIDE
        assert abs(result.shape[1] / result.shape[0] - image.width / image.height) < 0.01
    deep = Image.fromarray(np.linspace(0, 65535, 2500 * 4).astype(np.uint16).reshape(4, 2500))
    assert read_image(save(deep)).shape == (2, 1250, 1)
    assert read_image(save(Image.new("1", (5000, 1)))).shape[:2] == (1, 1667)


# ---- refusals


def refused(source) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError) as error:
            read_image(source)
    message = str(error.value)
    assert "\n" not in message and "Traceback" not in message
    return message


def test_paths_that_are_no_files(tmp_path):
    assert "does not exist" in refused(tmp_path / "none.png")
    assert "is a folder" in refused(tmp_path)
    (tmp_path / "empty.png").touch()
    assert "empty" in refused(tmp_path / "empty.png")
    assert "NUL character" in refused("a\0b.png")
    assert "is empty" in refused(b"")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = tmp_path / "mine.png"
    path.write_bytes(save(Image.fromarray(picture())))
    path.chmod(0)
    assert "permission" in refused(path)


def test_no_permission_for_anyone(tmp_path, monkeypatch):
    path = tmp_path / "mine.png"
    path.write_bytes(b"x")

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    assert "permission" in refused(path)


def test_what_is_no_picture(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("not a picture at all")
    assert str(path) in refused(path) and "is a text, not a picture" in refused(path)
    assert "is not a picture" in refused(b"\0" * 100)
    assert "HEIC" in refused(b"\0\0\0\x18ftypheic" + bytes(100))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF"])
def test_truncated_files(format):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    content = save(Image.fromarray(noise), format)
    for length in (len(content) // 2, len(content) // 10, 30):
        message = refused(content[:length])
        assert "damaged" in message or "is not a picture" in message


def test_every_cut_and_many_flips_of_a_png_are_refused_or_read():
    content = save(Image.fromarray(picture(9, 9)))
    rng = np.random.default_rng(0)
    broken = [content[:length] for length in range(1, len(content))]
    for _ in range(150):
        flipped = bytearray(content)
        flipped[rng.integers(len(content))] ^= 1 << rng.integers(8)
        broken.append(bytes(flipped))
    for data in broken:
        with contextlib.suppress(ImageError):
            assert read_image(data).dtype == np.float32


def test_decompression_bombs_are_refused_before_they_go_off():
    assert "too many pixels" in refused(png(30_000, 30_000))
    assert "damaged" in refused(png(10_000, 10_000))  # Pillow would warn of this size
    refused(png(0, 10))
