"""The model file: one `.npz`, readable without tinynet.

A 0-d string array `config` holds JSON: format version, layers with their settings, input shape, what the input is and
how it is prepared, labels or vocabulary, the training record. Every other entry is one parameter, `conv2d_1.kernel`,
as float32 or float16. Reading runs no code (`allow_pickle=False`) and is strict: what does not fit is named.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
from collections.abc import Iterator, Set
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from . import weights
from .archive import LONGEST_TEXT, Archive, Check, parse_json
from .errors import ModelFileError, TinynetError, did_you_mean
from .files import atomic_write, open_file, path_text, read_file
from .layers.base import show_shape
from .version import __version__

if TYPE_CHECKING:
    from .model import Sequential

SUFFIX = ".npz"
FORMAT_VERSION = 1
DTYPES = ("float32", "float16")
MOST_LAYERS = 2_000
"""More small layers than these would fill memory with zeros before it is known that the file has not their arrays."""
FLOAT_BYTES, SAMPLE_BYTES = 4, 256 << 20
"""A layer of a model that is read may take so much for one sample, or as much as reading the file may."""
MOST_OPERATIONS, STEP_OPERATIONS = 300 * 10**9, 300_000
"""A model that is read may take so many for one sample, ten times VGG16's; a step of a recurrent layer takes at least the time
of so many."""
LARGEST_STREAM = 1 << 30
"""Bytes of a model that is read from a stream without places, such as a download."""
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


def save(model: Sequential, target: str | bytes | os.PathLike | BinaryIO, dtype: str = "float32") -> None:
    """Write a model to a file, by its name or open; a named one stays as it was until the new one is whole.

    Raises TinynetError when it cannot be written.
    """
    if not hasattr(target, "write"):
        check_file_name(target)
    if dtype not in DTYPES:
        raise TinynetError(f"a model is stored as {' or '.join(DTYPES)}, not as {dtype!r}")
    with np.errstate(over="ignore"):
        arrays = {key: value.astype(dtype) for key, value in model.state().items()}
    for key, value in model.state().items():
        if np.isfinite(value).all() and not np.isfinite(arrays[key]).all():
            raise TinynetError(f"{key} has values beyond {dtype}; save it as float32")
    text = np.array(_config_text(model))
    with _writing(target) if hasattr(target, "write") else atomic_write(target) as file:
        np.savez(file, config=text, **arrays)


@contextmanager
def _writing(target: BinaryIO) -> Iterator[BinaryIO]:
    """A file in memory, since a ZIP is not written from one end to the other, whose content then goes to `target`."""
    file = io.BytesIO()
    yield file
    rest = file.getbuffer()
    try:
        while len(rest):
            written = target.write(rest)
            rest = rest[len(rest) if written is None else written :]
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TinynetError(f"cannot write the model to {_name_of(target)}: {reason}") from error


def check_file_name(path: str | bytes | os.PathLike) -> None:
    """Raise TinynetError for a name under which `load` would not look for a model."""
    text = path_text(path)
    if not text.endswith(SUFFIX):
        raise TinynetError(f"{text}: a model's file name ends in {SUFFIX}")


def _config_text(model: Sequential) -> str:
    """The `config` entry; what `load` would refuse is refused here, before it costs somebody a model."""
    found = config(model)
    try:
        text = json.dumps(found, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TinynetError(f"the model's metadata cannot be written as JSON: {error}") from error
    if len(text) * np.dtype("U1").itemsize > LONGEST_TEXT:
        raise TinynetError(
            "the model's labels, vocabulary and metadata are too long for a model file; shorten them"
        )
    try:
        _check_types(parse_json(text))
    except TinynetError:
        raise
    except ValueError as error:
        raise TinynetError(f"the model's labels, vocabulary or metadata cannot be kept: {error}") from error
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


def check_characters(model: Sequential) -> None:
    """Raise TinynetError, before a training is lost for it, where name, labels or vocabulary hold what is no character."""
    vocabulary = model.vocabulary if isinstance(model.vocabulary, (str, list, tuple)) else ()
    for text in (model.name, *(model.labels or ()), "".join(map(str, vocabulary))):
        try:
            str(text).encode()
        except UnicodeEncodeError:
            raise TinynetError(
                f"{text!r} holds what is no character, which no model file can; rename it"
            ) from None


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
    return {name: Path(weights.__path__[0], f"{name}{SUFFIX}") for name in weights.NAMES}


def shipped_file(name: str) -> bytes:
    """What the file of a shipped model holds, also where tinynet lies in a zip archive."""
    return weights.__loader__.get_data(str(shipped_models()[name]))


def find(name: str | bytes | os.PathLike) -> Path:
    """The file of a model: a name without `.npz` and without a slash is a shipped model, all else is a path."""
    text = path_text(name, ModelFileError)
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


def load(source: str | bytes | os.PathLike | BinaryIO) -> Sequential:
    """Read a model from a file, by its name or the name of a shipped model, or from an open binary file.

    Reading takes at most 64 MiB and 20 times the file's bytes. Raises ModelFileError, naming the file and the entry, for
    anything that does not fit: no such file, not an .npz, truncated, an unknown version, layer or setting, a missing, extra,
    oversized, pickled or wrongly shaped array.
    """
    if hasattr(source, "read"):
        name, file = _name_of(source), nullcontext(source)
    else:
        path = find(source)
        name, file = str(path), None
    try:
        with file or _open(path) as stream:
            return _read(_seekable(stream), name)
    except TinynetError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a file that was closed
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"cannot read the model {name}: {reason}") from error


def _open(path: Path) -> BinaryIO:
    """A model's file; a shipped one may lie in an archive of Python's own."""
    if path in shipped_models().values():
        return io.BytesIO(shipped_file(path.stem))
    file = open_file(path)
    if not file.seekable():
        file.close()
        raise OSError(errno.ESPIPE, "it is a pipe, not a file")
    return file


def _name_of(file: BinaryIO) -> str:
    name = getattr(file, "name", None)
    return os.fsdecode(name) if isinstance(name, (str, bytes)) else "the model"


def _seekable(file: BinaryIO) -> BinaryIO:
    """The file, or what it holds, where that can only be read from one end to the other."""
    if isinstance(file.read(0), str):
        raise OSError(errno.EINVAL, "it is open as text; open it with mode 'rb'")
    if getattr(file, "seekable", lambda: hasattr(file, "seek"))():
        return file
    return io.BytesIO(read_file(file, LARGEST_STREAM))


def _read(file: BinaryIO, name: str) -> Sequential:
    archive = Archive(file, name, "model file", ModelFileError)
    if "config" not in archive.names:
        raise ModelFileError(f"{name} has no entry `config`: it is no tinynet model")
    model = _build(_read_config(archive, name), name, archive.allowance)
    state = model.state()
    _check_names(archive.names, state.keys(), name)
    needed = sum(value.nbytes for value in state.values())
    if needed > archive.allowance:  # zeros until now, which have cost no memory yet
        raise ModelFileError(
            f"{name}: its layers need {needed:,} bytes, which a file of {archive.size:,} bytes cannot hold"
        )
    for key, value in state.items():
        value[...] = archive.array(key, _checked(key, value.shape, name))
    return model


def _check_names(names: list[str], expected: Set[str], file: str) -> None:
    """The arrays of the network, and no others."""
    for key in names:
        if key != "config" and key not in expected:
            raise ModelFileError(f"{file} holds an array {key!r} that its layers do not have")
    if missing := expected - set(names):
        raise ModelFileError(f"{file} lacks the array {min(missing)!r}")


def _checked(key: str, expected: tuple[int, ...], file: str) -> Check:
    """A look at an array before its data is read."""

    def check(shape: tuple[int, ...], dtype: np.dtype) -> None:
        if dtype.hasobject:
            raise ModelFileError(f"{file}: the array {key!r} is pickled; tinynet reads numbers only")
        if dtype.name not in DTYPES:
            raise ModelFileError(f"{file}: the array {key!r} is {dtype}, not {' or '.join(DTYPES)}")
        if shape != expected:
            raise ModelFileError(
                f"{file}: the array {key!r} has the shape {shape}, its layer needs {expected}"
            )

    return check


def _read_config(archive: Archive, name: str) -> dict[str, Any]:
    try:
        found = parse_json(archive.text("config"))
    except TinynetError:
        raise
    except ValueError as error:
        raise ModelFileError(f"{name}: `config` is not JSON: {error}") from error
    if not isinstance(found, dict) or found.get("format") != "tinynet":
        raise ModelFileError(f"{name}: `config` does not describe a tinynet model")
    version = found.get("version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        later = isinstance(version, int) and version > FORMAT_VERSION
        advice = "install a newer tinynet to read it" if later else "save it again with this tinynet"
        raise ModelFileError(
            f"{name} has format version {version!r}, but tinynet {__version__} reads version {FORMAT_VERSION}; {advice}"
        )
    if unknown := found.keys() - CONFIG_KEYS:
        raise ModelFileError(f"{name}: `config` has an unknown entry {sorted(unknown)[0]!r}")
    if missing := CONFIG_KEYS - found.keys():
        raise ModelFileError(f"{name}: `config` lacks the entry {sorted(missing)[0]!r}")
    return found


def _build(found: dict[str, Any], name: str, allowance: int) -> Sequential:
    from .model import Sequential

    settings = {key: found[key] for key in ("input_shape", "name", "labels", "vocabulary", "metadata")}
    try:
        _check_types(found)
        if len(found["layers"]) > MOST_LAYERS:
            raise ValueError(f"its {len(found['layers']):,} layers are more than {MOST_LAYERS:,}")
        model = Sequential([_layer(entry) for entry in found["layers"]], seed=None, **settings)
        _check_classes(model)
        _check_sample(model, allowance)
    except (ValueError, MemoryError, OverflowError) as error:
        raise ModelFileError(f"{name}: {error}") from error
    return model


def _check_sample(model: Sequential, allowance: int) -> None:
    """Raise TinynetError where one sample would need memory, or time, that nobody expects of such a file."""
    values = [math.prod(size or 1 for size in shape) for shape in model.shapes]
    layers = zip(model.layers, model.shapes, values, values[1:], strict=False)
    sizes = [before + layer.size(shape) + after for layer, shape, before, after in layers]
    needed, most = FLOAT_BYTES * max([*values, *sizes]), max(SAMPLE_BYTES, allowance)
    if needed > most:
        raise TinynetError(f"one sample would take {needed:,} bytes in a layer, more than {most:,}")
    recurrent = zip(model.layers, model.shapes, strict=False)
    steps = sum(shape[0] or 1 for layer, shape in recurrent if layer.state_sizes)
    operations = model.flops() + steps * STEP_OPERATIONS
    if operations > MOST_OPERATIONS:
        raise TinynetError(f"one sample would take {operations:,} operations, more than {MOST_OPERATIONS:,}")


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
