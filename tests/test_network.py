from __future__ import annotations

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import BACK_ENDS, back_end, close, numeric_gradient, randomise

import tinynet as tn
from tinynet.errors import ShapeError, TinynetError
from tinynet.kernels import device, reference
from tinynet.layers import Context


@pytest.fixture(autouse=True)
def on_reference():
    tn.set_device("reference")


def digit_net(**more):
    return tn.Sequential(
        [
            tn.Conv2D(4, 3, activation="relu"),
            tn.MaxPool2D(2),
            tn.Flatten(),
            tn.Dense(5, activation="softmax"),
        ],
        input_shape=(8, 8, 1),
        **more,
    )


def pictures(count, dtype=np.float32):
    return np.random.default_rng(0).random((count, 8, 8, 1)).astype(dtype)


# ---- the way through and back ----


def network(last):
    """One network with everything that has a gradient; float64."""
    net = tn.Sequential(
        [
            tn.Reshape((6, 6, 1)),
            tn.Conv2D(2, 3, padding="same", activation="gelu"),
            tn.BatchNorm(),
            tn.MaxPool2D(2),
            tn.Conv2D(3, 2, activation="tanh"),
            tn.AvgPool2D(2, 1),
            tn.Dropout(0.3),
            tn.Flatten(),
            tn.Dense(4, "leaky_relu"),
            *last,
        ],
        (36,),
    )
    for layer in net.layers:
        randomise(layer, np.random.default_rng(len(net.layers)))
    return net


LOSSES = {
    "cross_entropy": (reference.cross_entropy, np.array([0, 2, 1])),
    "binary_cross_entropy": (reference.binary_cross_entropy, np.array([[0, 1, 1], [1, 0, 0], [1, 1, 0.5]])),
    "mean_squared_error": (reference.mean_squared_error, np.arange(9.0).reshape(3, 3) / 9),
}
ENDS = [
    ("cross_entropy", [tn.Dense(3, "softmax")], True),
    ("cross_entropy", [tn.Dense(3), tn.Activation("softmax")], True),
    ("binary_cross_entropy", [tn.Dense(3, "sigmoid")], True),
    ("binary_cross_entropy", [tn.Dense(3), tn.Activation("sigmoid")], True),
    ("cross_entropy", [tn.Dense(3)], False),
    ("mean_squared_error", [tn.Dense(3, "softmax")], False),
    ("mean_squared_error", [tn.Dense(3, "sigmoid")], False),
    ("mean_squared_error", [tn.Dense(3), tn.BatchNorm()], False),
]


@pytest.mark.parametrize("loss, last, logits", ENDS)
def test_gradients_of_a_whole_network(loss, last, logits):
    net = network([layer.__class__(**layer.settings()) for layer in last])
    kernel, targets = LOSSES[loss]
    x = np.random.default_rng(1).standard_normal((3, 36))
    weights = np.array([0.5, 0.2, 0.3])
    context = Context(reference, training=True, seed=4)
    chain = net.logits if logits else net

    def value():
        return kernel(chain.forward(x, context)[0], targets, weights)[0]

    y, saved = chain.forward(x, context)
    _, gradients = chain.backward(kernel(y, targets, weights)[1], saved, context)
    assert gradients.keys() == net.parameters.keys()
    for name, parameter in net.parameters.items():
        close(gradients[name], numeric_gradient(value, parameter), 1e-8)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_loss_on_logits_is_the_loss_on_the_output(activation):
    net = digit_net()
    vars(net.layers[-1])["activation"] = activation  # as if it had been made with it
    x = pictures(3)
    logits, _ = net.logits.forward(x, Context(reference))
    assert net.logits_activation == activation
    close(reference.activation(logits, activation), net.predict(x), 1e-6)


@pytest.mark.parametrize("activation", ["relu", "tanh", "linear", "gelu"])
def test_only_an_activation_that_a_loss_contains_is_left_to_it(activation):
    net = tn.Sequential([tn.Dense(3, activation)], (4,))
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    y, _ = net.logits.forward(x, Context(reference))
    assert net.logits_activation is None
    assert np.array_equal(y, net.predict(x))


