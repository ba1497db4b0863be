"""README must be true: its console examples print what it says, and its table is what the benchmarks printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else ""
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
EXAMPLES = [
    (command, output)
    for block in BLOCKS
    for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]


@pytest.mark.parametrize(("command", "output"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_console_example_prints_what_readme_says(command, output):
    assert command.startswith("tinynet ")
    run = subprocess.run(
        f"{sys.executable} -m {command}", shell=True, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    expected = "".join(".*" if part == "…" else re.escape(part) for part in re.split("(…)", output))
    assert re.fullmatch(expected, run.stdout, re.DOTALL), run.stdout + run.stderr


def test_readme_has_examples():
    assert len(EXAMPLES) >= 3


def test_python_examples_run_one_after_the_other_in_a_copy_of_the_folder(tmp_path):
    shutil.copytree(ROOT / "tests" / "pictures", tmp_path / "tests" / "pictures")
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "The owl and the pussycat went to sea\nin a beautiful pea-green boat.\n" in done.stdout


def test_the_places_of_data_are_in_readme():
    from tinynet.data.datasets import SOURCES, Source

    files = [source.file for source in SOURCES.values() if isinstance(source, Source)]
    for file in (*files, "TINYNET_DATA"):
        assert f"`{file}`" in README, file


def test_tables_of_results_are_what_the_benchmarks_printed():
    machine, jobs, readers = (ROOT / "bench" / "results.md").read_text().strip().split("\n\n")
    assert f"{machine}\n\n{jobs}" in README
    assert readers in README


@pytest.mark.skipif(not hasattr(os, "posix_spawnp"), reason="measures with POSIX means")
def test_the_numpy_kernels_take_the_memory_that_readme_says():
    said = int(re.search(r"takes \d+ MB beyond Python and NumPy, (\d+) MB in all", README)[1])
    command = [sys.executable, "-m", "bench.small_machine"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(re.search(r"\((\d+) MB in all\)", done.stdout)[1]) <= 1.5 * said, done.stdout


def test_every_command_and_layer_is_in_readme():
    from tinynet.cli import VERBS
    from tinynet.layers import LAYERS

    for verb in VERBS:
        assert f"tinynet {verb}" in README, f"README shows no tinynet {verb}"
    listed = re.search(r"^Layers: (.*?)\.$", README, re.MULTILINE | re.DOTALL)[1]
    missing = LAYERS.keys() - re.findall(r"\w+", listed)
    assert not missing, f"the list of layers in README lacks {missing}"
