"""GPU kernels on disk, where there is the compiler and the assembler but no GPU: what it would load is only looked at (absent.py)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

import kernels.cuda.test_assembly  # noqa: F401  (needs the same, and says what is missing)
from tinynet.kernels import caching
from tinynet.kernels.cuda.compiler import cache, driver

ROOT = Path(__file__).parents[3]
KERNELS = ["activation._activation", "sums._products"]
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the cache folder is given by XDG_CACHE_HOME on Linux"
)


def compiled(home: Path, *options: str, kernels: list[str] = KERNELS) -> dict:
    """What a process says that makes some kernels ready to run."""
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    environment = {**os.environ, "XDG_CACHE_HOME": str(home), "PYTHONPATH": path}
    command = [sys.executable, "-m", "kernels.cuda.absent", *kernels, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A cache with two kernels, and what was said of them."""
    home = tmp_path_factory.mktemp("home")
    return home, compiled(home)


@pytest.fixture
def home(kept, tmp_path):
    """The same cache, to be spoiled."""
    return shutil.copytree(kept[0], tmp_path / "home")


def test_a_second_process_has_the_same_code_and_calls_no_compiler(kept):
    home, first = kept
    assert first["compiled"] == KERNELS
    second = compiled(home, "--cannot-compile")
    assert second == {**first, "compiled": []}


def test_a_damaged_file_is_compiled_again(home):
    (file,) = home.rglob("activation._activation-*.bin")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert compiled(home)["compiled"] == KERNELS[:1]
    assert compiled(home, "--cannot-compile")["compiled"] == []


def test_what_the_gpu_refuses_is_compiled_again(home):
    assert compiled(home, "--refuses", kernels=KERNELS[:1])["compiled"] == KERNELS[:1]


def test_what_numba_cannot_read_is_compiled_again(home):
    """As if another package had written it."""
    (file,) = home.rglob("activation._activation-*.bin")
    caching._write(file, b"not a kernel")
    assert compiled(home)["compiled"] == KERNELS[:1]


def test_folders_are_kept_apart_by_sources_settings_and_compiler(monkeypatch, tmp_path):
    kernels = Path(cache.__file__).parents[2]
    for name in ("cuda", "reference"):
        shutil.copytree(kernels / name, tmp_path / name)
    keys = [cache.key()]
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "cuda" / "compiler" / "cache.py"))

    def key():
        cache.key.cache_clear()
        return cache.key()

    try:
        assert key() == keys[0]
        for changed in ("cuda/product.py", "reference/activation.py"):
            with open(tmp_path / changed, "a") as file:
                file.write("# changed")
            keys.append(key())
        settings = sys.modules.get("numba.cuda.core.config", driver.config)
        monkeypatch.setattr(settings, "CUDA_DEBUGINFO_DEFAULT", 1)
        keys.append(key())
        monkeypatch.setattr(driver, "_driver_version", lambda: (99, 0))
        keys.append(key())
        monkeypatch.setattr(driver, "_compiler", lambda: ("libnvvm.so", 17))
        keys.append(key())
        monkeypatch.setattr(driver.metadata, "version", lambda package: "99")
        keys.append(key())
    finally:
        monkeypatch.undo()
        cache.key.cache_clear()
    assert len(set(keys)) == 7