def test_the_softmax_in_the_middle_is_never_left_out():
    net = tn.Sequential([tn.Dense(3, "softmax"), tn.Dense(3, "softmax")], (4,), seed=1)
    x = np.ones((1, 4), np.float32)
    hidden, _ = net.layers[0].forward(x, Context(reference))
    logits, _ = net.logits.forward(x, Context(reference))
    close(logits, hidden @ net.layers[1].parameters["kernel"], 1e-6)


def test_the_gradient_stops_at_the_first_layer_with_parameters():
    class Watch(tn.Flatten):
        def backward(self, dy, saved, context):
            raise AssertionError("nobody asked for this gradient")

    net = tn.Sequential([Watch(), tn.Dense(3), tn.Dense(2)], (2, 2))
    context = Context(reference, training=True, input_gradient=False)
    y, saved = net.forward(np.ones((1, 2, 2), np.float32), context)
    assert net.backward(y, saved, context)[1].keys() == net.parameters.keys()


def test_a_network_without_parameters_has_no_gradients():
    net = tn.Sequential([tn.Flatten(), tn.Activation("relu")], (2, 2))
    context = Context(reference, training=True)
    y, saved = net.forward(np.ones((1, 2, 2), np.float32), context)
    assert net.backward(y, saved, context)[1] == {}


def test_two_dropouts_drop_different_values():
    net = tn.Sequential([tn.Dropout(0.5), tn.Dropout(0.5)], (1000,))
    y, _ = net.forward(np.ones((1, 1000), np.float32), Context(reference, training=True, seed=3))
    assert 0.2 < np.mean(y > 0) < 0.3


# ---- predict and evaluate ----


@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_predict_gives_float32_probabilities_whatever_the_batch(count, batch_size):
    net, x = digit_net(), pictures(7)
    y = net.predict(x[:count], batch_size=batch_size)
    assert y.shape == (count, 5) and y.dtype == np.float32
    close(y.sum(axis=1), np.ones(count), 1e-6)
    close(y, net.predict(x)[:count], 1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, bool, ">f4"])
def test_any_numbers_are_taken_as_they_are(dtype):
    x = (pictures(2) > 0.5).astype(dtype)
    assert np.array_equal(digit_net().predict(x), digit_net().predict(x.astype(np.float32)))


def test_bytes_are_scaled_to_the_unit_range():
    x = (pictures(2) * 255).astype(np.uint8)
    assert np.array_equal(digit_net().predict(x), digit_net().predict(x / np.float32(255)))


def test_lists_other_memory_orders_and_a_missing_channel_axis_are_taken():
    net, x = digit_net(), pictures(3)
    for given in (x.tolist(), np.asfortranarray(x), x[..., 0], np.repeat(x, 2, axis=1)[:, ::2]):
        close(net.predict(given), net.predict(x), 1e-7)
    assert x.flags.writeable and np.array_equal(x, pictures(3))


def test_rows_of_pictures_are_taken_by_a_network_on_rows():
    assert tn.Sequential([tn.Dense(3)], (8, 8)).predict(pictures(2)[..., 0]).shape == (2, 8, 3)


@pytest.mark.parametrize("count, length", [(2, 7), (0, 7), (3, 1)])
def test_an_open_size_is_open(count, length):
    net = tn.Sequential([tn.Dense(3, "relu"), tn.BatchNorm()], (None, 4))
    assert net.output_shape == (None, 3)
    assert net.predict(np.ones((count, length, 4))).shape == (count, length, 3)


@pytest.mark.parametrize(
    "shape, found",
    [
        ((8, 8), r"\(8, 8\)"),
        ((2, 8, 9, 1), r"\(2, 8, 9, 1\)"),
        ((2, 8, 8, 3), r"\(2, 8, 8, 3\)"),
        ((64,), r"\(64,\)"),
        ((), r"\(\)"),
    ],
)
def test_a_shape_that_the_network_does_not_take_names_the_layer_and_both_shapes(shape, found):
    with pytest.raises(ShapeError, match=rf"^conv2d_1 takes .*\(any, 8, 8, 1\), but is given {found}"):
        digit_net().predict(np.zeros(shape))


