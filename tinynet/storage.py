"""The model file: one `.npz`, readable without tinynet.

A 0-d string array `config` holds JSON: format version, layers with their settings, input shape, what the input is and
how it is prepared, labels or vocabulary, the training record. Every other entry is one parameter, `conv2d_1.kernel`,
as float32 or float16. Reading runs no code (`allow_pickle=False`) and is strict: what does not fit is named.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .errors import ModelFileError, TinynetError

if TYPE_CHECKING:
    from .model import Sequential

FORMAT_VERSION = 1
DTYPES = ("float32", "float16")
CONFIG_LIMIT = 16 << 20
"""Bytes; a longer `config` entry is no configuration."""
CONFIG_KEYS = {"format", "version", "name", "input_shape", "layers", "labels", "vocabulary", "metadata"}


# ---- writing ----


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` and move it there once it is whole; on failure the old file stays.

    Raises TinynetError where the place cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise TinynetError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def config(model: Sequential) -> dict[str, Any]:
    """Everything about a model but its arrays, as JSON can hold it."""
    return {
        "format": "tinynet",
        "version": FORMAT_VERSION,
        "name": model.name,
        "input_shape": list(model.input_shape),
        "layers": [{"type": type(layer).__name__, **layer.settings()} for layer in model.layers],
        "labels": model.labels,
        "vocabulary": model.vocabulary,
        "metadata": model.metadata,
    }


def save(model: Sequential, path: str | os.PathLike, dtype: str = "float32") -> None:
    """Write a model; the old file stays whole until the new one is. Raises TinynetError when it cannot be written."""
    if dtype not in DTYPES:
        raise TinynetError(f"a model is stored as {' or '.join(DTYPES)}, not as {dtype!r}")
    with np.errstate(over="ignore"):
        arrays = {key: value.astype(dtype) for key, value in model.state().items()}
    for key, value in model.state().items():
        if np.isfinite(value).all() and not np.isfinite(arrays[key]).all():
            raise TinynetError(f"{key} has values beyond {dtype}; save it as float32")
    try:
        text = json.dumps(config(model), ensure_ascii=False)
    except TypeError as error:
        raise TinynetError(f"the model's metadata cannot be written as JSON: {error}") from error
    with atomic_write(path) as file:
        np.savez(file, config=np.array(text), **arrays)


# ---- reading ----


def shipped_models() -> dict[str, Path]:
    """The models that come with tinynet: name → file."""
    import importlib.resources

    folder = Path(str(importlib.resources.files("tinynet.weights")))
    return {file.stem: file for file in sorted(folder.glob("*.npz"))}


def find(name: str | os.PathLike) -> Path:
    """The file of a model: a name without `.npz` and without a slash is a shipped model, all else is a path."""
    text = os.fspath(name)
    if text.endswith(".npz") or "/" in text or os.sep in text:
        return Path(text)
    shipped = shipped_models()
    if text not in shipped:
        known = ", ".join(shipped) or "none"
        raise ModelFileError(
            f"there is no shipped model {text!r} (shipped: {known}); a file's name ends in .npz"
        )
    return shipped[text]


def load(name: str | os.PathLike) -> Sequential:
    """Read a model from a file or by the name of a shipped one.

    Raises ModelFileError, naming the file and the entry, for anything that does not fit: no such file, not an .npz,
    truncated, an unknown version, layer or setting, a missing, extra, oversized, pickled or wrongly shaped array.
    """
    path = find(name)
    try:
        with open(path, "rb") as file:
            return _read(file, path)
    except OSError as error:
        raise ModelFileError(f"cannot read the model {path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zipfile.zlib.error) as error:
        raise ModelFileError(f"{path} is not a model file or was cut off: {error}") from error


def _read(file: BinaryIO, path: Path) -> Sequential:
    if os.fstat(file.fileno()).st_size == 0:
        raise ModelFileError(f"{path} is empty")
    with zipfile.ZipFile(file) as archive:
        names = [entry.filename for entry in archive.infolist()]
        if "config.npy" not in names:
            raise ModelFileError(f"{path} has no entry `config`: it is no tinynet model")
        model = _build(_read_config(archive, path), path)
        expected = model.state()
        for entry in names:
            key = entry.removesuffix(".npy")
            if names.count(entry) > 1 or (key not in expected and key != "config"):
                raise ModelFileError(f"{path} holds an array {key!r} that its layers do not have")
        model.set_state({key: _read_array(archive, key, value, path) for key, value in expected.items()})
    return model


def _header(stream: BinaryIO, key: str, path: Path) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an entry, read before its data so that nothing oversized or pickled is ever loaded."""
    try:
        version = np.lib.format.read_magic(stream)
        reader = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = reader(stream)
    except ValueError as error:
        raise ModelFileError(f"{path}: the array {key!r} is damaged: {error}") from error
    return shape, dtype


