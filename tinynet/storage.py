"""The model file: one `.npz`, readable without tinynet.

A 0-d string array `config` holds JSON: format version, layers with their settings, input shape, what the input is and
how it is prepared, labels or vocabulary, the training record. Every other entry is one parameter, `conv2d_1.kernel`,
as float32 or float16. Reading runs no code (`allow_pickle=False`) and is strict: what does not fit is named.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .errors import ModelFileError, TinynetError, did_you_mean
from .files import atomic_write
from .layers.base import show_shape

if TYPE_CHECKING:
    from .model import Sequential

SUFFIX = ".npz"
FORMAT_VERSION = 1
DTYPES = ("float32", "float16")
CONFIG_LIMIT = 16 << 20
"""Bytes; a longer `config` entry is no configuration."""
MOST_LAYERS = 2_000
"""More small layers than these would fill memory with zeros before it is known that the file has not their arrays."""
FREE_BYTES, EXPANSION = 64 << 20, 20
"""A model may need 64 MiB and 20 times its file, compressed as it may be; trained values shrink to half at best."""
NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
CONFIG_KEYS = {"format", "version", "name", "input_shape", "layers", "labels", "vocabulary", "metadata"}


# ---- writing ----


def config(model: Sequential) -> dict[str, Any]:
    """Everything about a model but its arrays, as JSON can hold it."""
    return {
        "format": "tinynet",
        "version": FORMAT_VERSION,
        "name": model.name,
        "input_shape": list(model.input_shape),
        "layers": [layer.config() for layer in model.layers],
        "labels": model.labels,
        "vocabulary": model.vocabulary,
        "metadata": model.metadata,
    }


def save(model: Sequential, path: str | os.PathLike, dtype: str = "float32") -> None:
    """Write a model; the old file stays whole until the new one is. Raises TinynetError when it cannot be written."""
    check_file_name(path)
    if dtype not in DTYPES:
        raise TinynetError(f"a model is stored as {' or '.join(DTYPES)}, not as {dtype!r}")
    with np.errstate(over="ignore"):
        arrays = {key: value.astype(dtype) for key, value in model.state().items()}
    for key, value in model.state().items():
        if np.isfinite(value).all() and not np.isfinite(arrays[key]).all():
            raise TinynetError(f"{key} has values beyond {dtype}; save it as float32")
    text = np.array(_config_text(model))
    with atomic_write(path) as file:
        np.savez(file, config=text, **arrays)


def check_file_name(path: str | os.PathLike) -> None:
    """Raise TinynetError for a name under which `load` would not look for a model."""
    if not os.fspath(path).endswith(SUFFIX):
        raise TinynetError(f"{path}: a model's file name ends in {SUFFIX}")


def _config_text(model: Sequential) -> str:
    """The `config` entry; what `load` would refuse is refused here, before it costs somebody a model."""
    found = config(model)
    try:
        text = json.dumps(found, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TinynetError(f"the model's metadata cannot be written as JSON: {error}") from error
    if len(text) * np.dtype("U1").itemsize > CONFIG_LIMIT:
        raise TinynetError(
            "the model's labels, vocabulary and metadata are too long for a model file; shorten them"
        )
    _check_types(json.loads(text))
    _check_classes(model)
    return text


def _check_types(found: dict[str, Any]) -> None:
    """Raise TinynetError where an entry of the config is not of its kind."""
    for entry in ("layers", "input_shape"):
        if not isinstance(found[entry], list):
            raise TinynetError(f"`{entry}` must be a list")
    if not isinstance(found["name"], str):
        raise TinynetError("`name` must be a string")
    if not (found["labels"] is None or _is_list_of_strings(found["labels"])):
        raise TinynetError("`labels` must be a list of names")
    vocabulary = found["vocabulary"]
    if not (vocabulary is None or isinstance(vocabulary, str) or _is_list_of_strings(vocabulary)):
        raise TinynetError("`vocabulary` must be a string or a list of strings")
    if not (isinstance(found["metadata"], dict) and isinstance(found["metadata"].get("input", {}), dict)):
        raise TinynetError("`metadata` and its `input` must be tables of entries")


def _is_list_of_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _check_classes(model: Sequential) -> None:
    """Raise TinynetError where there are more or fewer labels than outputs."""
    if model.labels is not None and model.output_shape[-1:] != (len(model.labels),):
        shape = show_shape(model.output_shape)
        raise TinynetError(f"{len(model.labels)} classes are named, but the output has the shape {shape}")


# ---- reading ----


def shipped_models() -> dict[str, Path]:
    """The models that come with tinynet: name → file."""
    from . import weights

    found = {file.stem: file for file in Path(weights.__path__[0]).glob(f"*{SUFFIX}")}
    return dict(sorted(found.items()))  # by name: with its ending, digits.npz would come after digits-gru.npz


def find(name: str | os.PathLike) -> Path:
    """The file of a model: a name without `.npz` and without a slash is a shipped model, all else is a path."""
    text = os.fspath(name)
    if text.endswith(SUFFIX):
        return Path(text)
    shipped = shipped_models()
    if text in shipped:
        return shipped[text]
    if os.path.isfile(text):
        raise ModelFileError(f"{text} is no model file: its name does not end in {SUFFIX}")
    if "/" in text or os.sep in text:
        return Path(text)
    if os.path.isfile(text + SUFFIX):
        raise ModelFileError(f"no model {text!r}; did you mean the file {text}{SUFFIX}?")
    close = did_you_mean(text, shipped)
    known = ", ".join(shipped) or "none"
    give = f"{close} Give" if close else "give"
    raise ModelFileError(f"no model {text!r}; {give} a shipped name ({known}) or a {SUFFIX} file")


def load(name: str | os.PathLike) -> Sequential:
    """Read a model from a file or by the name of a shipped one.

    Raises ModelFileError, naming the file and the entry, for anything that does not fit: no such file, not an .npz,
    truncated, an unknown version, layer or setting, a missing, extra, oversized, pickled or wrongly shaped array.
    """
    path = find(name)
    try:
        if path.is_dir() or (path.exists() and not path.is_file()):
            raise ModelFileError(f"cannot read the model {path}: it is no file")
        with open(path, "rb") as file:
            return _read(file, path)
    except TinynetError:
        raise
    except OSError as error:
        raise ModelFileError(f"cannot read the model {path}: {error.strerror or error}") from error
    except (
        Exception
    ) as error:  # zipfile, zlib, ast and NumPy each stumble over a damaged file in a way of their own
        reason = str(error) or type(error).__name__
        raise ModelFileError(f"{path} is not a model file or was cut off: {reason}") from error


def _read(file: BinaryIO, path: Path) -> Sequential:
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise ModelFileError(f"{path} is empty")
    with zipfile.ZipFile(file) as archive:
        names = Counter(entry.filename for entry in archive.infolist())
        if "config.npy" not in names:
            raise ModelFileError(f"{path} has no entry `config`: it is no tinynet model")
        model = _build(_read_config(archive, path), path)
        state = model.state()
        _check_names(names, {f"{key}.npy" for key in state}, path)
        _check_size(sum(value.nbytes for value in state.values()), size, path)
        for key, value in state.items():
            value[...] = _read_array(archive, key, value.shape, path)
    return model


def _check_names(names: Counter[str], expected: set[str], path: Path) -> None:
    """Each array once, and no others."""
    for entry, count in names.items():
        key = entry.removesuffix(".npy")
        if entry != "config.npy" and entry not in expected:
            raise ModelFileError(f"{path} holds an array {key!r} that its layers do not have")
        if count > 1:
            raise ModelFileError(f"{path} holds the array {key!r} {count} times")
    for entry in expected:
        if entry not in names:
            raise ModelFileError(f"{path} lacks the array {entry.removesuffix('.npy')!r}")


def _check_size(needed: int, size: int, path: Path) -> None:
    """A small file that claims gigabytes is an attack: its parameters, zeros until now, have not cost memory yet."""
    if needed > FREE_BYTES + EXPANSION * size:
        raise ModelFileError(
            f"{path}: its layers need {needed:,} bytes, which a file of {size:,} bytes cannot hold"
        )


def _read_entry(
    archive: zipfile.ZipFile, key: str, path: Path, check: Callable[[tuple[int, ...], np.dtype], None]
) -> np.ndarray:
    """One array. `check` sees its shape and type before its data, so nothing oversized or pickled is ever loaded."""
    with archive.open(f"{key}.npy") as stream:
        try:
            version = np.lib.format.read_magic(stream)
            if version not in NPY_HEADERS:
                raise ValueError(f"its .npy version {version} is unknown")
            shape, fortran, dtype = NPY_HEADERS[version](stream)
        except ValueError as error:
            raise ModelFileError(f"{path}: the array {key!r} is damaged: {error}") from error
        check(shape, dtype)
        size = math.prod(shape) * dtype.itemsize
        data = stream.read(size + 1)
    if len(data) != size:
        raise ModelFileError(
            f"{path}: the array {key!r} does not hold the {size:,} bytes of its shape; copy the file again"
        )
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _read_config(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    def check(shape: tuple[int, ...], dtype: np.dtype) -> None:
        if shape != () or dtype.kind != "U" or not 0 < dtype.itemsize <= CONFIG_LIMIT:
            raise ModelFileError(f"{path}: `config` is not one string: it is no tinynet model")

    text = str(_read_entry(archive, "config", path, check))
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: `config` is not JSON: {error}") from error
    if not isinstance(found, dict) or found.get("format") != "tinynet":
        raise ModelFileError(f"{path}: `config` does not describe a tinynet model")
    if found.get("version") != FORMAT_VERSION or isinstance(found["version"], bool):
        raise ModelFileError(
            f"{path} has format version {found.get('version')!r}, this tinynet reads version {FORMAT_VERSION}; "
            "upgrade with: pip install --upgrade tinynet"
        )
    if unknown := found.keys() - CONFIG_KEYS:
        raise ModelFileError(f"{path}: `config` has an unknown entry {sorted(unknown)[0]!r}")
    if missing := CONFIG_KEYS - found.keys():
        raise ModelFileError(f"{path}: `config` lacks the entry {sorted(missing)[0]!r}")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _build(found: dict[str, Any], path: Path) -> Sequential:
    from .model import Sequential

    settings = {key: found[key] for key in ("input_shape", "name", "labels", "vocabulary", "metadata")}
    try:
        _check_types(found)
        if len(found["layers"]) > MOST_LAYERS:
            raise ValueError(f"its {len(found['layers']):,} layers are more than {MOST_LAYERS:,}")
        model = Sequential([_layer(entry) for entry in found["layers"]], seed=None, **settings)
        _check_classes(model)
    except (ValueError, MemoryError, OverflowError) as error:
        raise ModelFileError(f"{path}: {error}") from error
    return model


def _layer(entry: Any) -> Any:
    from .layers import LAYERS
    from .layers.wrappers import Wrapper

    settings = dict(entry) if isinstance(entry, dict) else {}
    kind = settings.pop("type", None)
    if not isinstance(kind, str) or kind not in LAYERS:
        raise TinynetError(f"the layer type {kind!r} is unknown to this version of tinynet")
    if issubclass(LAYERS[kind], Wrapper):
        settings["layer"] = _layer(settings.get("layer"))
    try:
        return LAYERS[kind](**settings)
    except TypeError as error:
        raise TinynetError(f"the layer {kind} has a setting that does not fit: {error}") from error


def _read_array(archive: zipfile.ZipFile, key: str, expected: tuple[int, ...], path: Path) -> np.ndarray:
    def check(shape: tuple[int, ...], dtype: np.dtype) -> None:
        if dtype.hasobject:
            raise ModelFileError(f"{path}: the array {key!r} is pickled; tinynet reads numbers only")
        if dtype.name not in DTYPES:
            raise ModelFileError(f"{path}: the array {key!r} is {dtype}, not {' or '.join(DTYPES)}")
        if shape != expected:
            raise ModelFileError(
                f"{path}: the array {key!r} has the shape {shape}, its layer needs {expected}"
            )

    return _read_entry(archive, key, path, check)
