"""The training loop: batch, forward, loss, backward, optimizer, callbacks. Kernels compute; the loop only says when."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..errors import TinynetError
from ..kernels import device as devices
from ..kernels.replay import Replay
from ..layers.base import Context, Layer
from ..layers.base import State as Carried
from ..layers.inputs import each, first_of
from ..network import Network, leaves, rebuilt
from ..terminal import note
from .history import History
from .losses import FunctionLoss, Loss
from .metrics import Metric, measured_by
from .mixing import mixed
from .optimizers import Arrays
from .resuming import save
from .samples import Batch, Samples
from .schedules import Position
from .signals import first_signal
from .state import Training, copied, no_sums, passes

EVALUATION_BATCH = 256
MEASURED_WEIGHTS = 2048
"""Samples on which two sets of weights are compared."""
EVALUATION_ROWS = 8192
"""Positions of sequences that are measured at once; layers keep arrays for each, which fill memory."""


class DivergedError(TinynetError):
    """The loss became NaN or infinite. `history` holds the epochs before.

    The model holds the weights of `history.best_epoch`, or those that training began with if no epoch was better.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


class Fetched(NamedTuple):
    """A batch whose arrays are where kernels take them from, and the seed of its step."""

    batch: Batch
    x: Any
    targets: Any
    shares: Any
    seed: int
    seed_array: Any
    """The same as an array (1,) int64; None where nothing is replayed."""


class Pass(NamedTuple):
    """What a batch gave: its loss, the gradients, the state at its end, and beside them the batch as it counted and the metrics."""

    loss: Any
    gradients: Arrays
    state: Carried
    batch: Batch
    metrics: dict[str, float]


