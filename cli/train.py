"""tinynet train: from data to a model file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tinynet.cli import STARTED
from tinynet.cli.options import Choice, Number, data_argument, device_options

from tinynet.terminal import echo, note

if TYPE_CHECKING:
    from tinynet.recipes.base import Plan
    from tinynet.training import History

ARCHITECTURES = ("auto", "cnn", "lstm", "gru", "rnn")
DRAWING, TABLE = ".png", ".csv"
"""How the name of a history ends, and what it becomes."""


def _model_file(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """A path that a model may have."""
    from tinynet.errors import TinynetError
    from tinynet.storage import check_file_name

    try:
        if path is not None:
            check_file_name(path)
    except TinynetError as error:
        raise click.BadParameter(str(error)) from None
    return path


def _history_file(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """A path that says whether it is a table or a drawing."""
    if path is not None and path.suffix not in (DRAWING, TABLE):
        raise click.BadParameter(f"{path}: a history's file name ends in {TABLE} or {DRAWING}")
    return path


@click.command("train")
@data_argument
@click.option(
    "--arch",
    type=Choice(ARCHITECTURES, case_sensitive=False),
    default="auto",
    show_default=True,
    help="Kind of network. Pictures: cnn, for digits also lstm, gru and rnn, which read row by row. Text: lstm, gru, rnn.",
)
@click.option(
    "--epochs", type=click.IntRange(1), help="How often each sample is seen.  [default: by the recipe]"
)
@click.option("--batch-size", type=click.IntRange(1), help="Samples per step; for text, parallel streams.")
@click.option("--units", type=click.IntRange(1), help="Size of a recurrent layer.  [default: by the recipe]")
@click.option("--learning-rate", type=Number(0, min_open=True),
              help="Peak of the learning rate.  [default: by the recipe]")  # fmt: skip
@click.option(
    "--augment/--no-augment",
    default=None,
    help="Whether to shift, turn and bend pictures at random.  [default: augment]",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.npz",
              callback=_model_file,
              help="Where the model goes.  [default: ./DATA-ARCH.npz]")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--resume", is_flag=True, help="Go on with a training that was interrupted, to the same bits.")
@click.option(
    "--time-limit",
    type=Number(0, min_open=True),
    metavar="SECONDS",
    help="Stop after SECONDS and keep the best weights.",
)
@click.option("--history", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              callback=_history_file,
              help="Write loss and accuracy by epoch: a .csv table or a .png drawing.")  # fmt: skip
@click.option(
    "--random-seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="The same number gives the same weights.",
)
@device_options
def command(data: str, output: Path | None, force: bool, resume: bool, time_limit: float | None,
            history: Path | None, random_seed: int, augment: bool | None, **choices: Any) -> int:  # fmt: skip
    """Train a network on DATA: digits, fashion, shakespeare, a .txt file, or a folder with one folder of pictures per class.

    Pictures train a CNN; text trains an LSTM, which learns what comes next. The same seed gives the same weights,
    whatever the number of threads. Ctrl-C keeps the best weights so far, and --resume goes on from there.
    """
    from tinynet import recipes
    from tinynet.recipes.base import Choices
    from tinynet.training import check_writable

    if augment is not None and recipes.is_text(data):
        raise click.UsageError(
            "--augment and --no-augment are for pictures, but DATA is text; leave them out"
        )
    if output is not None:
        _check_output(output, force, resume)
    plan = recipes.plan(data, Choices(seed=random_seed, augment=augment is not False, **choices))
    if output is None:
        output = Path(f"{plan.name}.npz")
        _check_output(output, force, resume)
    if history is not None:
        check_writable(history)
    for warning in plan.warnings:
        note(f"note: {warning}")
    note(plan.reason)
    trained = _train(plan, data, output, resume, time_limit)
    if history is not None:
        trained.draw(history) if history.suffix == DRAWING else trained.save_csv(history)
    return 130 if trained.interrupted else 0


def _checkpoint(output: Path) -> Path:
    """Where the state of a training lies until it is done."""
    return output.with_suffix(".checkpoint.npz")


def _check_output(output: Path, force: bool, resume: bool) -> None:
    """Found before training, not after."""
    from tinynet.errors import TinynetError
    from tinynet.training import check_writable

    if resume and not _checkpoint(output).exists():
        raise TinynetError(
            f"there is no checkpoint {_checkpoint(output)}: give --resume the --output of the interrupted training, "
            "or start without --resume"
        )
    # Beside its checkpoint, a file is what the interrupted training itself has left.
    if output.exists() and not (force or resume):
        raise TinynetError(f"{output} exists already; choose another --output, or --force to replace it")
    check_writable(output)


def _train(plan: Plan, data: str, output: Path, resume: bool, time_limit: float | None) -> History:
    """Train, save, and say what came of it."""
    from tinynet.errors import TinynetError

    checkpoint = _checkpoint(output)
    trained = plan.model.fit(
        plan.x,
        plan.y,
        **plan.settings,
        callbacks=[_first_step(), *plan.callbacks],
        checkpoint=checkpoint,
        resume=checkpoint if resume else None,
        time_limit=time_limit,
        verbose=True,
    )
    if not trained.epochs:
        raise TinynetError("training was stopped before its first step; nothing is saved")
    best = trained.epochs[(trained.kept_epoch or len(trained.epochs)) - 1]
    plan.model.metadata["training"] = {
        "data": data,
        "epochs": len(trained.epochs),
        "best epoch": best["epoch"],
        **plan.record(best),
        "seed": plan.settings["seed"],
    }
    plan.model.save(output, dtype="float16")
    if not trained.stopped:
        checkpoint.unlink(missing_ok=True)
    else:
        note(f"go on with --resume: {checkpoint} holds the state")
    for warning in plan.notes():
        note(f"note: {warning}")
    note(f"{output}: {plan.verdict(best)}, epoch {best['epoch']}")
    echo(str(output))
    return trained


def _first_step():
    """Says how long the user waited for the first step: loading, reading the data, compiling."""
    from tinynet.training import Callback

    class FirstStep(Callback):
        """Reports once."""

        def on_batch_end(self, training) -> None:
            """After the very first step."""
            if training.step == 1:
                note(f"first step after {time.perf_counter() - STARTED:.1f} s")

    return FirstStep()
