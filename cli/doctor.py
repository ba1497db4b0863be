"""tinynet doctor: what this installation would use, and why."""

from __future__ import annotations

import os
import platform

import click
from tinynet.cli.options import device_options, json_option, print_json


@click.command("doctor")
@json_option
@device_options
def command(as_json: bool) -> None:
    """Show versions, device, threads and cache, and what would be used and why."""
    facts = {**_versions(), **_device(), **_places()}
    if as_json:
        print_json(facts)
    else:
        width = max(map(len, facts))
        for name, fact in facts.items():
            click.echo(f"{name:<{width}}  {fact}")


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


def _device() -> dict[str, str]:
    from tinynet import kernels

    def chosen(flops: float | None) -> str:
        name, reason = kernels.choose(flops)
        return f"{name}: {reason}"

    facts = {"one picture": chosen(5e6), "training": chosen(None)}
    facts["threads"] = f"{kernels.threads()} of {kernels.available_cores()} cores"
    if kernels.load_cpu():
        from tinynet.kernels.cpu import simd

        facts["vector"] = f"{simd.LANES} lanes of float32"
    else:
        facts |= {"one picture": chosen(5e6), "training": chosen(None)}  # the reason may only be known now
    return facts


def _places() -> dict[str, str]:
    from tinynet import kernels
    from tinynet.files import user_folder
    from tinynet.storage import shipped_models

    places = {"data": str(user_folder("data")), "models": ", ".join(shipped_models())}
    if os.environ.get("TINYNET_DATA"):
        places["TINYNET_DATA"] = os.environ["TINYNET_DATA"]
    if kernels.load_cpu():
        from tinynet.kernels.cpu import cache

        places["kernel cache"] = str(
            cache.folder() or "none: no place is writable, kernels compile in every process"
        )
    return places
