"""`fit` and `evaluate`: every setting is checked before the first step."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from ..checks import check_count, check_flag, check_number, check_seed, show_shape
from ..data.augmentation import Augmentation, PerInput
from ..errors import ShapeError, TinynetError
from ..files import check_writable, path_text
from ..kernels import device as devices
from ..layers.base import Layer, Shape
from ..network import Network
from ..settings import checked
from ..terminal import is_terminal, note
from . import resuming
from .callbacks import Callback, EarlyStopping, Progress, check_monitor
from .checkpoints import check_new, exclusive
from .history import History
from .identity import identity
from .loop import Loop, measure, usual_batch
from .losses import LOSSES, CrossEntropy, Loss, get_loss
from .metrics import Metric, get_metrics
from .optimizers import MovingAverage, Optimizer, get_optimizer
from .remarks import remarks
from .samples import Samples, prepare
from .schedules import watching


@checked
def fit(
    model: Network,
    x: Any,
    y: Any,
    *,
    epochs: int = 1,
    batch_size: int = 32,
    loss: str | Loss = "cross_entropy",
    metrics: Sequence[str | Metric] = (),
    optimizer: str | Optimizer | None = None,
    validation_data: tuple[Any, ...] | None = None,
    validation_split: float = 0.0,
    class_weight: Any = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    stateful: bool = False,
    reset_rate: float = 0.0,
    augment: Augmentation | tuple[Augmentation | None, ...] | None = None,
    callbacks: Sequence[Callback | EarlyStopping] = (),
    seed: int = 0,
    verbose: bool | None = None,
    clip_norm: float | None = None,
    ema: float | None = None,
    early_stopping: EarlyStopping | int | None = None,
    checkpoint: str | os.PathLike | None = None,
    resume: str | os.PathLike | None = None,
    time_limit: float | None = None,
) -> History:
    """Train a model in place. On a device the same seed gives the same bits, whatever the number of threads; for a long training
    "auto" may take a GPU (see `kernels.device`), which a note tells, and `set_device("cpu")` does not.

    Order and dropout follow from the seed and from how many epochs this network has trained since it was made or loaded
    (`net.epochs_trained`), so a loop of `fit(epochs=1)` continues as one `fit` would; but each call starts the optimizer and its
    schedule anew.

    x: samples (n, *input_shape); y: labels as the loss takes them (see `losses`), or names out of `labels`
    epochs, batch_size: the last batch of an epoch may be shorter
    loss: a name, a Loss or a function (see `losses.FunctionLoss`); cross_entropy and binary_cross_entropy are
        fused with the last softmax or sigmoid
    metrics: functions f(labels, outputs) that return a number for each batch; the history holds their mean over the samples, by
        the function's name; labels (m, …) as the loss takes them, outputs (m, c) as `predict` returns them, one row per sample or
        step. The loss's own metric, such as "accuracy", is always there
    optimizer: an Optimizer or its name, default Adam(1e-3); its learning rate may be a Schedule
    validation_data: (x, y) or (x, y, sample_weight), measured after each epoch; or validation_split, the last fraction
        of x and y
    class_weight: {class: weight}, 1 where not given, or "balanced", so that all classes count the same;
        sample_weight: (n,), or shaped like the labels
    shuffle: a new order every epoch; augment: an `Augment`, `SoundAugment`, `ClipAugment` or `WordAugment`, changes the samples of
        each batch; for a network of several inputs a tuple of one for each, None for those that stay
    stateful: sample i continues sample i of the previous batch, as with Keras's stateful=True: recurrent layers start from the
        state that they ended with, at the beginning of an epoch from zeros; nothing is shuffled (`data.text.characters.streams`);
        reset_rate: chance that a sample starts from zeros instead, so that the network also learns how to begin
    callbacks: see Callback; early_stopping: an EarlyStopping, or its patience
    verbose: None shows progress on stderr if that is a terminal, and a line per epoch in a notebook; True shows at
        least such lines everywhere, False nothing. The first training of a network also prints notes on odd samples (labels
        that are all the same, classes that validation_split leaves out, constant columns)
    clip_norm: limit of the norm of all gradients together, instead of the optimizer's own
    ema: decay, such as 0.999, of a moving average of the weights; validation and the final model use it
    checkpoint: file that is written after each epoch and when training is stopped; an existing one is not replaced unless it
        is the one that is resumed; if the disk is full, training continues without one
    resume: such a file; training continues to the same bits as without a break, with "auto" on the device that it began on. It must
        have the same data and settings, epochs among them unless the learning rate does not depend on their number
    time_limit: seconds of training, compiling not counted; training ends after the step that passes them

    Ctrl-C, SIGTERM and SIGHUP end training after the step (a second one at once); then, and at the time limit, the network
    is measured once more and keeps the best weights, by val_loss or by what early_stopping watches.

    Raises DataError and ShapeError for x and y that do not fit, TinynetError for wrong settings, all before training;
    DivergedError if the loss becomes NaN or infinite.
    """
    _check_learns(model)
    loss = get_loss(loss, model.logits_activation)
    measures = get_metrics(metrics, loss)
    samples = prepare(model, loss, x, y, sample_weight, class_weight)
    samples, validation = _validation(model, loss, samples, validation_data, validation_split)
    optimizer = _clipped(get_optimizer(optimizer), clip_norm)
    callbacks, early_stopping = _split_callbacks(callbacks, early_stopping)
    epochs, batch_size = _counts(epochs=epochs, batch_size=batch_size)
    chosen = _device(model, samples, epochs, batch_size, _check_time_limit(time_limit), _file(resume))
    training = Loop(
        model=model,
        kernels=devices.kernels_on(chosen.device),
        samples=samples,
        validation=validation,
        loss=loss,
        metrics=measures,
        optimizer=optimizer,
        early_stopping=_watch(early_stopping, optimizer, [loss.metric, *measures], validation is not None),
        average=None if ema is None else MovingAverage(ema),
        callbacks=[*callbacks, *_progress(verbose)],
        epochs=epochs,
        batch_size=batch_size,
        seed=check_seed("fit", "seed", seed),
        shuffle=check_flag("fit", "shuffle", shuffle) and not stateful,
        stateful=_check_stateful(stateful, model, samples, batch_size),
        reset_rate=check_number("fit", "reset_rate", reset_rate, most=1),
        augment=_check_augment(augment, model, samples, loss),
        checkpoint=_file(checkpoint),
        time_limit=time_limit,
        state=optimizer.start(model.trained()),
    )
    return _run(training, _file(resume), _notes(training, chosen, verbose, validation_split, resume))


def _counts(**given: Any) -> list[int]:
    return [check_count("fit", name, value) for name, value in given.items()]


def _device(
    model: Network,
    samples: Samples,
    epochs: int,
    batch_size: int,
    time_limit: float | None,
    resume: Path | None,
) -> devices.Choice:
    """The device to train on: a pass back does twice the operations of one forward."""
    work = 3 * model.operations(samples.x) * len(samples) * epochs
    steps = -(-len(samples) // batch_size) * epochs
    begun = None if resume is None else resuming.device_of(resume)
    return devices.choose(work, steps, training=True, limit=time_limit, begun=begun)


def _notes(
    training: Loop, chosen: devices.Choice, verbose: bool | None, validation_split: float, resume: Any
) -> Iterator[str]:
    """What is told before the first step."""
    if chosen.about_gpu and verbose is not False:
        yield f"training on the device {chosen.device}, since {chosen.reason}"
    if not (verbose is False or training.model.epochs_trained or resume):  # once, even in a loop of calls
        split = training.validation if validation_split else None
        yield from remarks(training.model, training.loss, training.samples, split)


def _run(training: Loop, resume: Path | None, said: Iterable[str]) -> History:
    """Train while no other training writes the same checkpoint; `said` holds notes that are printed first."""
    checkpoint, metadata = training.checkpoint, training.model.metadata
    if checkpoint is not None:
        check_writable(checkpoint)
    if checkpoint is not None or resume is not None:
        training.identity = identity(training)
    with exclusive(checkpoint):
        if checkpoint is not None:
            check_new(checkpoint, resume)
        if resume is not None:
            resuming.resume(training, resume)
        metadata.pop("loss", None)
        if training.loss.name in LOSSES:
            metadata["loss"] = training.loss.name
        for text in said:
            note(f"note: {text}")
        try:
            return training.run()
        finally:
            training.model.bring_home()


@checked
def evaluate(
    model: Network,
    x: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    loss: str | Loss | None = None,
    metrics: Sequence[str | Metric] = (),
    batch_size: int | None = None,
) -> dict[str, float]:
    """Mean loss and metrics of a model on samples x (n, *input_shape) and labels y: {"loss": …, "accuracy": …}.

    sample_weight: (n,), or shaped like the labels; batch_size: None chooses it by the length of sequences
    loss: by default the one that the model was trained with, else cross_entropy after a softmax,
    binary_cross_entropy after a sigmoid, mse after anything else; metrics: functions, as in `fit`. Raises as `fit` does.
    """
    model.check_begun()
    if loss is None:
        usual = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy", None: "mse"}
        loss = model.metadata.get("loss", usual[model.logits_activation])
    loss = get_loss(cast(Any, loss), model.logits_activation)
    measures = get_metrics(metrics, loss)
    samples = prepare(model, loss, x, y, sample_weight)
    batch_size = (
        usual_batch(samples) if batch_size is None else check_count("evaluate", "batch_size", batch_size)
    )
    kernels = devices.backend(model.operations(samples.x) * len(samples), -(-len(samples) // batch_size))
    found = measure(model, samples, loss, kernels, measures, batch_size)
    model.bring_home()
    return found


def _check_learns(model: Network) -> None:
    """Raise TinynetError if every layer is frozen, or one is a softmax over one unit, whose output is always 1."""
    model.check_begun()
    if model.parameters and not model.learns:
        raise TinynetError(
            f"every layer of {model.name} is frozen; set trainable = True on those that fit should train"
        )
    _check_softmax(model, model.input_shape)


def _check_softmax(layer: Layer, input_shape: Shape) -> None:
    for name, inner, shape in layer.inside(input_shape):
        last = inner.last or inner
        if getattr(last, "activation", None) == "softmax" and inner.compute_output_shape(shape)[-1:] == (1,):
            raise TinynetError(
                f"{name} is a softmax over one unit, which is always 1, so there is nothing to learn: "
                "use activation='sigmoid', or one unit per class"
            )
        _check_softmax(inner, shape)


def _validation(
    model: Network, loss: Loss, samples: Samples, data: tuple[Any, ...] | None, fraction: float
) -> tuple[Samples, Samples | None]:
    """The samples to train on and the samples to validate on."""
    check_number("fit", "validation_split", fraction, below=1)
    if data is not None and fraction:
        raise TinynetError("fit takes validation_data or validation_split, not both")
    if data is None:
        return samples.split(fraction) if fraction else (samples, None)
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise TinynetError("validation_data must be a pair (x, y), or (x, y, sample_weight)")
    try:
        return samples, prepare(model, loss, *data)
    except TinynetError as error:
        raise type(error)(f"validation_data: {error}") from None


def _clipped(optimizer: Optimizer, clip_norm: float | None) -> Optimizer:
    """The optimizer, with its limit of the gradients' norm replaced if one is given."""
    return optimizer if clip_norm is None else replace(cast(Any, optimizer), clip_norm=clip_norm)


