"""Compilation, its cache, and the launch on threads: what must never be in a user's way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from tinynet.kernels import caching
from tinynet.kernels.cpu.compiler import cache, environment, jit, launch

ROOT = Path(__file__).parents[2]
RECTIFY = """
import sys
import numpy as np
from tinynet.kernels import caching
compiled = []
caching.on_compile = compiled.append
from tinynet.kernels import cpu
assert not compiled, compiled
y = cpu.activation(np.float32([-1, 0, 2]), "relu")
assert y.tolist() == [0, 0, 2], y
print(compiled)
"""

LSTM_GRADIENT = """
import hashlib
import numpy as np
from tinynet.kernels import caching
compiled = []
caching.on_compile = compiled.append
from tinynet.kernels import cpu
numbers = lambda *shape: np.random.default_rng(0).standard_normal(shape, np.float32)
n, t, units = 9, 20, 40
h, c, dh = (numbers(n, t + 1, units) for _ in range(3))
gates = abs(np.sin(numbers(n, t, 4 * units)))
made = cpu.lstm_gradient(dh, dh[:, 0], h, c, gates, numbers(units, 4 * units), None)
print("compiled" if compiled else "loaded", *[hashlib.sha256(a.tobytes()).hexdigest() for a in made])
"""


def rectify(cache_home: Path, code: str = RECTIFY, **environment: str) -> str:
    """Run one kernel in a new process; returns what it printed, of RECTIFY what was compiled."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache_home), "PYTHONPATH": str(ROOT), **environment}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split("]")[0] + "]"


linux = pytest.mark.skipif(
    sys.platform != "linux", reason="the cache folder is given by XDG_CACHE_HOME on Linux"
)


@linux
def test_a_second_process_compiles_nothing(tmp_path):
    assert rectify(tmp_path) == "['activation.relu']"
    assert rectify(tmp_path) == "[]"


@linux
def test_code_fresh_from_the_compiler_gives_the_same_bits_as_from_the_disk(tmp_path):
    first, second = (rectify(tmp_path, LSTM_GRADIENT) for _ in range(2))
    assert "compiled" in first
    assert first.replace("compiled", "loaded") == second


def test_a_damaged_file_is_compiled_again(tmp_path):
    rectify(tmp_path)
    (file,) = tmp_path.rglob("activation.relu-*.bin")
    whole = file.read_bytes()
    for damaged in (whole[:1000], b"", whole[:-1] + bytes([whole[-1] ^ 1]), os.urandom(5000)):
        file.write_bytes(damaged)
        assert rectify(tmp_path) == "['activation.relu']"
        assert rectify(tmp_path) == "[]"


@linux
def test_a_home_that_cannot_be_written(tmp_path):
    """Kernels then lie in the temporary folder, and only for their owner."""
    (tmp_path / "file").touch()
    (tmp_path / "temporary").mkdir()
    assert rectify(tmp_path / "file" / "home", TMPDIR=str(tmp_path / "temporary")) == "['activation.relu']"
    assert rectify(tmp_path / "file" / "home", TMPDIR=str(tmp_path / "temporary")) == "[]"
    (file,) = (tmp_path / "temporary").rglob("activation.relu-*.bin")
    assert not file.parent.stat().st_mode & 0o077


@pytest.fixture
def fresh_cache(monkeypatch):
    """The cache finds its place anew in this test and afterwards."""
    caching.folder.cache_clear()
    cache.key.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    caching.folder.cache_clear()
    cache.key.cache_clear()


def test_nowhere_to_write(tmp_path, fresh_cache):
    (tmp_path / "file").touch()
    fresh_cache.setattr(caching, "user_folder", lambda kind: tmp_path / "file" / "a")
    fresh_cache.setattr(caching, "_in_temporary_folder", lambda: [tmp_path / "file" / "b"])
    assert cache.folder() is None
    kernel, counts = jit.jit(_count), np.zeros(5, np.int64)
    kernel(5, 0, counts, 0)
    assert counts.tolist() == [1] * 5


