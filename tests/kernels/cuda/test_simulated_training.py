"""Whole networks on the simulated GPU: they train and answer as on the reference, by way of the same names."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from kernels.cuda.simulator import ORDERS, simulator
from tinynet.kernels import device
from tinynet.kernels.cuda import array, memory
from tinynet.kernels.replay import CALLS_BEFORE_CAPTURE
from tinynet.network import leaves


def digit_cnn():
    """The digit CNN, smaller."""
    layers = [tn.Conv2D(4, 3, activation="relu"), tn.MaxPool2D(2), tn.Conv2D(8, 3, activation="relu")]
    layers += [
        tn.Flatten(),
        tn.Dropout(0.2),
        tn.Dense(12, activation="relu"),
        tn.Dense(10, activation="softmax"),
    ]
    return tn.Sequential(layers, (10, 10, 1))


def residual():
    """Normalised residual blocks, with a projection, after a depthwise convolution."""
    block = [tn.Conv2D(6, 3, strides=2, padding="same"), tn.BatchNorm(), tn.Activation("relu")]
    layers = [tn.SeparableConv2D(4, 3, padding="same", activation="elu"), tn.Residual(block)]
    layers += [
        tn.Residual([tn.Conv2D(6, 3, padding="same")]),
        tn.GlobalAveragePool2D(),
        tn.Dense(10, activation="softmax"),
    ]
    return tn.Sequential(layers, (6, 6, 1))


def characters(cell):
    """A network that writes."""
    return lambda: tn.Sequential(
        [tn.Embedding(9, 4), cell(5, return_sequences=True), tn.Dense(9, activation="softmax")], (None,)
    )


def transformer():
    """Attention between normalised residual blocks, with learnt positions."""
    attention = tn.Residual([tn.LayerNorm(), tn.MultiHeadAttention(2, 2, causal=True, window=4)])
    layers = [tn.Embedding(9, 4), tn.PositionEmbedding(4), attention, tn.Dense(9, activation="softmax")]
    return tn.Sequential(layers, (None,))


def both_ways():
    """Padded sequences read in both directions."""
    layers = [
        tn.Masking(),
        tn.Bidirectional(tn.GRU(3, return_sequences=True)),
        tn.GlobalMaxPool1D(),
        tn.Dense(1),
    ]
    return tn.Sequential(layers, (5, 2))


RNG = np.random.default_rng(3)
PICTURES, CLASSES = RNG.random((8, 10, 10, 1), np.float32), RNG.integers(0, 10, 8)
IDS = RNG.integers(0, 9, (6, 7))
SERIES = RNG.random((6, 5, 2), np.float32) * (np.arange(5) < RNG.integers(1, 6, (6, 1)))[..., None]
NETWORKS = {
    "the digit CNN": (digit_cnn, PICTURES, CLASSES),
    "a residual network": (residual, PICTURES[:, :6, :6], CLASSES),
    "an LSTM": (characters(tn.LSTM), IDS[:, :-1], IDS[:, 1:]),
    "a GRU": (characters(tn.GRU), IDS[:, :-1], IDS[:, 1:]),
    "an RNN": (characters(tn.RNN), IDS[:, :-1], IDS[:, 1:]),
    "a transformer": (transformer, IDS[:, :-1], IDS[:, 1:]),
    "masked sequences both ways": (both_ways, SERIES, SERIES.sum((1, 2))[:, None]),
}


def trained(device, make, x, y, backwards=False, **settings):
    """A network after a training with all that one has: its weights, and what it then answers and measures."""
    with simulator(backwards, pool=True):
        tn.set_device(device)
        net = make()
        history = net.fit(x, y, epochs=1, batch_size=4, seed=1, verbose=False, **settings)
        numbers = [row[name] for row in history.epochs for name in row if name != "seconds"]
        return [
            *net.get_weights(),
            net.predict(x),
            np.array(numbers),
            np.array([*net.evaluate(x, y).values()]),
        ]


OPTIMIZERS = {
    "SGD": tn.SGD(0.1, momentum=0.9),
    # Its usual epsilon takes whole steps along gradients that are 0 but for rounding, as that of the bias of attention's keys.
    "Adam": tn.Adam(1e-2, epsilon=1e-3),
}
TRAININGS = [(name, "SGD") for name in NETWORKS] + [("an LSTM", "Adam"), ("a transformer", "Adam")]


@pytest.mark.parametrize(("name", "optimizer"), TRAININGS)
def test_a_training_is_that_of_the_reference(name, optimizer):
    make, x, y = NETWORKS[name]
    settings = {"validation_data": (x[:2], y[:2]), "ema": 0.9, "clip_norm": 0.5}
    settings["loss"] = "mse" if name.startswith("masked") else "cross_entropy"
    settings["optimizer"] = OPTIMIZERS[optimizer]
    for ours, theirs in zip(
        trained("cuda", make, x, y, **settings), trained("reference", make, x, y, **settings), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5)


def test_the_order_of_threads_changes_no_bit_of_a_training():
    settings = {"optimizer": OPTIMIZERS["SGD"], "loss": "cross_entropy"}
    one, other = (
        trained("cuda", *NETWORKS["a transformer"], backwards, **settings) for backwards in (False, True)
    )
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


def test_a_steady_step_allocates_nothing_and_only_the_batch_goes_to_the_gpu():
    with simulator(pool=True):
        tn.set_device("cuda")
        net, seen = digit_cnn(), []

        class Watch(tn.training.Callback):
            def on_batch_end(self, training):
                seen.append((memory.allocations, array.uploads, array.downloads))

        net.fit(
            np.concatenate([PICTURES] * 3),
            np.concatenate([CLASSES] * 3),
            batch_size=4,
            verbose=False,
            callbacks=[Watch()],
        )
    steps = np.diff(seen, axis=0)
    allocations, uploads, downloads = steps[-2]  # the last one fetches no other
    assert allocations == 0
    assert uploads == 2, "the batch and its labels; their weights are those of the step before"
    assert downloads == 1, "the loss: the accuracy is counted there"


def test_a_training_has_the_same_bits_in_whatever_order_the_streams_advance():
    def weights(streams):
        with simulator(pool=True, streams=streams):
            memory.release()
            tn.set_device("cuda")
            net = tn.Sequential([tn.Dense(5, activation="tanh"), tn.Dense(3, activation="softmax")], (4,))
            x, y = PICTURES.reshape(-1, 4)[:22], np.arange(22) % 3
            history = net.fit(x, y, epochs=2, batch_size=4, validation_data=(x, y), verbose=False)
            return [*net.get_weights(), np.array([row["loss"] for row in history.epochs])]

    expected = weights(None)
    for streams in ORDERS:
        for one, other in zip(weights(streams), expected, strict=True):
            assert one.tobytes() == other.tobytes()


def test_pictures_are_changed_on_the_gpu_and_nobody_waits_for_what_that_takes(monkeypatch):
    augment = tn.Augment(rotate=9, elastic=0.1, crop=0.5, brightness=0.2, resolution=0.8, erase=0.5, mix=0.3)

    def weights(device, streams=None):
        with simulator(pool=True, streams=streams):
            memory.release()
            tn.set_device(device)
            layers = [tn.Conv2D(3, 3), tn.GlobalAveragePool2D(), tn.Dense(10, activation="softmax")]
            net, waits = tn.Sequential(layers, (10, 10, 1)), []

            class Watch(tn.training.Callback):
                def on_batch_end(self, training):
                    waits.append(None)

            with monkeypatch.context() as patched:
                write = array.write
                patched.setattr(array, "write", lambda *given: (waits.append(given), write(*given)))
                settings = {"batch_size": 2, "epochs": 3, "augment": augment, "callbacks": [Watch()]}
                net.fit(PICTURES, CLASSES, verbose=False, **settings)
            ends = [place for place, given in enumerate(waits) if given is None]
            before, after = ends[-3:-1]  # the last step fetches no other
            assert before + 1 == after, "nothing but batches and changes, which come beside kernels"
            return net.get_weights()

    expected = weights("reference")
    for streams in (None, *ORDERS):
        for ours, theirs in zip(weights("cuda", streams), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5)


def copied_since(before=(0, 0)):
    """How many arrays have gone to the GPU and come back."""
    return array.uploads - before[0], array.downloads - before[1]


@pytest.mark.parametrize("name", ["an LSTM", "a GRU", "a transformer"])
def test_a_state_stays_on_the_gpu_between_steps_and_is_taken_wherever_it_comes_from(name):
    net, streams = NETWORKS[name][0](), IDS[:2]
    with simulator(pool=True):
        tn.set_device("cuda")
        outputs, state = [], None
        for t, x in enumerate(streams.T[:4]):
            before = copied_since()
            y, state = net.step(x, state)
            outputs.append(y)
            if 0 < t < CALLS_BEFORE_CAPTURE:
                assert copied_since(before) == (1, 1), "the ids in, the output out"
        as_numpy = {layer: tuple(map(np.asarray, arrays)) for layer, arrays in leaves_by_layer(state).items()}
        following = [net.step(streams.T[4], given) for given in (state, copy.deepcopy(state))]
        following += [net.step(streams.T[4], nested(state, as_numpy))]
        tn.set_device("reference")
        following += [net.step(streams.T[4], state)]
        tn.set_device("cuda")
        following += [net.step(streams.T[4], nested(state, as_numpy))]
        whole, end = net.predict(streams[:, :5], return_state=True)
        pieces, joined = net.predict(streams[:, :5], batch_size=1, return_state=True)
    for y, _ in following:
        np.testing.assert_allclose(y, following[0][0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.stack(outputs, 1), whole[:, :4], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(pieces, whole, rtol=1e-4, atol=1e-6)
    for one, other in zip(leaves(end), leaves(joined), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def leaves_by_layer(state, above=()):
    """The arrays of each layer, by the names of the layers that it is in."""
    if not isinstance(state, dict):
        return {above: state}
    parts = [leaves_by_layer(part, (*above, name)) for name, part in state.items()]
    return {path: arrays for part in parts for path, arrays in part.items()}


def nested(like, arrays, above=()):
    """A state of the same nesting with these arrays."""
    if not isinstance(like, dict):
        return arrays[above]
    return {name: nested(part, arrays, (*above, name)) for name, part in like.items()}


def test_writing_copies_a_character_in_and_its_probabilities_out():
    net = tn.Sequential([*characters(tn.LSTM)().layers], (None,), vocabulary="abcdefghi")
    with simulator(pool=True):
        tn.set_device("cuda")
        text = net.generate("abc", 4, random_seed=1)
        before = copied_since()
        assert net.generate("abc", 4, random_seed=1) == text
        copies = copied_since(before)
        before = copied_since()
        net.generate("abc", 14, random_seed=1)
        uploads, downloads = copied_since(before)
        assert (uploads - copies[0], downloads - copies[1]) == (10, 10)


def test_a_state_that_is_carried_from_batch_to_batch_stays_on_the_gpu():
    seen, streams = [], np.concatenate([IDS[:4, :-1]] * 12)
    targets = np.concatenate([IDS[:4, 1:]] * 12)

    class Watch(tn.training.Callback):
        def on_batch_end(self, training):
            seen.append(copied_since())

    def weights(device):
        tn.set_device(device)
        net = characters(tn.LSTM)()
        settings = {"stateful": True, "reset_rate": 0.5, "batch_size": 4, "verbose": False}
        net.fit(streams, targets, **settings, callbacks=[Watch()])
        return net.get_weights()

    with simulator(pool=True):
        ours = weights("cuda")
        uploads, downloads = np.diff(seen, axis=0)[-2]  # the last one fetches no other
        assert (uploads, downloads) == (3, 1), "which sequences begin anew goes there, no state comes back"
        for one, other in zip(ours, weights("reference"), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


def test_a_network_goes_from_one_device_to_the_other_and_is_saved_from_each(tmp_path):
    net = digit_cnn()
    before = net.get_weights()
    with simulator(pool=True):
        tn.set_device("cuda")
        there = net.predict(PICTURES[:2])
        assert not isinstance(net.layers[0].parameters["kernel"], np.ndarray), "weights stay on the GPU"
        assert all(type(w) is np.ndarray for w in net.get_weights())
        net.save(tmp_path / "there.npz")
        net.set_weights(before)
        tn.set_device("reference")
        np.testing.assert_allclose(net.predict(PICTURES[:2]), there, rtol=1e-4, atol=1e-6)
    assert all(
        (a == b).all() for a, b in zip(tn.load(tmp_path / "there.npz").get_weights(), before, strict=True)
    )


def test_what_auto_does_on_a_gpu_leaves_nothing_there(monkeypatch):
    monkeypatch.setattr(device, "_weigh", lambda *work: device.Choice("cuda", "it pays", about_gpu=True))
    net, used = digit_cnn(), []

    class Watch(tn.training.Callback):
        def on_batch_end(self, training: Any):
            used.append((training.device, type(net.layers[0].parameters["kernel"])))

    def home():
        return all(type(array) is np.ndarray for array in net.state().values())

    with simulator(pool=True):
        net.fit(PICTURES, CLASSES, batch_size=4, verbose=False, callbacks=[Watch()])
        assert used == [("cuda", array.DeviceArray)] * 2 and home()
        uploads = array.uploads
        net.predict(PICTURES[:4], batch_size=2)
        assert array.uploads > uploads and home()
        net.evaluate(PICTURES[:4], CLASSES[:4], batch_size=2)
        assert home()


def test_a_kernel_that_is_missing_is_named_with_what_to_do():
    from tinynet.kernels import cuda

    if not cuda.MISSING:
        pytest.skip("nothing is missing")
    with pytest.raises(tn.TinynetError, match=f"no kernel {cuda.MISSING[0]} yet.*choose the device cpu"):
        getattr(cuda, cuda.MISSING[0])
