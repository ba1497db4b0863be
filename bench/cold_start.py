"""How long does a whole process take that classifies one picture, and how much memory, beside ONNX Runtime?

Also: the first run after installation, with no byte code and no kernel cache; the time from `tinynet train` to its first
step with an empty and a warm cache; the time of `tinynet --help`; and the installed size.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tinynet as tn

from .measure import Row, alternate_processes, print_rows, run_process
from .peers import onnx_bytes

PICTURE = Path(__file__).parent.parent / "tests" / "pictures" / "digit.png"
PEER = """
import sys
import numpy as np, onnxruntime
from PIL import Image
picture = Image.open(sys.argv[1]).convert("L").resize((28, 28))
x = 1 - np.asarray(picture, np.float32)[None, None] / 255
session = onnxruntime.InferenceSession(sys.argv[2], providers=["CPUExecutionProvider"])
print(session.run(None, {"x": x})[0].argmax())
"""


def classify(folder: Path) -> list[Row]:
    """Whole processes, in turn: `tinynet classify` and a script of ten lines with ONNX Runtime."""
    model, script = folder / "digits.onnx", folder / "peer.py"
    model.write_bytes(onnx_bytes(tn.load("digits")))
    script.write_text(PEER)
    ours = [*tinynet(), "classify", str(PICTURE)]
    a, b = alternate_processes([ours, [sys.executable, str(script), str(PICTURE), str(model)]], rounds=15)
    job = "`tinynet classify digit.png`, new process, against a script with ONNX Runtime"
    return [
        Row(f"{job}: time", f"{a.seconds:.2f} s", f"{b.seconds:.2f} s", f"{a.seconds / b.seconds:.2f}× its time", "≤ 1.3×"),
        Row(f"{job}: memory", f"{a.megabytes:.0f} MB", f"{b.megabytes:.0f} MB",
            f"{a.megabytes / b.megabytes:.2f}× its memory", "≤ 1.1×"),
    ]  # fmt: skip


def tinynet() -> list[str]:
    """The installed command, as this interpreter runs it."""
    return [sys.executable, "-m", "tinynet"]


def install(folder: Path) -> Path:
    """tinynet and what it needs in a fresh virtual environment; returns its bin folder. No byte code is compiled."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    source = folder / "source"
    ignored = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__")
    shutil.copytree(Path(__file__).parent.parent, source, ignore=ignored)
    subprocess.run([folder / "bin" / "pip", "install", "-q", "--no-compile", source], check=True)
    return folder / "bin"


def fresh(folder: Path) -> list[Row]:
    """What a user meets right after installing: the first run, the first training, the size."""
    bin_folder = install(folder / "venv")
    environment = {"XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder)}
    first = run_process([str(bin_folder / "tinynet"), "classify", str(PICTURE)], **environment)
    rows = [Row("the first run after installation", f"{first.seconds:.2f} s", "–", "", "≤ 1.0 s")]
    train = [
        str(bin_folder / "tinynet"),
        "train",
        "digits",
        "--force",
        "--epochs",
        "1",
        "--time-limit",
        "0.01",
    ]
    for state, goal in (("empty", "≤ 15 s"), ("warm", "≤ 2 s")):
        command = [*train, "--output", str(folder / "out.npz")]
        seconds = seconds_to_first_step(command, environment)
        rows.append(
            Row(
                f"from `tinynet train digits` to the first step, {state} cache",
                f"{seconds:.1f} s",
                "–",
                "",
                goal,
            )
        )
    total, own = installed_size(folder / "venv")
    rows.append(
        Row(
            "installed size beyond NumPy",
            f"{total:.0f} MB, tinynet itself {own:.1f} MB",
            "–",
            "",
            "≤ 250 MB, ≤ 16 MB",
        )
    )
    return rows


def seconds_to_first_step(command: list[str], environment: dict[str, str]) -> float:
    """Seconds from the start of the process until it says that its first step is done."""
    run = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    (seconds,) = re.findall(r"first step after ([\d.]+) s", run.stderr)
    return float(seconds)


def installed_size(venv: Path) -> tuple[float, float]:
    """Megabytes of everything but NumPy, pip and setuptools, and of tinynet alone, without byte code."""
    packages = next((venv / "lib").glob("python*")) / "site-packages"

    def size(names: list[str]) -> float:
        files = (file for name in names for file in (packages / name).rglob("*"))
        return sum(f.stat().st_size for f in files if f.is_file() and "__pycache__" not in f.parts) / 1e6

    names = [path.name for path in packages.iterdir()]
    left_out = ("numpy", "pip", "setuptools", "_distutils_hack", "pkg_resources")
    return size([name for name in names if not name.startswith(left_out)]), size(["tinynet"])


def rows() -> list[Row]:
    """All rows of this question."""
    with tempfile.TemporaryDirectory() as folder:
        return [*classify(Path(folder)), *fresh(Path(folder))]


if __name__ == "__main__":
    print_rows(rows())
