"""tinynet doctor: what this installation would use, and why."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from tinynet.cli.options import device_options, json_option, print_table
from tinynet.terminal import print_json

DIGITS_FLOPS, DIGITS_EPOCHS, DIGITS_STEPS = 4_515_968, 10, 938
"""`tinynet train digits`: operations of the network per picture, and steps per epoch of 60,000 pictures."""
PROCESSOR = ("model name", "Model", "Hardware")
"""Fields of /proc/cpuinfo that name a processor or board, the most precise first."""


@click.command("doctor")
@json_option
@device_options
def command(as_json: bool) -> None:
    """Show versions, processor, threads, data and cache, and which device would be used and why."""
    facts = {}
    for part in (_versions, _machine, _device, _gpu, _data, _models, _cache):
        facts.update(_examined(part))
    if as_json:
        print_json(facts)
    else:
        print_table(list(facts.items()), left=(0, 1))


def _examined(part: Callable[[], dict[str, str]]) -> dict[str, str]:
    """The facts from one part; an error there is reported as a fact too."""
    try:
        return part()
    except Exception as error:
        return {part.__name__.strip("_"): f"cannot be used: {error or type(error).__name__}"}


def _versions() -> dict[str, str]:
    from importlib import metadata

    from tinynet.version import __version__

    versions = {"tinynet": __version__, "python": platform.python_version(), "system": platform.platform()}
    for package in ("numpy", "numba", "llvmlite", "pillow", "click"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _machine() -> dict[str, str]:
    from tinynet.kernels import device

    cores = device.available_cores()
    return {"processor": _processor(), "threads": f"{device.threads()} of {cores} core{'s' * (cores != 1)}"}


def _processor() -> str:
    """The processor's marketing name, if the system gives it."""
    with suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "darwin":
            asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        for name in PROCESSOR:
            if found.get(name):
                return found[name]
    return platform.processor() or platform.machine()


def _device() -> dict[str, str]:
    from tinynet.kernels import device

    def chosen() -> dict[str, str]:
        work = 3 * DIGITS_FLOPS * 60_000 * DIGITS_EPOCHS
        choices = {
            "one picture": device.choose(DIGITS_FLOPS),
            "train digits": device.choose(work, DIGITS_STEPS * DIGITS_EPOCHS, training=True),
        }
        return {
            what: f"{name} ({'NumPy' if name == 'reference' else 'Numba'}), since {reason}"
            for what, (name, reason, _) in choices.items()
        }

    facts = chosen()
    if device.load_cpu():
        facts |= _examined(_vectors)
    else:
        facts |= chosen()  # the reason may only be known now
    return facts


def _gpu() -> dict[str, str]:
    """The GPUs that can be used and what compiles for them, or what is missing."""
    from tinynet.kernels import device

    if problem := device.cuda_problem():
        return {"gpu": f"cannot be used: {problem}"}
    from tinynet.kernels.cuda.compiler import driver

    return {
        "gpu": f"{'; '.join(driver.devices())}; auto uses it for long work that is done sooner there",
        "cuda": f"{driver.mode()}, {driver.toolkit()}",
    }


def _vectors() -> dict[str, str]:
    from tinynet.kernels.cpu.compiler import simd

    arm = platform.machine().lower() in ("aarch64", "arm64")
    kind = {16: "AVX-512", 8: "AVX2", 4: "NEON" if arm else "SSE"}.get(simd.LANES, "narrow vectors")
    asked = ", set by TINYNET_LANES" if os.environ.get("TINYNET_LANES") else ""
    return {"vectors": f"{kind}, {simd.LANES} lanes of float32{asked}"}


def _data() -> dict[str, str]:
    """The folder of the data sets, and which of them are there."""
    from tinynet.data.datasets import SOURCES, Source
    from tinynet.files import data_folder

    given = os.environ.get("TINYNET_DATA")
    folder = Path(given) if given else data_folder()
    facts = {
        "data folder": f"{folder}, {'set by TINYNET_DATA' if given else 'since TINYNET_DATA is not set'}"
    }
    for source in SOURCES.values():
        if not isinstance(source, Source):
            continue  # made of others
        downloads = [] if given else [download.path for download in source.downloads]
        facts[source.name] = _whether_there(folder, downloads or [source.file], bool(source.downloads))
    return facts


def _whether_there(folder: Path, files: list[str], downloaded: bool) -> str:
    missing = [file for file in files if not (folder / file).is_file()]
    if not missing:
        return "there"
    if not os.environ.get("TINYNET_DATA"):
        later = f"missing: put {missing[0]} into a folder, and set TINYNET_DATA to that folder"
        return "not downloaded yet; the first use downloads it" if downloaded else later
    or_download = ", or unset TINYNET_DATA to have it downloaded" if downloaded else ""
    return f"missing: put {missing[0]} into the data folder{or_download}"


def _models() -> dict[str, str]:
    from tinynet.storage import shipped_models

    return {"models": ", ".join(shipped_models()) or "none"}


def _cache() -> dict[str, str]:
    """Where compiled kernels are kept, of the processor and of a GPU that can be used."""
    from tinynet.kernels import device

    facts = {}
    if device.load_cpu():
        from tinynet.kernels.cpu.compiler import cache

        facts["kernel cache"] = _kept_in(cache.folder())
    if device.cuda_problem() is None:
        from tinynet.kernels.cuda.compiler import cache, driver

        simulated = "none: the simulator of Numba compiles nothing"
        facts["gpu kernel cache"] = simulated if driver.SIMULATED else _kept_in(cache.folder())
    return facts


def _kept_in(folder: Path | None) -> str:
    return str(folder or "none: no folder is writable, so kernels compile in every process")
