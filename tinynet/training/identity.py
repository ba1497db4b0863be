"""The identity of a training, kept in its checkpoint: everything that decides the bits of its result."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ..layers.base import Layer
from .samples import Samples
from .schedules import needs_length
from .state import Training

PIECE = 1 << 24
"""Bytes of an array that are hashed at a time, so that a memory-mapped or strided one is never copied whole."""
SHOWN = 3
"""Differences that an error lists."""
LONGEST_SHOWN = 60
"""Characters of a value that an error shows."""
DATA = {
    "samples": "samples",
    "vocabulary": "characters or words of the vocabulary",
    "class names": "names of the classes",
    "labels": "labels",
    "weights": "weights of samples or classes",
    "validation": "validation data",
    "base.weights": "weights of the base",
}
"""Entries that are hashes, and what they are hashes of."""
DEEPEST = 8
"""Levels of nested settings that are compared."""


def identity(training: Training) -> dict[str, Any]:
    """Setting → value, as JSON holds it; data as hashes. Data come first, since other differences may follow from them."""
    model, stopping = training.model, training.early_stopping
    validation, base = training.validation, model.metadata.get("base", {})
    return dict(
        _flat(
            {
                "base": base.get("base"),
                "base.weights": base.get("base weights"),
                "freeze": base.get("freeze"),
                "samples": _fingerprint(training.samples.x),
                "vocabulary": _hash(model.vocabulary),
                "class names": _hash(model.labels),
                "labels": _fingerprint(training.samples.targets),
                "weights": _fingerprint(training.samples.weights),
                "validation": validation and _fingerprint_of(validation),
                "network": {
                    "type": [layer.type_name() for _, layer in model.walk()],
                    **{path: _own_settings(layer) for path, layer in model.walk()},
                },
                "input_shape": model.input_shape,
                "epochs": training.epochs if needs_length(training.optimizer.learning_rate) else None,
                "batch_size": training.batch_size,
                "loss": training.loss,
                "metrics": [*training.metrics] or None,
                "optimizer": training.optimizer,
                "augment": training.augment,
                "ema": training.average.decay if training.average else None,
                "seed": training.seed,
                "shuffle": training.shuffle,
                "stateful": training.stateful,
                "reset_rate": training.reset_rate,
                "early_stopping": {
                    "monitor": stopping.monitor,
                    "min_delta": stopping.min_delta,
                    "mode": stopping.mode,
                },
            }
        )
    )


def differences(then: dict[str, Any], now: dict[str, Any], model: Any) -> str:
    """What changed between two identities, in a user's words; "" if nothing did."""
    then, now = (
        {name.removesuffix(".type"): value for name, value in found.items()} for found in (then, now)
    )
    changed = [name for name in dict.fromkeys((*now, *then)) if then.get(name) != now.get(name)]
    if "samples" in changed:
        changed = [name for name in changed if name == "samples" or name not in DATA]
    # Another type has other settings, so they are not compared.
    changed = [name for name in changed if not any(name.startswith(f"{other}.") for other in changed)]
    told = [_tell(name, then.get(name), now.get(name), model) for name in changed]
    more = f", and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return ", ".join(told[:SHOWN]) + more


def _tell(name: str, then: Any, now: Any, model: Any) -> str:
    if name == "samples" and model.takes_ids:
        return "the text has changed since"
    if name == "samples" and len(model.inputs[0]) == 3:
        return "the pictures have changed since"
    if name in DATA:
        return f"the {DATA[name]} have changed since"
    if name.startswith("optimizer."):
        name = name.rpartition(".")[2]  # WarmUp(CosineDecay(3e-3)) has one learning rate too
    then, now = _where_they_differ(_text(then), _text(now))
    return f"{_cut(name.removeprefix('network.'))} was {then}, now {now}"


def _text(value: Any) -> str:
    """A value from a checkpoint as text; it may be any JSON value."""
    if isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
        return " ".join(map(str, value))
    return "something else" if isinstance(value, (list, dict)) else str(value)


def _where_they_differ(*texts: str) -> list[str]:
    """Both texts; of long ones the part that is shown, from the word before the first difference on."""
    start = 0
    if max(map(len, texts)) > LONGEST_SHOWN:
        common = next(
            (i for i, pair in enumerate(zip(*texts, strict=False)) if len({*pair}) > 1), min(map(len, texts))
        )
        start = texts[0].rfind(" ", 0, max(common - 1, 0)) + 1
    return ["…" * bool(start) + _cut(text[start:]) for text in texts]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


# ---- data ----


def _fingerprint_of(samples: Samples) -> str:
    return " ".join(str(_fingerprint(array)) for array in (samples.x, samples.targets, samples.weights))


def _fingerprint(array: Any) -> str | None:
    """A hash of an array's type, shape and bytes, or of all of these for a tuple of arrays."""
    if array is None:
        return None
    if isinstance(array, tuple):
        return " ".join(str(_fingerprint(part)) for part in array)
    digest = hashlib.blake2b(f"{array.dtype.str} {array.shape}".encode(), digest_size=16)
    rows = max(PIECE // max(array[:1].nbytes, 1), 1)
    for start in range(0, len(array), rows):
        digest.update(np.ascontiguousarray(array[start : start + rows]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _hash(value: Any) -> str | None:
    return value if value is None else hashlib.blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()


# ---- settings ----


def _own_settings(layer: Layer) -> dict[str, Any]:
    """A layer's settings but for the layers inside, which have paths of their own."""
    own = layer.settings()
    return {name: value for name, value in layer.config().items() if not _holds_layers(own.get(name))}


def _holds_layers(value: Any) -> bool:
    return any(isinstance(item, Layer) for item in (value if isinstance(value, list) else [value]))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The settings in a nested value: (name.setting, number, text or list of these)."""
    value = _plain(value)
    if isinstance(value, dict) and name.count(".") < DEEPEST:
        for key, held in value.items():
            yield from _flat(held, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        yield name, [item if isinstance(item, (str, int)) else repr(item) for item in value]
    else:
        yield name, value.get("type") if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    """A value ready for JSON, its parts unchanged."""
    if is_dataclass(value):
        settings = {field.name: getattr(value, field.name) for field in fields(value)}
        return {"type": getattr(value, "name", type(value).__name__), **settings}
    if isinstance(value, np.ndarray):
        return _fingerprint(np.atleast_1d(value))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, (dict, list, tuple, str, int, float, type(None))):
        return value
    # A user's own schedule or loss: its class and attributes.
    named = value if callable(value) and hasattr(value, "__qualname__") else type(value)
    return {
        "type": named.__qualname__,
        **(vars(value) if named is type(value) and hasattr(value, "__dict__") else {}),
    }