class Loop(Training):
    """The steps of a training, in order."""

    def __post_init__(self) -> None:
        super().__post_init__()
        changes = [*self.model.statistics.values(), self.sums.score]
        needs_host = self.metrics or isinstance(self.loss, FunctionLoss) or self.samples.weights is not None
        self.replay = None if needs_host else Replay(self._function, self._read, lambda: changes)
        self.equal_shares: dict[int, Any] = {}

    # ---- from first step to last ----

    def run(self) -> History:
        """Train to the end; returns the history. Raises DivergedError if the loss becomes NaN or infinite."""
        self.began, self.compiled = time.monotonic(), devices.compile_seconds()
        # An overflow reaches the loss, which is checked: one error, and no NumPy warnings before it.
        with first_signal(self.interrupt), np.errstate(over="ignore", invalid="ignore"):
            self._tell("on_train_begin")
            try:
                self._stop_early()
                while self.epoch < self.epochs and not self.history.stopped:
                    self._run_epoch()
                self._settle()
            finally:
                self.replay = None  # with what a GPU holds for it
                self.equal_shares.clear()
                self.model.epochs_trained = self.trained_before + self.epoch + (self.batch > 0)
                self._tell("on_train_end")
        return self.history

    def _run_epoch(self) -> None:
        began = time.perf_counter()
        rng = np.random.default_rng([self.seed, self.trained_before + self.epoch])
        order = rng.permutation(len(self.samples)) if self.shuffle else np.arange(len(self.samples))
        seeds = rng.integers(2**32, size=(self.steps_per_epoch, 2)).tolist()
        self._tell("on_epoch_begin")
        fetched = self._fetch(self.batch, order, seeds)
        while fetched is not None and not self.history.stopped:
            self._step(fetched)
            self.batch += 1
            # where kernels run elsewhere than Python, those of the step still do
            fetched = self._fetch(self.batch, order, seeds)
            if self.time_limit is not None and self._seconds() > self.time_limit:
                self.stop("time limit" if self.step < self.total_steps else "")
            self._tell("on_batch_end")
        self._end_epoch(began)

    def _seconds(self) -> float:
        """Seconds since training began, not counting the compilation of kernels."""
        return time.monotonic() - self.began - (devices.compile_seconds() - self.compiled)

    def _fetch(self, number: int, order: np.ndarray, seeds: list[list[int]]) -> Fetched | None:
        """A batch of the epoch, changed as `augment` says; None where no more is needed."""
        if number >= self.steps_per_epoch or self.history.stopped:
            return None
        start, (seed, other), k = number * self.batch_size, seeds[number], self.kernels
        batch = self.samples.take(order[start : start + self.batch_size])
        if self.augment is not None:
            batch = batch._replace(x=self.augment.apply(batch.x, k, other))
            if self.augment.mix:
                batch = mixed(batch, self.augment.mix, self.model.output_shape[-1], k, other)
        seed_array = k.prefetch(np.array([seed], np.int64)) if self.replay else None
        x, targets = each(k.prefetch, batch.x), k.prefetch(batch.targets)
        return Fetched(batch, x, targets, self._shares(batch), seed, seed_array)

    def _shares(self, batch: Batch) -> Any:
        """The batch's shares; those that are all equal are kept."""
        if batch.weights is not None:
            return self.kernels.prefetch(batch.shares)
        if batch.rows not in self.equal_shares:
            self.equal_shares[batch.rows] = self.kernels.asarray(batch.shares)
        return self.equal_shares[batch.rows]

    def _step(self, fetched: Fetched) -> None:
        state = _reset(self.kernels, self.carried, self.reset_rate, fetched.seed)
        done = self._replayed(fetched, state) or self._pass(fetched, fetched.seed, state)
        value = self._finite(done.loss)
        if self.stateful:
            self.carried = self.model.check_state(done.state, len(first_of(fetched.x)))
        self.sums.add(value, done.batch, done.metrics)
        position = Position(self.step, self.total_steps, self.epoch, self.history.epochs)
        parameters = {name: self.parameters[name] for name in done.gradients}
        self.used_rate = self.optimizer.update(self.kernels, parameters, done.gradients, self.state, position)
        if self.average:
            self.average.update(self.kernels, self.arrays, self.step)

    def _pass(self, fetched: Fetched, seed: Any, state: Carried | None) -> Pass:
        """Forward, loss, backward."""
        batch, x, targets, shares, *_ = fetched
        k, context = self.kernels, Context(self.kernels, True, seed, input_gradient=False, state=state)
        outputs, kept = self.chain.forward(x, context)
        if kept.mask is not None:
            batch = batch.within(kept.mask)
            shares = batch.shares
        value, gradient = self.loss(k, outputs, targets, shares)
        self.loss.score(k, self.sums.score, outputs, targets, batch.counted)
        found: dict[str, float] = {}
        if self.metrics:
            self._finite(value)  # or their error would come first
            found = measured(self.metrics, self.model, self.chain, outputs, batch, context)
        _, gradients = self.chain.backward(gradient, kept, context)
        gradients = {name: gradients[name] for name in self._trained()}
        return Pass(value, gradients, kept.state, batch, found)

    def _replayed(self, fetched: Fetched, state: Carried | None) -> Pass | None:
        """The same as the back end repeats it without Python in between; None where it does not."""
        if self.replay is None:
            return None
        x = fetched.x if isinstance(fetched.x, tuple) else (fetched.x,)
        arrays = *x, fetched.targets, fetched.shares, fetched.seed_array, *leaves(state or {})
        captured = self.replay.captured(self.kernels, arrays)
        if captured is None or (given := captured(*arrays)) is None:
            self.replay = None if self.replay.failed else self.replay
            return None
        value, *found = given
        gradients = dict(zip(self._trained(), found, strict=False))
        ends = rebuilt(self.model.state_like, iter(found[len(gradients) :])) if state else {}
        return Pass(value, gradients, ends, fetched.batch, {})

    def _trained(self) -> list[str]:
        """The parameters of this training, but for those that a callback has frozen."""
        trained = self.model.trained()
        return [name for name in self.parameters if name in trained]

    def _read(self) -> list[Any]:
        """What a pass depends on beside its inputs; callbacks may freeze layers or choose another loss."""
        flags = (layer.trainable for _, layer in self.model.walk())
        return [*self.model.state().values(), self.sums.score, self.loss, *flags]

    def _function(self, kernels: ModuleType, *arrays: Any) -> tuple[Any, ...]:
        """A pass as a function of arrays alone, in the order of `_replayed`; what is no array is the same in each step."""
        inputs = len(self.model.inputs)
        x, (targets, shares, seed, *state) = arrays[:inputs], arrays[inputs:]
        batch = Batch(x if inputs > 1 else x[0], targets, shares.size, None)
        carried = rebuilt(self.model.state_like, iter(state)) if state else {}
        seed = kernels.seed_from(seed)
        done = self._pass(Fetched(batch, batch.x, targets, shares, 0, None), seed, carried)
        return done.loss, *done.gradients.values(), *leaves(done.state)

    def _end_epoch(self, began: float) -> None:
        """Validate and record an epoch, complete or broken off; a complete one before the checkpoint, to be part of it."""
        whole = self.batch == self.steps_per_epoch
        if not whole:
            self._save_checkpoint()
        if self.batch:
            self._record(began)
        try:
            self._tell("on_epoch_end")
        finally:
            if whole:
                self.epoch, self.batch, self.validated = self.epoch + 1, 0, {}
                self.sums.clear()
                self.forget()
                self._stop_early()
                self._save_checkpoint()

    def _stop_early(self) -> None:
        if self.epoch < self.epochs and self.early_stopping.is_over(self.history.epochs):
            self.stop("early stopping")

    def _record(self, began: float) -> None:
        self.validated = self._validate()
        row = {"epoch": self.epoch + 1, **self.logs}
        finite = math.isfinite(self.kernels.sum_of_squares(list(self.parameters.values())))
        if not finite or not math.isfinite(row.get("val_loss", 0.0)):
            self._diverged()
        row["learning_rate"] = self.learning_rate
        row["seconds"] = time.perf_counter() - began
        epochs = self.history.epochs
        epochs.append(row)
        self.history.broken_off = self.batch < self.steps_per_epoch
        best = self.early_stopping.best(epochs)
        if best == len(epochs) - 1:
            self.best, self.history.best_epoch = copied(self._weights()), row["epoch"]

    def _validate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        with self._weights_in_use():
            found = measure(self.model, self.validation, self.loss, self.kernels, self.metrics)
        return {f"val_{name}": value for name, value in found.items()}

    def _weights(self) -> Arrays:
        """The weights that count: their moving average if there is one."""
        return self.average.arrays if self.average else self.arrays

    @contextmanager
    def _weights_in_use(self) -> Iterator[None]:
        if not self.average:
            yield
            return
        trained = copied(self.arrays)
        self.model.set_state(self.average.arrays)
        try:
            yield
        finally:
            self.model.set_state(trained)

    def _settle(self) -> None:
        """Leave the model with its final weights: the best ones if training ended early or was asked for them."""
        early = self.history.stopped in ("interrupted", "time limit")
        self.restored = early or self.early_stopping.restore_best_weights
        self.model.set_state(self.best if self.restored else self._weights())
        last = self.history.epochs[-1]["epoch"] if self.history.epochs else None
        self.history.kept_epoch = self.history.best_epoch if self.restored else last

    def _finite(self, loss: Any) -> float:
        """A loss as Python's number; ends the training where it is none."""
        value = float(loss)
        if not math.isfinite(value):
            self._diverged()
        return value

    def _diverged(self) -> None:
        self.stop("diverged")
        self.restored = True
        if not self._is_better_than_start():
            self.best, self.history.best_epoch = self.start, None
        self.model.set_state(self.best)
        best = self.history.kept_epoch = self.history.best_epoch
        kept = (
            f"of epoch {best}, the best before" if best else "that it began with, since no epoch was better"
        )
        raise DivergedError(
            f"the loss is no longer a number in epoch {self.epoch + 1}, step {self.batch + 1}: try a lower learning "
            f"rate, or clip_norm=1.0; the model holds the weights {kept}",
            self.history,
        )

    def _is_better_than_start(self) -> bool:
        """Whether there is a best epoch whose weights beat those that training began with.

        Both are measured anew, since the loss of an epoch is a mean over steps before its final weights; without
        validation in training mode, since the moving averages of normalisation may not have settled.
        """
        if self.history.best_epoch is None:
            return False
        samples = self.validation or self.samples
        samples = samples.part(slice(None, None, -(-len(samples) // MEASURED_WEIGHTS)))
        rows = []
        for weights in (self.start, self.best):
            self.model.set_state(weights)
            training = self.validation is None
            found = measure(self.model, samples, self.loss, self.kernels, self.metrics, training=training)
            rows.append(found | {f"val_{name}": value for name, value in found.items()})
        return math.isfinite(rows[1]["loss"]) and replace(self.early_stopping, min_delta=0.0).best(rows) == 1

    def _tell(self, event: str) -> None:
        try:
            for callback in self.callbacks:
                getattr(callback, event)(self)
        except KeyboardInterrupt:
            self.interrupt()

    def _save_checkpoint(self) -> None:
        """Write a checkpoint; if that fails, training continues, and the next epoch tries again."""
        if self.checkpoint is None or not self.step:
            return
        try:
            save(self, self.checkpoint)
        except TinynetError as error:
            if not self.checkpoint_failed:
                note(f"note: no checkpoint for now: {error}; training continues")
            self.checkpoint_failed = True


def measure(
    model: Network,
    samples: Samples,
    loss: Loss,
    kernels: ModuleType,
    metrics: dict[str, Metric],
    batch_size: int | None = None,
    training: bool = False,
) -> dict[str, float]:
    """Mean loss and metrics on prepared samples, by default in batches that fit into memory."""
    batch_size = batch_size or usual_batch(samples)
    model.place(kernels)
    chain, context = passes(loss, model), Context(kernels, training=training, gradients=False)
    sums = no_sums(kernels)
    for start in range(0, len(samples), batch_size):
        batch = samples.take(slice(start, start + batch_size))
        outputs, kept = chain.forward(each(kernels.asarray, batch.x), context)
        batch = batch.within(kept.mask)
        targets = kernels.asarray(batch.targets)
        value, _ = loss(kernels, outputs, targets, batch.shares)
        value = float(value)
        loss.score(kernels, sums.score, outputs, targets, batch.counted)
        sums.add(value, batch, measured(metrics, model, chain, outputs, batch, context))
    return sums.means(loss.metric)


def usual_batch(samples: Samples) -> int:
    """Samples that are measured at once."""
    return min(EVALUATION_BATCH, max(EVALUATION_ROWS // samples.rows_each, 1))


def measured(
    metrics: dict[str, Metric],
    model: Network,
    chain: Layer,
    outputs: np.ndarray,
    batch: Batch,
    context: Context,
) -> dict[str, float]:
    """The metrics of a batch: functions are given outputs as `predict` returns them, even if the loss takes logits."""
    if not metrics:
        return {}
    if chain is not model:
        outputs = context.kernels.activation(outputs, model.logits_activation)
    return measured_by(metrics, context.kernels.asnumpy(outputs), batch.targets, batch.counted)


def _reset(kernels: ModuleType, state: Carried | None, rate: float, seed: int) -> Carried | None:
    """A state in which each sequence is reset to zeros with this chance."""
    if not state or not rate:
        return state
    arrays = leaves(state)
    kept = np.random.default_rng(seed).random(len(arrays[0])) >= rate
    factors = {
        shape: kernels.asarray(np.broadcast_to(kept.reshape(-1, *[1] * (len(shape) - 1)), shape), np.float32)
        for shape in {array.shape for array in arrays}
    }
    return rebuilt(state, (kernels.merge(array, factors[array.shape], "mul") for array in arrays))
