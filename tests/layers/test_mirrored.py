"""A layer that looks at a picture and at its mirror image."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import check_operation, close, randomise

import tinynet as tn
from tinynet.errors import ShapeError, TinynetError
from tinynet.kernels import reference
from tinynet.layers import Context

RNG = np.random.default_rng


def looking_twice(shape=(5, 4, 2)):
    layer = tn.Mirrored([tn.Conv2D(3, 3, 2, "same", activation="tanh"), tn.Flatten()])
    layer.build(shape, RNG(1))
    randomise(layer, RNG(2))
    return layer


def test_it_gives_the_mean_of_what_a_picture_and_its_mirror_image_give():
    layer, x = looking_twice(), RNG(3).uniform(-1, 1, (2, 5, 4, 2))
    context = Context(reference)
    ahead, back = (layer.chain.forward(np.ascontiguousarray(each), context)[0] for each in (x, x[:, :, ::-1]))
    y, _, _ = check_operation(
        lambda: layer.forward(x, context),
        lambda dy, saved: (lambda dx, own: {"input": dx, **own})(*layer.backward(dy, saved, context)),
        {"input": x, **layer.parameters},
        shape=(2, *layer.compute_output_shape((5, 4, 2))),
        expected=(ahead + back) / 2,
    )
    assert not np.allclose(ahead, back)
    close(layer.forward(x[:, :, ::-1].copy(), context)[0], y, 1e-12)


def test_in_training_it_looks_once_since_training_mirrors_by_itself():
    layer, x = looking_twice(), RNG(3).uniform(-1, 1, (2, 5, 4, 2))
    context = Context(reference, training=True)
    y, saved = layer.forward(x, context)
    expected, kept = layer.chain.forward(x, context)
    assert np.array_equal(y, expected)
    dx, gradients = layer.backward(np.ones_like(y), saved, context)
    expected_dx, expected_gradients = layer.chain.backward(np.ones_like(y), kept, context)
    assert np.array_equal(dx, expected_dx) and gradients.keys() == expected_gradients.keys()


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_a_network_with_it_answers_the_same_for_both_sides_and_is_stored(device, tmp_path):
    body = [
        tn.Conv2D(4, 3, padding="same"),
        tn.BatchNorm(0.5),
        tn.Activation("relu"),
        tn.GlobalAveragePool2D(),
    ]
    net = tn.Sequential([tn.Mirrored(body), tn.Dense(3, "softmax")], (7, 6, 3))
    x, y = RNG(0).random((40, 7, 6, 3)).astype(np.float32), np.arange(40) % 3
    tn.set_device(device)
    try:
        net.fit(x, y, epochs=1, batch_size=8)
        for few in (x, x[:1]):
            close(net.predict(few), net.predict(few[:, :, ::-1]), 1e-6)
        net.save(tmp_path / "net.npz")
        assert np.array_equal(tn.load(tmp_path / "net.npz").predict(x), net.predict(x))
        assert tn.load(tmp_path / "net.npz").flops() > 2 * net.layers[0].chain.flops((7, 6, 3))
    finally:
        tn.set_device("auto")


def test_only_pictures_have_a_mirror_image():
    with pytest.raises(ShapeError, match=r"mirrored.*\(height, width, channels\)"):
        tn.Sequential([tn.Mirrored([tn.Dense(2)]), tn.Dense(2)], (3,))


def test_mirrors_in_mirrors_would_double_the_time_each_and_are_refused(tmp_path):
    inner = tn.Mirrored([tn.Flatten()])
    for layers in ([inner], [tn.Sequential([inner])]):
        with pytest.raises(TinynetError, match="mirrored cannot hold another mirrored"):
            tn.Mirrored(layers)
    net = tn.Sequential([tn.Mirrored([tn.Residual([tn.Conv2D(2, 1)]), tn.Flatten()]), tn.Dense(2)], (3, 3, 2))
    net.save(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as file:
        arrays = dict(file)
    arrays["config"] = np.array(str(arrays["config"]).replace('"Residual"', '"Mirrored"'))
    np.savez(tmp_path / "twice.npz", **arrays)
    with pytest.raises(TinynetError, match="cannot hold another mirrored"):
        tn.load(tmp_path / "twice.npz")