def _split_callbacks(
    callbacks: Sequence[Callback | EarlyStopping], early_stopping: EarlyStopping | int | None
) -> tuple[list[Callback], EarlyStopping | None]:
    """Split callbacks into plain ones and early stopping, which users of Keras give among them."""
    if not isinstance(callbacks, (list, tuple)):
        raise TinynetError(f"callbacks must be a list of tinynet.training.Callback, not {callbacks!r}")
    plain = [callback for callback in callbacks if isinstance(callback, Callback)]
    stopping = [callback for callback in callbacks if isinstance(callback, EarlyStopping)]
    if len(plain) + len(stopping) != len(callbacks):
        raise TinynetError("callbacks must be instances of tinynet.training.Callback")
    if early_stopping is not None:
        whole = isinstance(early_stopping, EarlyStopping)
        stopping.append(early_stopping if whole else EarlyStopping(patience=early_stopping))
    if len(stopping) > 1:
        raise TinynetError("fit takes one EarlyStopping, not several")
    return plain, stopping[0] if stopping else None


def _watch(
    early_stopping: EarlyStopping | None, optimizer: Optimizer, metrics: Sequence[str], validated: bool
) -> EarlyStopping:
    """The EarlyStopping that tells the best epoch; unless asked for, it neither stops nor restores anything."""
    for watcher in (early_stopping, watching(optimizer.learning_rate)):
        if watcher is not None:
            check_monitor(watcher, metrics, validated)
    monitor = "val_loss" if validated else "loss"
    return early_stopping or EarlyStopping(monitor, patience=None, restore_best_weights=False)