def _read_config(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    with archive.open("config.npy") as stream:
        shape, dtype = _header(stream, "config", path)
        if shape != () or dtype.kind != "U" or dtype.itemsize > CONFIG_LIMIT:
            raise ModelFileError(f"{path}: `config` is not one string: it is no tinynet model")
        text = str(np.frombuffer(stream.read(dtype.itemsize).ljust(dtype.itemsize, b"\0"), dtype)[0])
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: `config` is not JSON: {error}") from error
    if not isinstance(found, dict) or found.get("format") != "tinynet":
        raise ModelFileError(f"{path}: `config` does not describe a tinynet model")
    if found.get("version") != FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {found.get('version')!r}, this tinynet reads version {FORMAT_VERSION}; "
            "upgrade with: pip install --upgrade tinynet"
        )
    if unknown := found.keys() - CONFIG_KEYS:
        raise ModelFileError(f"{path}: `config` has an unknown entry {sorted(unknown)[0]!r}")
    if missing := CONFIG_KEYS - found.keys():
        raise ModelFileError(f"{path}: `config` lacks the entry {sorted(missing)[0]!r}")
    return found


def _build(found: dict[str, Any], path: Path) -> Sequential:
    from .model import Sequential

    layers, shape = found["layers"], found["input_shape"]
    if not isinstance(layers, list) or not isinstance(shape, list):
        raise ModelFileError(f"{path}: `layers` and `input_shape` must be lists")
    if not all(size is None or (isinstance(size, int) and 0 < size < 2**31) for size in shape):
        raise ModelFileError(f"{path}: the input shape {shape!r} is not made of whole numbers above 0")
    labels, metadata = found["labels"], found["metadata"]
    if not (labels is None or (isinstance(labels, list) and all(isinstance(label, str) for label in labels))):
        raise ModelFileError(f"{path}: `labels` must be a list of names")
    if not isinstance(metadata, dict):
        raise ModelFileError(f"{path}: `metadata` must be a table of entries")
    try:
        model = Sequential(
            [_layer(entry) for entry in layers],
            tuple(shape),
            seed=None,
            name=str(found["name"]),
            labels=labels,
            vocabulary=found["vocabulary"],
            metadata=metadata,
        )
    except (ValueError, MemoryError, OverflowError) as error:
        raise ModelFileError(f"{path}: {error}") from error
    if labels is not None and model.output_shape[-1:] != (len(labels),):
        raise ModelFileError(
            f"{path} names {len(labels)} classes, but its output has {model.output_shape[-1]}"
        )
    return model


def _layer(entry: Any) -> Any:
    from .layers import LAYERS

    settings = dict(entry) if isinstance(entry, dict) else {}
    kind = settings.pop("type", None)
    if kind not in LAYERS:
        raise TinynetError(f"the layer type {kind!r} is unknown to this version of tinynet")
    try:
        return LAYERS[kind](**settings)
    except TypeError as error:
        raise TinynetError(f"the layer {kind} has a setting that does not fit: {error}") from error


def _read_array(archive: zipfile.ZipFile, key: str, expected: np.ndarray, path: Path) -> np.ndarray:
    try:
        stream = archive.open(f"{key}.npy")
    except KeyError:
        raise ModelFileError(f"{path} lacks the array {key!r}") from None
    with stream:
        shape, dtype = _header(stream, key, path)
        if dtype.hasobject:
            raise ModelFileError(f"{path}: the array {key!r} is pickled; tinynet reads numbers only")
        if dtype.name not in DTYPES:
            raise ModelFileError(f"{path}: the array {key!r} is {dtype}, not {' or '.join(DTYPES)}")
        if shape != expected.shape:
            raise ModelFileError(
                f"{path}: the array {key!r} has shape {shape}, its layer needs {expected.shape}"
            )
        size = math.prod(shape) * dtype.itemsize
        data = stream.read(size + 1)
    if len(data) != size:
        raise ModelFileError(
            f"{path}: the array {key!r} holds {len(data)} bytes, not {size}; the file was cut off"
        )
    return np.frombuffer(data, dtype).reshape(shape)