def test_one_sample_alone_is_told_to_become_a_batch():
    with pytest.raises(ShapeError, match=r"x\[None\], \(1, 8, 8, 1\)"):
        digit_net().predict(pictures(1)[0])


@pytest.mark.parametrize("x", [["a", "b"], [None], np.zeros((1, 8, 8, 1), complex)])
def test_what_is_no_number_is_refused(x):
    with pytest.raises(TinynetError, match="takes an array of numbers"):
        digit_net().predict(x)


def test_samples_of_different_shapes_are_refused():
    with pytest.raises(ShapeError, match="differ in shape"):
        digit_net().predict([[1, 2], [3]])


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, None])
def test_a_batch_size_that_is_none_is_refused(batch_size):
    with pytest.raises(TinynetError, match="batch_size must be a whole number"):
        digit_net().predict(pictures(2), batch_size=batch_size)


def test_evaluate_gives_loss_and_accuracy():
    net, x = digit_net(), pictures(6)
    y = net.predict(x).argmax(axis=1)
    result = net.evaluate(x, y)
    expected = -np.log(net.predict(x)[np.arange(6), y]).mean()
    assert result.keys() == {"loss", "accuracy"} and all(type(value) is float for value in result.values())
    assert result["accuracy"] == 1 and abs(result["loss"] - expected) < 1e-6


def test_evaluate_names_the_labels_that_do_not_fit():
    with pytest.raises(TinynetError, match=r"the label 5 at index 1 is outside 0…4"):
        digit_net().evaluate(pictures(2), np.array([0, 5]))


@pytest.mark.parametrize("device", BACK_ENDS)
def test_threads_may_share_a_model(device):
    back_end(device)
    tn.set_device(device)
    net, x = digit_net(), pictures(64)
    expected = net.predict(x, batch_size=8)
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda _: net.predict(x, batch_size=8), range(16))
    assert all(np.array_equal(result, expected) for result in results)


# ---- building ----


