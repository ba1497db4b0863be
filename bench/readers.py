"""Which network should read pictures: the shipped CNN for digits beside the recurrent ones, which read row by row.

Training is one epoch of each one's own recipe, augmentation, moving average and validation with it. Needs the data set, see
`tinynet train digits`.
"""

from __future__ import annotations

import numpy as np

import tinynet as tn
from tinynet.data.datasets import load_digits
from tinynet.kernels import device
from tinynet.recipes import plan
from tinynet.recipes.base import Choices

from .measure import THREADS, alternate, milliseconds, table

HEAD = ("network", "parameters", "test set", "training", "one picture", "a batch of 256")
READERS = {"cnn": "digits", "lstm": "digits-lstm", "gru": "digits-gru", "rnn": "digits-rnn"}


def training(arch: str, epochs: int) -> str:
    """The epochs of a shipped model, and what one of them takes."""
    made = plan("digits", Choices(arch=arch, epochs=1))
    made.settings["verbose"] = False
    made.model.fit(made.x[:640], made.y[:640], **made.settings)  # compiles
    made = plan("digits", Choices(arch=arch, epochs=1))
    made.settings["verbose"] = False
    history = made.fit()
    return f"{epochs} epochs of {history.epochs[0]['seconds']:.1f} s"


def rows() -> list[tuple[str, ...]]:
    """One line a network; inference is timed in turn."""
    device.set_device("cpu")
    device.set_threads(THREADS)
    data = load_digits()
    x = np.random.default_rng(0).random((256, 28, 28, 1), dtype=np.float32)
    models = {arch: tn.load(name) for arch, name in READERS.items()}
    one = alternate([lambda m=m: m.predict(x[:1]) for m in models.values()], 200)
    many = alternate([lambda m=m: m.predict(x) for m in models.values()], 40)
    lines = []
    for (arch, model), seconds, of_batch in zip(models.items(), one, many, strict=True):
        accuracy = model.evaluate(data.x_test, data.y_test)["accuracy"]
        lines.append(
            (
                f"{arch.upper()}, `{READERS[arch]}`",
                f"{model.parameter_count():,}",
                f"{100 * accuracy:.2f} %",
                training(arch, model.metadata["training"]["epochs"]),
                milliseconds(seconds),
                milliseconds(of_batch),
            )
        )
    return lines


if __name__ == "__main__":
    print(table(HEAD, rows()))
