"""tinynet train: train a network and save it to a model file."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from contextlib import nullcontext, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinynet.cli import completion
from tinynet.cli.options import (
    Choice,
    Count,
    Duration,
    Number,
    check_new,
    data_argument,
    device_options,
    force_option,
    json_option,
    model_file,
    table_options,
)
from tinynet.cli.process import STARTED, command_to_continue, fail
from tinynet.recipes.architectures import ARCHITECTURES
from tinynet.terminal import echo, note, print_json

if TYPE_CHECKING:
    from tinynet.errors import TinynetError
    from tinynet.recipes.base import Plan
    from tinynet.training import History, Training

ANSWERS = 31
"""Answers to one sample whose median time is taken."""
DRAWING, TABLE = ".png", ".csv"
"""Endings of a history's file name: a drawing or a table."""


def _history_file(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """A path whose ending says table or drawing."""
    if path is not None and path.suffix not in (DRAWING, TABLE):
        raise click.BadParameter(f"{path}: a history's file name must end in {TABLE} or {DRAWING}")
    return path


@click.command("train")
@data_argument
@click.option(
    "--arch",
    type=Choice(("auto", *ARCHITECTURES), case_sensitive=False),
    default="auto",
    show_default=True,
    help="Kind of network. Pictures: resnet, cnn, vgg, inception or mobilenet; for digits also nano, which is tiny, and lstm, gru or rnn, "
    "which read row by row. "
    "Text: lstm, gru, rnn or transformer. "
    "Labelled texts: gru, lstm, cnn-gru or cnn-lstm. Sounds and clips: cnn-gru or cnn-lstm. Captions: cnn-gru or cnn-lstm. "
    "Series: gru, lstm or cnn. Tables: mlp.",
)
@table_options
@click.option("--base", metavar="MODEL", shell_complete=completion.models,
              help="Begin with the layers of a trained model: a shipped one or a .npz file.")  # fmt: skip
@click.option("--freeze", metavar="LAYERS",
              help="Keep so many layers of the base, from the input, as they are, or those up to a name.")  # fmt: skip
@click.option(
    "--epochs", type=Count(1), help="How many times to go through the data.  [default: depends on DATA]"
)
@click.option("--batch-size", type=Count(1), help="Samples per step; for text, parallel streams.")
@click.option(
    "--units",
    type=Count(1),
    help="Size of a recurrent layer, or of the vectors of a transformer.  [default: depends on DATA]",
)
@click.option("--width", type=Number(0, 16, min_open=True), metavar="FACTOR",
              help="Times as many channels or units as the recipe has.  [default: 1]")  # fmt: skip
@click.option(
    "--depth",
    type=Count(1, 64),
    help="Blocks per stage of a network for pictures, blocks of a transformer, or hidden layers.  [default: depends on DATA]",
)
@click.option("--learning-rate", type=Number(0, min_open=True),
              help="Peak learning rate.  [default: depends on DATA]")  # fmt: skip
@click.option(
    "--augment/--no-augment",
    default=None,
    help="Whether to shift, rotate and distort pictures at random.  [default: augment]",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.npz",
              callback=model_file,
              help="Where to save the model.  [default: ./DATA-ARCH.npz]")  # fmt: skip
@force_option
@click.option(
    "--resume",
    is_flag=True,
    help="Continue an interrupted training; ends with the same bits as without a break.",
)
@click.option("--time-limit", type=Duration(), metavar="TIME",
              help="Stop after TIME (90 seconds, 10m, 1h) of training and keep the best weights.")  # fmt: skip
@click.option("--history", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              callback=_history_file,
              help="Save loss and accuracy per epoch: a .csv table or a .png drawing.")  # fmt: skip
@click.option(
    "--random-seed",
    type=Count(0),
    default=0,
    show_default=True,
    help="The same number gives the same weights.",
)
@json_option
@device_options
def command(data: str, output: Path | None, force: bool, resume: bool, time_limit: float | None,
            history: Path | None, random_seed: int, drop: tuple[str, ...], as_json: bool, **choices: Any) -> int:  # fmt: skip
    """Train a network on DATA: digits, fashion, shakespeare, sentence-polarity, spoken-digits, temperature, moving-digits, scenes, a
    .txt file, a .csv or .tsv with the columns label and text, a .csv series of times and numbers, a .csv table with --target, a folder
    with one folder of pictures, .wav files, or clips (GIFs or folders of frames) per class, or a folder of pictures with a
    captions.tsv (file, caption).

    Pictures train a CNN; sounds and clips a CNN, then a GRU; labelled texts a GRU beside a bag of words; a series a GRU beside a linear
    forecast; text trains an LSTM, which learns what comes next. The same seed gives the same weights, whatever the number of
    threads. Ctrl-C keeps the best weights so far, and --resume continues from there.
    """
    from tinynet import recipes
    from tinynet.recipes.base import Choices

    if history is not None:
        check_new(history, "--history", force or resume)
    if output is not None:
        _check_output(output, force, resume)
    plan = recipes.plan(data, Choices(seed=random_seed, drop=drop or None, **choices))
    if output is None:
        output = Path(f"{plan.name}.npz")
        _check_output(output, force, resume)
    for warning in plan.warnings:
        note(f"note: {warning}")
    note(plan.reason)
    for line in plan.layers:
        note(line)
    if force and not resume:
        _discard(_checkpoint(output))
    return _train(plan, data, output, resume, time_limit, history, as_json)


def _checkpoint(output: Path) -> Path:
    """The file that holds the state of a training until it is done."""
    return output.with_suffix(".checkpoint.npz")


def _check_output(output: Path, force: bool, resume: bool) -> None:
    """Raise TinynetError before training if the result could not be saved after it."""
    from tinynet.errors import TinynetError
    from tinynet.training.checkpoints import exclusive

    if resume and not _checkpoint(output).exists():
        raise TinynetError(
            f"there is no checkpoint {_checkpoint(output)}: give --resume the --output of the interrupted training, "
            "or start without --resume"
        )
    with exclusive(_checkpoint(output)):
        pass  # first make sure that no other training is writing it
    if _checkpoint(output).exists() and not (force or resume):
        raise TinynetError(
            f"{_checkpoint(output)} exists already: --resume continues it, --force replaces it, --output writes elsewhere"
        )
    check_new(_checkpoint(output), "--output", force or resume)
    # A file beside its checkpoint was left by the interrupted training itself.
    check_new(output, "--output", force or resume)


def _discard(checkpoint: Path) -> None:
    """Remove the state of a training that is to be replaced."""
    from tinynet.training.checkpoints import exclusive

    with exclusive(checkpoint):
        checkpoint.unlink(missing_ok=True)


def _train(
    plan: Plan,
    data: str,
    output: Path,
    resume: bool,
    time_limit: float | None,
    history: Path | None,
    as_json: bool,
) -> int:
    """Train, save and report the result; returns the exit status."""
    from tinynet.training import DivergedError
    from tinynet.training.signals import first_signal

    checkpoint, failure, watch = _checkpoint(output), None, _watch()
    try:
        trained = plan.fit(
            callbacks=[watch, *plan.callbacks],
            checkpoint=checkpoint,
            resume=checkpoint if resume else None,
            time_limit=time_limit,
            verbose=True,
        )
    except DivergedError as error:
        if error.history.kept_epoch is None:
            raise
        trained, failure = error.history, error
    came = [trained.signal] if trained.signal else []
    if came and hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closing terminal may send it again
    with nullcontext() if came else first_signal(came.append):
        if trained.epochs:
            failure = _save(plan, data, trained, output, checkpoint, watch if as_json else None) or failure
            if history is not None:
                trained.draw(history) if history.suffix == DRAWING else trained.save_csv(history)
        elif failure is None:
            note("training was stopped before its first step; nothing was saved")
    if failure is not None:
        return fail(failure)
    return 128 + came[0] if came else 0


def _save(
    plan: Plan, data: str, trained: History, output: Path, checkpoint: Path, watch: Any | None
) -> TinynetError | None:
    """Save the model, to another folder if it must, and report the result, as JSON if it is given which part is done; returns the error, if
    there was one.
    """
    from tinynet.tasks import TASKS

    best = trained.epochs[(trained.kept_epoch or len(trained.epochs)) - 1]
    plan.model.metadata["training"] = plan.training_record(data, trained, best)
    place, failure = _write(plan, output)
    unfinished = trained.stopped in ("interrupted", "time limit")
    if not (unfinished or failure):
        checkpoint.unlink(missing_ok=True)
    for warning in plan.notes():
        note(f"note: {warning}")
    note(f"{plan.result_line(best)}, epoch {best['epoch']}")
    note(plan.comparison())
    if unfinished and checkpoint.exists():
        note(f"to continue: {command_to_continue()}")
    elif not failure:
        usage = TASKS[plan.model.metadata["task"]].usage
        note(f"to use it: {shlex.join(['tinynet', *usage, '--model', str(place)])}")
    if watch is None:
        echo(str(place))
    else:
        print_json({"file": str(place), **_found(plan, trained, best, watch)})
    return failure


def _found(plan: Plan, trained: History, best: dict[str, Any], watch: Any) -> dict[str, Any]:
    """The result of a training as JSON values."""
    from tinynet.training.schedules import peak_rate

    measure, value, interval = plan.score(best)
    return {
        "measure": measure.name,
        "value": value,
        "interval": interval,
        "baselines": plan.baselines,
        "parameters": plan.model.parameter_count(),
        "learning_rate": peak_rate(plan.settings["optimizer"].learning_rate),
        "epochs": plan.settings["epochs"],
        "done": watch.done,
        "pace": watch.pace,
        "seconds": sum(epoch["seconds"] for epoch in trained.epochs),
        "stopped": trained.stopped or None,
        "memory": _peak_memory(),
        "milliseconds": _milliseconds(plan),
    }


def _peak_memory() -> float | None:
    """Megabytes that this process has had at most; None where the system does not tell."""
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:
        return None
    return round(getrusage(RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _milliseconds(plan: Plan) -> float:
    """The median time for the answer to one sample."""
    from tinynet.layers.inputs import each

    sample, times = each(lambda x: x[:1], plan.x), []
    for _ in range(ANSWERS):
        began = time.perf_counter()
        plan.model.predict(sample)
        times.append(1e3 * (time.perf_counter() - began))
    return round(sorted(times)[ANSWERS // 2], 4)


def _write(plan: Plan, output: Path) -> tuple[Path, TinynetError | None]:
    """Write the model, to another folder if it must: returns where it is and the error, if there was one."""
    import tempfile

    import numpy as np

    from tinynet.errors import TinynetError

    # float16 halves the size; float32 if a value does not fit.
    largest = max(float(np.abs(a).max(initial=0)) for a in plan.model.state().values())
    dtype = "float16" if largest <= float(np.finfo(np.float16).max) else "float32"
    try:
        plan.model.save(output, dtype)
        return output, None
    except TinynetError as error:
        failure = error
    for folder in (os.curdir, os.path.expanduser("~"), tempfile.gettempdir()):
        place = Path(folder, f"{output.stem}-{datetime.now(timezone.utc):%Y%m%d-%H%M%S}.npz")
        with suppress(TinynetError):
            plan.model.save(place, dtype)
            return place, TinynetError(f"{failure}; the model is in {place} instead")
    raise TinynetError(f"{failure}; nor is there room for the model in the current, home or temporary folder")


def _watch() -> Any:
    """A callback that says how long the first step took, loading, reading the data and compiling included; and knows the pace."""
    from tinynet.training import Callback

    class Watch(Callback):
        """done: the part of all steps, 0…1; pace: the seconds that an epoch takes once all is compiled, validation included."""

        done = pace = spent = 0.0
        steps = 0

        def on_epoch_begin(self, training: Training) -> None:
            """The first step of an epoch is not timed: it may compile."""
            self.began, self.last = time.perf_counter(), None

        def on_batch_end(self, training: Training) -> None:
            """After each step."""
            now = time.perf_counter()
            if training.step == 1:
                note(f"first step after {now - STARTED:.1f} s")
            if self.last is not None:
                self.spent, self.steps = self.spent + now - self.last, self.steps + 1
            self.done, self.last = training.step / training.total_steps, now

        def on_epoch_end(self, training: Training) -> None:
            """After validation."""
            now = time.perf_counter()
            if self.steps:
                per_epoch = training.total_steps / training.epochs
                self.pace = per_epoch * self.spent / self.steps + now - (self.last or now)
            else:
                self.pace = now - self.began

    return Watch()