def test_changed_sources_and_other_lanes_have_another_key(tmp_path, fresh_cache):
    copy = tmp_path / "cpu"
    shutil.copytree(Path(cache.__file__).parents[1], copy)
    before = cache.key()
    fresh_cache.setattr(cache, "__file__", str(copy / "compiler" / "cache.py"))
    cache.key.cache_clear()
    assert cache.key() == before
    with open(copy / "compiler" / "tile.py", "a") as file:
        file.write("# changed\n")
    cache.key.cache_clear()
    changed = cache.key()
    fresh_cache.setattr(environment, "LANES", 32)
    cache.key.cache_clear()
    assert len({before, changed, cache.key()}) == 3


@pytest.mark.parametrize("setting", ["OPT", "LOOP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT"])
def test_code_compiled_under_other_settings_is_kept_apart(fresh_cache, setting):
    """NUMBA_OPT=0 once must not make kernels slow for good."""
    before = cache.key()
    fresh_cache.setattr(f"numba.config.{setting}", 17)
    cache.key.cache_clear()
    assert cache.key() != before


owners = pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners of files")


@pytest.fixture
def places(tmp_path, fresh_cache):
    """The cache of a user whose home is new: HOME/cache/tinynet, and a temporary folder beside it."""
    fresh_cache.setattr(caching, "user_folder", lambda kind: tmp_path / "home" / "cache" / "tinynet")
    fresh_cache.setattr(caching, "_in_temporary_folder", lambda: [tmp_path / "temporary"])
    (tmp_path / "home").mkdir()
    return tmp_path


@owners
@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_folders_are_their_owners_alone_whatever_the_umask(places, mask):
    before = os.umask(mask)
    try:
        place = cache.folder()
    finally:
        os.umask(before)
    assert place.parents[3] == places / "home"
    assert [path.stat().st_mode & 0o777 for path in (place, *place.parents[:3])] == [0o700] * 4


@owners
def test_folders_that_were_made_for_the_group_too_are_closed_and_used(places):
    kernels = places / "home" / "cache" / "tinynet" / "kernels"
    kernels.mkdir(parents=True)
    for path in (kernels.parents[1], kernels.parent, kernels):
        path.chmod(0o775)
    assert cache.folder().parent == kernels
    modes = [path.stat().st_mode & 0o777 for path in (kernels.parents[1], kernels.parent, kernels)]
    assert modes == [0o775, 0o700, 0o700]  # ~/.cache itself is the user's


@owners
def test_code_that_others_may_have_put_there_is_not_trusted(places):
    place = places / "home" / "cache" / "tinynet" / "kernels" / cache.key()
    place.mkdir(parents=True)
    place.chmod(0o777)
    assert cache.folder().parent == places / "temporary"


@owners
@pytest.mark.parametrize("above", ["home", "home/cache"])
def test_a_folder_that_anybody_may_rename_is_not_used_unless_it_is_sticky(places, above):
    (places / "home" / "cache").mkdir()
    (places / above).chmod(0o777)
    assert cache.folder().parent == places / "temporary"
    (places / above).chmod(0o1777)
    caching.folder.cache_clear()
    assert cache.folder().parent.parent == places / "home" / "cache" / "tinynet"


@owners
def test_nothing_is_made_in_the_home_of_another_user(places, fresh_cache):
    """As with sudo, which may keep HOME: what lies there its owner can exchange."""
    me, home = os.getuid(), str(places / "home")
    owner = os.stat_result

    def of_another(path, **more):
        status = os_stat(path, **more)
        if not os.fspath(path).startswith(home):
            return status
        return owner([*status[:4], me + 1, *status[5:]])

    os_stat = os.stat
    fresh_cache.setattr(Path, "stat", lambda self, **more: of_another(self, **more))
    assert cache.folder().parent == places / "temporary"
    assert not list((places / "home").iterdir())


