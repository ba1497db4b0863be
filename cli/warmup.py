"""tinynet warmup: compile the kernels before they are needed."""

from __future__ import annotations

import time

import click

from tinynet.cli.options import device_options
from tinynet.terminal import note


@click.command("warmup")
@device_options
def command() -> None:
    """Compile the kernels that training and inference use, so that later commands need not wait."""
    from tinynet.kernels.device import backend, choose
    from tinynet.recipes.warm_up import warm_up

    backend()
    device, reason, _ = choose()
    if device == "reference":
        note(f"there is nothing to compile: training runs on NumPy, since {reason}")
        return
    start = time.perf_counter()
    warm_up()
    note(f"the kernels are ready: {time.perf_counter() - start:.1f} s")
