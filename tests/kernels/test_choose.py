"""From what work on `auto` takes a GPU: with faked facts of its driver, on a machine that has none."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("numba")

from tinynet.errors import TinynetError
from tinynet.kernels import device
from tinynet.kernels.cpu.compiler.environment import LANES
from tinynet.kernels.cuda import memory
from tinynet.kernels.cuda.compiler import driver

ORIN = {"name": b"Orin", "compute_capability": (8, 7), "MULTIPROCESSOR_COUNT": 8, "CLOCK_RATE": 625_000}
H100 = {
    "name": "NVIDIA H100",
    "compute_capability": (9, 0),
    "MULTIPROCESSOR_COUNT": 132,
    "CLOCK_RATE": 1_980_000,
}
T4 = {"name": "Tesla T4", "compute_capability": (7, 5), "MULTIPROCESSOR_COUNT": 40, "CLOCK_RATE": 1_590_000}
STEP = 0.8e9
"""Operations of a step that a large GPU hardly notices."""


@pytest.fixture
def fake(monkeypatch):
    """Pretend that the driver has such GPUs, and the compiler is or is not there."""

    def pretend(*gpus, toolkit="libNVVM 2.0"):
        found = SimpleNamespace(
            gpus=[SimpleNamespace(**gpu) for gpu in gpus], cuda_error=lambda: "no device was found"
        )
        monkeypatch.setattr(driver, "cuda", found)
        monkeypatch.setattr(driver, "toolkit", lambda: toolkit)
        monkeypatch.setattr(device, "_nvidia_driver", lambda: True)
        device.set_threads(1)

    return pretend


def work(seconds, step=STEP):
    """Operations that take the processor so long, and steps of so many."""
    flops = seconds * device.CPU_FLOPS * LANES
    return flops, max(int(flops / step), 1)


@pytest.mark.parametrize(
    ("facts", "flops"), [(ORIN, 1.28e12), (H100, 66.9e12), (T4, 8.1e12)], ids=["Orin", "H100", "T4"]
)
def test_the_peak_of_a_gpu_follows_from_what_its_driver_says(fake, facts, flops):
    fake(facts)
    found = driver.gpu()
    assert found is not None and found.name == (facts["name"] if facts is not ORIN else "Orin")
    assert found.flops == pytest.approx(flops, rel=0.01)


def test_a_driver_that_tells_nothing_and_a_forked_child_have_no_gpu(fake, monkeypatch):
    fake({"name": "X", "compute_capability": (9, 0)})
    assert driver.gpu() is None
    fake(H100)
    monkeypatch.setattr(driver, "_PROCESS", -1)
    assert driver.gpu() is None


def test_a_long_training_goes_to_a_gpu_where_it_is_done_sooner(fake):
    fake(H100)
    chosen = device.choose(*work(600), training=True)
    assert chosen.device == "cuda" and chosen.about_gpu
    assert chosen.reason.endswith("on the GPU NVIDIA H100, about 10 min on the processor")
    assert device.choose(*work(600, step=STEP / 1000), training=True).device == "cpu", "launches take longer"
    many = device.choose(*work(600))
    assert many.device == "cuda", "samples to predict are work too"


def test_the_rule_counts_the_start_the_steps_and_a_part_of_the_peak(fake, monkeypatch):
    fake(ORIN)
    flops, steps = 1e13, 1000
    there = device.CUDA_START_SECONDS + 1000 * device.CUDA_STEP_SECONDS + 4 * 1e13 / 1.28e12
    for share, expected in ((0.99, "cpu"), (1.01, "cuda")):
        monkeypatch.setattr(device, "CPU_FLOPS", flops / LANES / (share * there))
        assert device.choose(flops, steps, training=True)[::2] == (expected, True)
    assert device.choose(flops, training=True)[::2] == ("cpu", False), "not without the number of steps"


def test_a_gpu_that_runs_already_is_not_started_again(fake, monkeypatch):
    fake(H100)
    short = work(10)
    assert device.choose(*short, training=True)[::2] == ("cpu", False)
    monkeypatch.setattr(device, "_cuda_runs", lambda: True)
    assert device.choose(*short, training=True).device == "cuda"


def test_a_short_training_or_one_that_ends_soon_never_asks_the_driver(fake, monkeypatch):
    fake(H100)
    monkeypatch.setattr(device, "_gpu", lambda: pytest.fail("the driver is asked"))
    for seconds, limit in ((19, None), (600, 15)):
        assert device.choose(*work(seconds), training=True, limit=limit)[::2] == ("cpu", False)


def test_a_time_limit_shortens_both(fake):
    fake(H100)
    assert device.choose(*work(600), training=True, limit=60).reason.endswith(", about 60 s on the processor")


def test_without_a_driver_or_a_gpu_nothing_is_said(fake, monkeypatch):
    fake()
    assert device.choose(*work(600), training=True)[::2] == ("cpu", False)
    fake(H100)
    monkeypatch.setattr(device, "_nvidia_driver", lambda: False)
    monkeypatch.setattr(device, "_gpu", lambda: pytest.fail("the driver is asked"))
    assert device.choose(*work(600), training=True)[::2] == ("cpu", False)


def test_where_only_the_compiler_is_missing_it_is_named_with_what_to_install(fake):
    fake(H100, toolkit=None)
    name, reason, about_gpu = device.choose(*work(600), training=True)
    assert (name, about_gpu) == ("cpu", True)
    assert reason.startswith("the GPU NVIDIA H100 cannot be used: the CUDA compiler (libNVVM) is missing")
    assert "cuda12 or cuda13" in reason
    with pytest.raises(TinynetError, match=r"compiler .* is missing: install"):
        device.set_device("cuda")
    fake(toolkit=None)
    with pytest.raises(TinynetError, match=r"driver cannot be used .*: check it with nvidia-smi"):
        device.set_device("cuda")


def test_whoever_asks_for_a_device_gets_it(fake):
    fake(H100)
    device.set_device("cpu")
    assert device.choose(*work(600), training=True) == ("cpu", "it was asked for", False)


def test_a_training_that_goes_on_stays_where_it_began(fake):
    fake(H100)
    long, short = work(600), work(1)
    for begun in ("reference", "cpu", "cuda"):
        for given in (long, short):
            assert device.choose(*given, training=True, begun=begun).device == begun
    fake(H100, toolkit=None)
    assert device.choose(*long, training=True, begun="cuda").device == "cpu"


def test_a_gpu_that_is_full_says_what_to_do(monkeypatch):
    def full(*arguments):
        raise MemoryError

    monkeypatch.setattr(memory, "cuda", SimpleNamespace(device_array=full, synchronize=lambda: None))
    with pytest.raises(TinynetError, match="choose a smaller batch, or the device cpu"):
        memory.Piece(10**9, memory.np.dtype("f4"))


def test_short_work_loads_nothing_of_cuda_even_where_there_is_a_driver():
    code = (
        "import sys, numpy as np, tinynet as tn\n"
        "from tinynet.kernels import device, reference\n"
        "device._nvidia_driver, device.load_cpu = lambda: True, lambda: reference\n"
        "net = tn.Sequential([tn.Dense(3)], (4,))\n"
        "net.fit(np.ones((8, 4)), np.ones((8, 3)), loss='mse', verbose=False)\n"
        "net.predict(np.ones((1000, 4))); net.evaluate(np.ones((8, 4)), np.ones((8, 3)))\n"
        "print(device.choose(1e9, 100, training=True).device, {'numba', 'tinynet.kernels.cuda'} & sys.modules.keys())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "cpu set()"