def test_a_user_without_a_home_has_the_temporary_folder(places, fresh_cache):
    for nowhere in (None, Path("~/.cache/tinynet")):
        fresh_cache.setattr(caching, "user_folder", lambda kind, nowhere=nowhere: nowhere)
        caching.folder.cache_clear()
        assert cache.folder().parent == places / "temporary"
    assert not Path("~").exists()


def test_a_new_folder_removes_those_long_unused(tmp_path, fresh_cache):
    fresh_cache.setattr(caching, "user_folder", lambda kind: tmp_path)
    long_ago = time.time() - caching.KEPT - 3600
    for name, used in {"0" * 16: long_ago, "1" * 16: long_ago + 7200, "of the user": long_ago}.items():
        (tmp_path / "kernels" / name).mkdir(parents=True)
        (tmp_path / "kernels" / name / "file.bin").touch()
        os.utime(tmp_path / "kernels" / name, (used, used))
    own = cache.folder()
    assert {path.name for path in own.parent.iterdir()} == {"1" * 16, "of the user", own.name}
    assert (own.parent / "of the user" / "file.bin").exists()


def test_a_folder_in_use_is_not_long_unused(tmp_path, fresh_cache):
    fresh_cache.setattr(caching, "user_folder", lambda kind: tmp_path)
    own = cache.folder()
    os.utime(own, (0, 0))
    caching.folder.cache_clear()
    assert cache.folder() == own and time.time() - own.stat().st_mtime < 3600


def test_a_folder_that_cannot_be_removed_is_no_error(tmp_path, fresh_cache):
    def refuse(*arguments, **settings):
        raise PermissionError("not yours")

    fresh_cache.setattr(caching, "user_folder", lambda kind: tmp_path)
    fresh_cache.setattr(caching.shutil, "rmtree", refuse)
    (tmp_path / "kernels" / ("0" * 16)).mkdir(parents=True)
    os.utime(tmp_path / "kernels" / ("0" * 16), (0, 0))
    assert cache.folder().parent == tmp_path / "kernels"


def _count(task, counts, spin):
    total = 0
    for i in range(spin):
        total ^= i
    counts[task] += 1 if total >= 0 else 2


count = jit.jit(_count)


@pytest.fixture
def threads():
    before = launch.get_threads()
    yield launch.set_threads
    launch.set_threads(before)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_task_runs_once(number, threads):
    threads(number)
    for tasks in (1, 2, 7, 100):
        counts = np.zeros(tasks, np.int64)
        for _ in range(200):
            count(tasks, 10**9, counts, 50)
        assert (counts == 200).all()


def test_no_task_is_no_work(threads):
    threads(2)
    counts = np.zeros(1, np.int64)
    count(0, 10**9, counts, 0)
    assert counts[0] == 0


def test_threads_are_kept_within_what_there_is(threads):
    threads(10_000)
    most = launch.get_threads()
    threads(None)
    assert launch.get_threads() == most < 10_000
    threads(1)
    assert launch.get_threads() == 1


def test_callers_at_once(threads):
    """One launches on threads, the others run alone meanwhile."""
    threads(2)
    arrays = [np.zeros(64, np.int64) for _ in range(4)]

    def work(counts):
        for _ in range(300):
            count(64, 10**9, counts, 20)

    callers = [threading.Thread(target=work, args=(a,)) for a in arrays]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((a == 300).all() for a in arrays)


def test_the_setting_does_not_reach_the_users_own_numba(threads):
    import numba

    before = numba.get_num_threads()
    threads(1)
    count(8, 10**9, np.zeros(8, np.int64), 0)
    assert numba.get_num_threads() == before


def test_the_users_own_setting_of_numba_stays_and_does_not_reach_kernels(threads):
    import numba

    before, counts = numba.get_num_threads(), np.zeros(64, np.int64)
    threads(2)
    try:
        numba.set_num_threads(1)
        count(64, 10**9, counts, 20)
        assert numba.get_num_threads() == 1 and (counts == 1).all()
    finally:
        numba.set_num_threads(before)