def _progress(verbose: bool | None) -> list[Callback]:
    notebook = "ipykernel" in sys.modules  # it shows stderr as if something were wrong
    shown = notebook or is_terminal(sys.stderr) if verbose is None else verbose
    return [Progress(sys.stdout if notebook else sys.stderr)] if shown else []


def _check_stateful(stateful: bool, model: Network, samples: Samples, batch_size: int) -> bool:
    if not check_flag("fit", "stateful", stateful):
        return False
    if not model.state_like:
        raise TinynetError(
            f"stateful needs a recurrent layer, which {model.name} does not have; leave it out"
        )
    for name, layer in model.children().items():
        if name in model.state_like and not layer.streamable:
            raise TinynetError(f"stateful needs layers that read forwards, which {name} does not")
    if len(samples) % batch_size:
        raise TinynetError(
            f"stateful needs whole batches, but there are {len(samples)} samples for batches of {batch_size}; "
            "leave out the samples that do not fill a batch"
        )
    return True


def _check_augment(
    augment: Any, model: Network, samples: Samples, loss: Loss
) -> Augmentation | PerInput | None:
    inputs = samples.x if isinstance(samples.x, tuple) else (samples.x,)
    parts = augment if isinstance(augment, tuple) else (augment,)
    if augment is None:
        return None
    if len(parts) != len(inputs):
        raise TinynetError(
            f"the network has {len(inputs)} inputs: augment needs a tuple of one for each, None for those that stay"
            if len(inputs) > 1
            else f"augment has {len(parts)} parts, but the network has one input"
        )
    for part in parts:
        if not isinstance(part, (Augmentation, type(None))):
            raise TinynetError(f"augment must be a tinynet.Augment, such as Augment(rotate=10), not {part!r}")
    for part, x in zip(parts, inputs, strict=True):
        if part is not None and (x.ndim not in part.axes or (part.changes_ids and x.dtype.kind not in "iu")):
            raise TinynetError(f"augment needs {part.of}")
        if part is not None and part.mix:
            _check_mixes(len(inputs) == 1, samples, loss)
    _check_shapes(parts, model, [x.shape[1:] for x in inputs])
    return PerInput(parts) if isinstance(samples.x, tuple) else parts[0]