def test_the_same_seed_gives_the_same_weights():
    first, again, other = (digit_net(seed=seed).get_weights() for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not any(value.any() for value in digit_net(seed=None).get_weights())


def test_layers_are_named_by_their_kind_and_place():
    net = tn.Sequential([tn.Dense(3), tn.Activation("relu"), tn.Dense(3), tn.GlobalMaxPool2D()][:3], (2,))
    assert list(net.children()) == ["dense_1", "activation_1", "dense_2"]
    assert list(net.parameters) == ["dense_1.kernel", "dense_1.bias", "dense_2.kernel", "dense_2.bias"]


@pytest.mark.parametrize("layer", [tn.Dense(2), tn.Flatten(), tn.BatchNorm()])
def test_a_layer_used_twice_is_refused(layer):
    with pytest.raises(TinynetError, match="is used twice; make a new layer for each place"):
        tn.Sequential([layer, layer], (2,))


def test_a_layer_used_in_two_networks_shares_its_arrays():
    layer = tn.Dense(2)
    one, other = (tn.Sequential([layer, tn.Dense(3)], (2,), seed=seed) for seed in (1, 2))
    before = one.layers[0].get_weights()
    other.fit(np.ones((4, 2)), np.zeros(4, int), epochs=2)
    assert one.parameters["dense_1.kernel"] is other.parameters["dense_1.kernel"]
    assert not np.array_equal(one.layers[0].get_weights()[0], before[0])


def test_a_layer_of_another_network_must_fit():
    layer = tn.Dense(2)
    tn.Sequential([layer], (2,))
    expected = r"dense_2 already belongs to a network, where its kernel has the shape \(2, 2\); here it would need \(3, 2\)"
    with pytest.raises(ShapeError, match=expected):
        tn.Sequential([tn.Dense(3), layer], (2,))


def test_layers_of_a_network_that_did_not_fit_can_be_used_again():
    layers = [tn.Conv2D(2, 3), tn.Dense(2), tn.MaxPool2D(9)]
    with pytest.raises(ShapeError, match=r"^max_pool2d_1 takes .* but is given \(6, 6, 2\)"):
        tn.Sequential(layers, (8, 8, 1))
    net = tn.Sequential(layers, (28, 28, 1))
    assert list(net.children()) == ["conv2d_1", "dense_1", "max_pool2d_1"]


def test_what_is_no_layer_is_refused():
    with pytest.raises(TinynetError, match="made of layers, not of 'relu'"):
        tn.Sequential([tn.Dense(2), "relu"], (2,))


@pytest.mark.parametrize("shape", [784, "28", (28, 0), (2.5,), (-1, 3)])
def test_an_input_shape_that_is_none_is_refused(shape):
    with pytest.raises(TinynetError, match="input_shape must be"):
        tn.Sequential([tn.Flatten()], shape)


def test_a_network_without_an_input_shape_is_told_what_to_give():
    net, x = tn.Sequential([tn.Dense(2)]), np.ones((3, 2))
    for use in (
        net.predict,
        net.step,
        net.classify,
        net.save,
        lambda x: net.fit(x, x),
        lambda x: net.evaluate(x, x),
    ):
        with pytest.raises(
            TinynetError, match=r"^model has no input_shape, so it is only a layer of other networks; make it"
        ):
            use(x)
    assert repr(net) == "Sequential(layers=[Dense(units=2)])"


def test_a_network_without_layers_gives_back_its_input():
    net = tn.Sequential([], (3,))
    assert net.predict(np.ones((2, 3))).tolist() == [[1] * 3] * 2 and net.logits_activation is None
    net.summary(print_fn=lambda line: None)


# ---- weights ----


def test_weights_are_copies_in_the_order_of_the_layers():
    net, other = digit_net(seed=1), digit_net(seed=2)
    weights = net.get_weights()
    other.set_weights(weights)
    assert np.array_equal(other.predict(pictures(2)), net.predict(pictures(2)))
    weights[0][...] = 0
    assert net.get_weights()[0].any() and other.get_weights()[0].any()
    assert all(value.dtype == np.float32 for value in other.get_weights())


def test_weights_of_batch_norm_include_its_statistics():
    net = tn.Sequential([tn.BatchNorm()], (3,))
    assert list(net.state()) == [
        f"batch_norm_1.{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")
    ]
    assert list(net.parameters) == ["batch_norm_1.gamma", "batch_norm_1.beta"]


def test_weights_may_be_lists_and_other_types():
    net = tn.Sequential([tn.Dense(2)], (1,))
    net.set_weights([[[1, 2]], np.array([3, 4.5])])
    assert net.predict([[1.0]]).tolist() == [[4, 6.5]]


def test_weights_that_do_not_fit_change_nothing():
    net = digit_net()
    before = net.get_weights()
    with pytest.raises(ShapeError, match=r"model has 4 arrays \(conv2d_1.kernel, .*\), but 3 are given"):
        net.set_weights(before[:3])
    with pytest.raises(
        ShapeError, match=r"dense_1\.kernel has the shape \(36, 5\) .* but the array given has \(5, 36\)"
    ):
        net.set_weights([before[0] + 1, before[1], before[2].T, before[3]])
    with pytest.raises(ShapeError, match=r"the array dense_1\.bias is missing"):
        net.set_state(dict(list(net.state().items())[:3]))
    with pytest.raises(ShapeError, match=r"the array dense_2\.bias belongs to no layer"):
        net.set_state({**net.state(), "dense_2.bias": before[3]})
    assert all(np.array_equal(a, b) for a, b in zip(before, net.get_weights(), strict=True))


def test_summary_lists_layers_shapes_and_parameters():
    lines = []
    digit_net().summary(print_fn=lines.append)
    assert " ".join(lines[1].split()) == (
        "conv2d_1 Conv2D(filters=4, kernel_size=(3, 3), activation=relu) (6, 6, 4) 40"
    )
    assert lines[-1] == f"225 parameters, {2 * 36 * 4 * 9 + 9 * 4 * 4 + 2 * 36 * 5:,} operations per sample"
    assert len(lines) == 6


