"""Save a training to a checkpoint, and resume it to the same bits as without a break.

A checkpoint is untrusted input: each entry is checked before the training is changed.
"""

from __future__ import annotations

import math
import os
from typing import Any, NoReturn

import numpy as np

from ..errors import TinynetError
from ..kernels.device import DEVICES
from ..network import named_leaves
from ..terminal import note
from .checkpoints import open_checkpoint, save_checkpoint
from .identity import differences
from .state import Training

LARGEST = 2**53
"""Largest count that a checkpoint may hold."""
HISTORY = "history"
"""The array with one row per epoch."""


def save(training: Training, path: str | os.PathLike) -> None:
    """Write the state of a training to a checkpoint; raises TinynetError if it cannot be written."""
    config = {
        "identity": training.identity,
        "device": training.device,
        "epoch": training.epoch,
        "trained_before": training.trained_before,
        "batch": training.batch,
        "step": training.step,
        "sums": training.sums.numbers(),
        "best_epoch": training.history.best_epoch,
        "learning_rate": training.used_rate,
        "chosen_rate": training.chosen_rate,
    }
    rows = training.history.epochs[: training.epoch]
    history = np.array([[row[name] for name in _columns(training)] for row in rows], np.float64)
    save_checkpoint(
        path, config, {**_arrays(training), HISTORY: history.reshape(len(rows), len(_columns(training)))}
    )


def device_of(path: str | os.PathLike) -> str | None:
    """The device on which the training of a checkpoint ran; raises TinynetError for any other file."""
    with open_checkpoint(path) as file:
        return file.config.get("device")


def resume(training: Training, path: str | os.PathLike) -> None:
    """Bring a training to the state in a checkpoint. A note tells if it continues on another device, and so to other bits.

    Raises TinynetError, and leaves the training as it is, if the checkpoint belongs to another or is damaged.
    """
    with open_checkpoint(path) as file:
        config = file.config
        if not isinstance(config.get("identity"), dict):
            _refuse(path, "identity")
        if changed := differences(config["identity"], training.identity, training.model):
            raise TinynetError(
                f"{path} belongs to another training: {changed}; give the same data and settings, or start without resuming"
            )
        _check(training, config, path)
        own, columns = _arrays(training), _columns(training)
        table = np.broadcast_to(np.float64(0), (config["epoch"], len(columns)))  # a view that takes no memory
        found = file.arrays({**own, HISTORY: table})
    rows = [dict(zip(columns, row, strict=True)) for row in found[HISTORY].tolist()]
    rows = [{"epoch": number, **row} for number, row in enumerate(rows, 1)]
    best = training.early_stopping.best(rows)
    if not np.isfinite(found[HISTORY]).all() or config["best_epoch"] != (None if best is None else best + 1):
        _refuse(path, HISTORY)
    for name, array in own.items():
        array[...] = found[name]
    training.epoch, training.batch, training.state.step = config["epoch"], config["batch"], config["step"]
    training.trained_before = config["trained_before"]
    training.sums.update(config["sums"])
    training.history.epochs, training.history.best_epoch = rows, config["best_epoch"]
    if config["chosen_rate"] is not None:
        training.learning_rate = config["chosen_rate"]
    training.used_rate = config["learning_rate"]
    if (begun := config.get("device")) not in (None, training.device):
        note(
            f"note: {path} is of a training on the device {begun}, which continues on {training.device}: "
            "its weights will not be those of one without a break"
        )


def _arrays(training: Training) -> dict[str, np.ndarray]:
    """The live arrays that change during training."""
    carried = named_leaves(training.carried or {})
    groups = {"model": training.arrays, "best": training.best, "carried": carried, **training.state.slots}
    if training.average:
        groups["average"] = training.average.arrays
    return {f"{group}/{name}": array for group, own in groups.items() for name, array in own.items()}


def _check(training: Training, config: dict[str, Any], path: str | os.PathLike) -> None:
    """Raise TinynetError for the first entry that this training could not have written."""
    given: Any = [config.get(name) for name in ("epoch", "batch", "sums", "step")]
    epoch, batch, sums, step = given
    if _is_count(epoch) and epoch > training.epochs:
        raise TinynetError(
            f"{path} has already done {epoch} epochs: set epochs to at least {epoch}, or start without resuming"
        )
    entries = {
        "device": config.get("device") in (None, *DEVICES[1:]),
        "epoch": _is_count(epoch),
        "trained_before": _is_count(config.get("trained_before")),
        "batch": _is_count(batch)
        and batch < training.steps_per_epoch
        and not (batch and epoch == training.epochs),
        "sums": isinstance(sums, dict)
        and sums.keys() == vars(training.sums).keys()
        and isinstance(sums["metrics"], dict)
        and sums["metrics"].keys() in (set(), set(training.metrics))
        and all(
            map(_is_number, (*[sums[name] for name in sums.keys() - {"metrics"}], *sums["metrics"].values()))
        )
        and _is_count(sums["rows"]),
        "best_epoch": config.get("best_epoch", 0) is None or _is_count(config.get("best_epoch")),
        "learning_rate": _is_number(config.get("learning_rate")),
        "chosen_rate": "chosen_rate" in config and _is_rate(config["chosen_rate"]),
    }
    for name, fits in entries.items():
        if not fits:
            _refuse(path, name)
    if not _is_count(step) or step != epoch * training.steps_per_epoch + batch:
        _refuse(path, "step")


def _columns(training: Training) -> list[str]:
    """What the history holds for an epoch beside its number."""
    means = ["loss", training.loss.metric, *training.metrics]
    validated = [f"val_{name}" for name in means] if training.validation else []
    return [*means, *validated, "learning_rate", "seconds"]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < LARGEST if isinstance(value, int) else math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


def _is_rate(value: Any) -> bool:
    return value is None or (_is_number(value) and value > 0)


def _refuse(path: str | os.PathLike, entry: str) -> NoReturn:
    raise TinynetError(
        f"{path} is a damaged checkpoint, its {entry!r} is not possible: start without resuming"
    )