def _check_shapes(parts: Sequence[Augmentation | None], model: Network, shapes: list[Shape]) -> None:
    """Whether the network takes samples of the shapes that they have once they are changed."""
    changed = [
        shape if part is None else part.shape(shape) for part, shape in zip(parts, shapes, strict=True)
    ]
    if changed == shapes:
        return
    given = tuple(changed) if len(changed) > 1 else changed[0]
    try:
        fits = model.compute_output_shape(given) == model.output_shape
        model.build(given, None)  # which makes nothing anew, since all is there
    except ShapeError:
        fits = False
    if not fits:
        raise TinynetError(
            f"augment makes samples of shape {show_shape(given)}, which a network for {show_shape(model.input_shape)} cannot take: "
            "leave out resolution, or choose one nearer to 1 and let the last map end in a GlobalAveragePool2D"
        )


def _check_mixes(one_input: bool, samples: Samples, loss: Loss) -> None:
    if not (one_input and isinstance(loss, CrossEntropy) and samples.rows_each == 1):
        raise TinynetError(
            "augment mixes samples, which needs one input, loss='cross_entropy' and one label per sample; leave out mix"
        )


def _file(path: str | bytes | os.PathLike | None) -> Path | None:
    return None if path is None else Path(path_text(path))


def _check_time_limit(seconds: float | None) -> float | None:
    if seconds is not None:
        check_number("fit", "time_limit", seconds, above=0)
    return seconds