# ---- pictures ----


def test_classify_ranks_the_labels(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = (pictures(1)[0, :, :, 0] * 255).astype(np.uint8)
    image.fromarray(pixels).save(tmp_path / "photo.png")
    net = digit_net(labels="abcde", metadata={"input": {"kind": "image"}})
    ranked = net.classify(tmp_path / "photo.png")
    probabilities = net.predict(pixels[None, ..., None])[0]
    assert [label for label, _ in ranked] == ["abcde"[index] for index in np.argsort(-probabilities)]
    close([value for _, value in ranked], np.sort(probabilities)[::-1], 1e-5)
    with open(tmp_path / "photo.png", "rb") as file:
        assert net.classify(file, top=2) == ranked[:2]
    with pytest.raises(TinynetError, match="top must be a whole number of at least 1"):
        net.classify(tmp_path / "photo.png", top=0)


def test_without_labels_the_classes_are_numbers():
    assert digit_net().rank(np.array([0.1, 0.5, 0.4])) == [("1", 0.5), ("2", 0.4), ("0", 0.1)]


@pytest.mark.parametrize(
    "net", [digit_net(), tn.Sequential([tn.Dense(2)], (3,), metadata={"input": {"kind": "image"}})]
)
def test_classify_needs_to_know_how_a_picture_becomes_its_input(net):
    with pytest.raises(TinynetError, match="does not say how a picture becomes its input"):
        net.classify("photo.png")


# ---- the device ----


def test_an_unknown_device_is_refused_with_the_list():
    with pytest.raises(TinynetError, match="no device 'gpu'; choose one of auto, reference, cpu"):
        tn.set_device("gpu")


@pytest.mark.parametrize("threads", [0, -2, 1.5, "two"])
def test_what_is_no_number_of_threads_is_refused(threads):
    with pytest.raises(TinynetError, match=f"at least 1, not {threads!r}"):
        tn.set_threads(threads)


def test_the_number_of_threads_is_what_was_set_or_all_cores():
    assert device.threads() == device.available_cores() >= 1
    device._setting.threads = 3
    assert device.threads() == 3


@pytest.fixture
def numba(monkeypatch):
    """Pretend that Numba is (or is not) installed and loaded; the device is chosen anew."""

    def pretend(installed, loaded):
        monkeypatch.setattr(device, "numba_installed", lambda: installed)
        monkeypatch.setattr(device, "cpu_loaded", lambda: loaded)
        tn.set_device("auto")

    return pretend


def test_without_numba_everything_runs_on_the_reference(numba):
    numba(installed=False, loaded=False)
    assert device.choose(None)[0] == device.choose(1e15)[0] == "reference"
    assert device.backend() is reference
    with pytest.raises(
        TinynetError, match="cpu device cannot be used: Numba is not installed; choose auto or reference"
    ):
        tn.set_device("cpu")


def test_once_numba_is_loaded_it_is_used(numba):
    numba(installed=True, loaded=True)
    assert device.choose(1)[0] == "cpu"


def test_small_work_stays_on_numpy_until_numba_would_have_paid(numba):
    numba(installed=True, loaded=False)
    budget = device.CPU_START_SECONDS * device.REFERENCE_FLOPS
    assert device.choose(None)[0] == "cpu"
    assert device.choose(2 * budget)[0] == "cpu"
    for _ in range(3):
        assert device.choose(0.3 * budget)[0] == "reference"
        device.backend(0.3 * budget)
    assert device.choose(0.3 * budget)[0] == "cpu"
    assert device.choose(0.01 * budget)[0] == "reference"


def test_what_was_asked_for_is_used(numba):
    numba(installed=True, loaded=True)
    tn.set_device("reference")
    assert device.choose(1e15) == ("reference", "it was asked for", False)
    assert device.backend(1e15) is reference


@pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs Numba")
def test_choosing_reference_never_loads_numba():
    code = (
        "import sys, numpy, tinynet as tn; net = tn.Sequential([tn.Dense(3)], (2,));"
        "net.predict(numpy.ones((4, 2))); print('numba' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
