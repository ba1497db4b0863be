"""How soon does training reach 99.0 % of the MNIST test set, beside PyTorch with the same network and settings?

Both: batch 64, one-cycle up to 3e-3 over two epochs of all 60,000 pictures, Adam, no augmentation; three seeds. The clock
counts training only, neither compilation nor data nor evaluation. Needs the data set, see `tinynet train digits`.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

import tinynet as tn
from tinynet.data.datasets import load_digits
from tinynet.data.pictures.mnist import Dataset
from tinynet.kernels import device

from .measure import THREADS, Row, print_rows
from .peers import digit_network, torch_network

EPOCHS, BATCH, PEAK, GOAL = 2, 64, 3e-3, 0.99


def ours(data: Dataset, seed: int) -> tuple[float, float]:
    """Seconds and test accuracy of tinynet."""
    model = digit_network(seed)
    start = time.perf_counter()
    model.fit(
        data.x_train,
        data.y_train,
        epochs=EPOCHS,
        batch_size=BATCH,
        optimizer=tn.Adam(tn.OneCycle(PEAK)),
        seed=seed,
        verbose=False,
    )
    seconds = time.perf_counter() - start
    return seconds, model.evaluate(data.x_test, data.y_test)["accuracy"]


def peer(data: Dataset, seed: int) -> tuple[float, float]:
    """Seconds and test accuracy of PyTorch, written as its users write it."""
    import torch

    torch.manual_seed(seed)
    network = torch_network(digit_network(seed))
    optimizer = torch.optim.Adam(network.parameters())
    x = torch.from_numpy(data.x_train.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    y = torch.from_numpy(data.y_train)
    steps = -(-len(x) // BATCH) * EPOCHS
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=steps)
    start = time.perf_counter()
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x[chosen]), y[chosen]).backward()
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - start
    test = torch.from_numpy(data.x_test.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    with torch.no_grad():
        right = (network(test).argmax(1).numpy() == data.y_test).mean()
    return seconds, float(right)


def rows() -> list[Row]:
    """All rows of this question."""
    device.set_device("cpu")
    device.set_threads(THREADS)
    data = load_digits()
    digit_network().fit(
        data.x_train[:128], data.y_train[:128], epochs=1, batch_size=BATCH, verbose=False
    )  # compiles
    runs = [(ours(data, seed), peer(data, seed)) for seed in range(3)]
    seconds, theirs = (statistics.median(run[side][0] for run in runs) for side in (0, 1))
    accuracy, accuracy_theirs = (statistics.median(run[side][1] for run in runs) for side in (0, 1))
    result = f"{theirs / seconds:.2f}× sooner" if accuracy >= GOAL else "99.0 % not reached"
    job = f"digits to 99.0 % of the test set, {EPOCHS} epochs, against PyTorch (median of 3 seeds)"
    cells = (f"{seconds:.1f} s, {100 * accuracy:.2f} %", f"{theirs:.1f} s, {100 * accuracy_theirs:.2f} %")
    return [Row(job, *cells, result, "≥ 3×")]


if __name__ == "__main__":
    print_rows(rows())
