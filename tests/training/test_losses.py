from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import close, numeric_gradient
from tiny import line, network, samples

import tinynet as tn
from tinynet.errors import DataError, TinynetError
from tinynet.kernels import reference as k
from tinynet.training import Adam, Huber
from tinynet.training.losses import LOSSES, CrossEntropy, get_loss

ROWS, COLUMNS = 7, 4
RNG = np.random.default_rng(3)
OUTPUTS = RNG.normal(scale=3, size=(ROWS, COLUMNS))
CLASSES = RNG.integers(0, COLUMNS, ROWS)
NUMBERS = RNG.random((ROWS, COLUMNS))
WEIGHTS = RNG.random(ROWS)


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def by_hand(name: str, i: int) -> float:
    """The loss of row i in plain Python."""
    z, t = OUTPUTS[i], NUMBERS[i]
    if name == "cross_entropy":
        return math.log(sum(math.exp(v) for v in z)) - z[CLASSES[i]]
    equation = {
        "binary_cross_entropy": lambda z, t: -t * math.log(sigmoid(z)) - (1 - t) * math.log(1 - sigmoid(z)),
        "mse": lambda p, t: (p - t) ** 2,
        "mae": lambda p, t: abs(p - t),
        "huber": lambda p, t: (p - t) ** 2 / 2 if abs(p - t) <= 1 else abs(p - t) - 0.5,
    }[name]
    return sum(equation(a, b) for a, b in zip(z, t, strict=True)) / COLUMNS


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy", "mse", "mae", "huber"])
def test_loss_and_gradient_are_those_of_the_equation(name):
    loss, targets = LOSSES[name], CLASSES if name == "cross_entropy" else NUMBERS
    value, gradient = loss(k, OUTPUTS, targets, WEIGHTS)
    assert isinstance(value, float)
    assert value == pytest.approx(sum(WEIGHTS[i] * by_hand(name, i) for i in range(ROWS)), rel=1e-12)
    outputs = OUTPUTS.copy()
    close(gradient, numeric_gradient(lambda: loss(k, outputs, targets, WEIGHTS)[0], outputs), 1e-8)
    narrow = targets if name == "cross_entropy" else targets.astype(np.float32)
    single = loss(k, OUTPUTS.astype(np.float32), narrow, WEIGHTS.astype(np.float32))
    assert single[0] == pytest.approx(value, rel=1e-5) and single[1].dtype == np.float32
    close(single[1], gradient, 1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy", "mse", "mae", "huber"])
def test_losses_agree_with_torch(name):
    torch = pytest.importorskip("torch")
    function = {
        "cross_entropy": torch.nn.functional.cross_entropy,
        "binary_cross_entropy": torch.nn.functional.binary_cross_entropy_with_logits,
        "mse": torch.nn.functional.mse_loss,
        "mae": torch.nn.functional.l1_loss,
        "huber": torch.nn.functional.huber_loss,
    }[name]
    targets = CLASSES if name == "cross_entropy" else NUMBERS
    outputs = torch.tensor(OUTPUTS, requires_grad=True)
    function(outputs, torch.tensor(targets)).backward()
    _, gradient = LOSSES[name](k, OUTPUTS, targets, np.full(ROWS, 1 / ROWS))
    close(gradient, outputs.grad.numpy(), 1e-14)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_nothing_overflows(name):
    outputs = np.array([[1e4, -1e4], [-1e30, 1e30]], np.float32)
    targets = np.array([0, 0]) if name == "cross_entropy" else np.array([[1, 0], [0, 1]], np.float32)
    value, gradient = LOSSES[name](k, outputs, targets, np.array([1, 0], np.float32))
    assert value == 0 and np.isfinite(gradient).all()


def test_a_nan_is_not_hidden():
    for name, loss in LOSSES.items():
        targets = CLASSES if loss.name == "cross_entropy" else NUMBERS
        value, gradient = loss(k, np.full_like(OUTPUTS, np.nan), targets, WEIGHTS)
        assert math.isnan(value) and np.isnan(gradient).all(), name


def test_losses_go_by_the_names_of_keras_too():
    for name in ("sparse_categorical_crossentropy", "categorical_crossentropy"):
        assert get_loss(name) == get_loss("cross_entropy")
    assert get_loss("binary_crossentropy") == get_loss("binary_cross_entropy")


def test_sequences_are_averaged_over_all_positions():
    outputs, labels = RNG.normal(size=(2, 3, 4)), RNG.integers(0, 4, (2, 3))
    value, gradient = LOSSES["cross_entropy"](k, outputs, labels, np.full(6, 1 / 6))
    flat, rows = LOSSES["cross_entropy"](k, outputs.reshape(6, 4), labels.reshape(6), np.full(6, 1 / 6))
    assert value == flat and np.array_equal(gradient, rows.reshape(2, 3, 4))


def test_scores():
    def score(loss, outputs, targets, counted=None):
        total = np.zeros(())
        loss.score(k, total, np.array(outputs), np.array(targets), counted)
        return float(total)

    logits = [[1.0, 2.0], [3.0, 0.0], [0.0, 4.0]]
    assert score(LOSSES["cross_entropy"], logits, [1, 1, 1]) == 2
    assert score(LOSSES["cross_entropy"], [logits], [[1, 1, 1]], np.array([True, True, False])) == 1
    assert score(LOSSES["cross_entropy"], logits, [[0.4, 0.6], [0.5, 0.5], [0.3, 0.7]]) == 3
    assert score(LOSSES["binary_cross_entropy"], [[1.0, -2.0], [3.0, 1.0]], [[1, 0], [0, 1]]) == 1.5
    assert score(LOSSES["mse"], [[1.0, 2.0], [3.0, 4.0]], np.zeros((2, 2))) == 5
    rows = get_loss(lambda p, t: (p.sum(1), p))
    assert score(rows, [[1.0, 2.0], [3.0, 4.0]], np.zeros((2, 2)), np.array([False, True])) == 7


def test_huber_takes_a_delta():
    value, _ = Huber(0.5)(k, np.array([[3.0]]), np.array([[0.0]]), np.ones(1))
    assert value == 0.5 * (3 - 0.25)
    with pytest.raises(TinynetError, match="delta must be a number above 0, not 0"):
        Huber(0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2, 3, 10], "the label 10 at index 4 is outside 0…3: the network has 4 outputs"),
        ([0, -1, 2, 3, 0], "the label -1 at index 1 is outside 0…3"),
        ([0, 1], "5 samples but 2 labels"),
        ([0.0, 1, 2, 3, 1], r"float64.*integer classes 0…3 of shape \(5,\).*astype\(int\)"),
        ([0, 1, math.nan, 3, 1], "the label at index 2 is nan"),
        (["a", "b", "c", "d", "e"], "the labels are text.*number the classes first"),
        ([None] * 5, "the labels are of type object"),
        (np.zeros((5, 3)), r"labels of shape \(5, 3\) do not fit.*\(5, 4\).*\(5,\).*one-hot"),
        (np.full((5, 4), 0.2), "index 0 are neither one-hot nor probabilities"),
        (np.ones((5, 4)), "index 0 are neither one-hot nor probabilities"),
        (3, "5 samples but 1 labels"),
    ],
)
def test_class_labels_that_do_not_fit_are_named(labels, message):
    with pytest.raises(DataError, match=message):
        LOSSES["cross_entropy"].targets(labels, (4,), 5)


def test_class_labels_in_all_their_forms():
    expected = np.array([0, 3, 1])
    forms = [
        expected,
        expected.astype(np.uint8),
        expected[:, None],
        np.eye(4)[expected],
        np.eye(4, dtype=bool)[expected],
    ]
    for form in forms:
        found = LOSSES["cross_entropy"].targets(form, (4,), 3)
        assert found.dtype == np.int64 and found.tolist() == [0, 3, 1]
    steps = RNG.integers(0, 4, (3, 5))
    assert np.array_equal(LOSSES["cross_entropy"].targets(np.eye(4)[steps], (None, 4), 3), steps)


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("binary_cross_entropy", [0, 1, 2], r"the label 2 at index \(2, 0\) is outside 0…1"),
        ("mse", [0, 1, math.inf], "the label at index 2 is inf"),
        ("mse", ["a", "b", "c"], "the labels are text, but mean_squared_error expects numbers"),
        ("huber", np.zeros((3, 2)), r"shape \(3, 2\) do not fit.*huber expects \(3, 1\)"),
    ],
)
def test_targets_that_do_not_fit_are_named(name, labels, message):
    with pytest.raises(DataError, match=message):
        LOSSES[name].targets(labels, (1,), 3)


def test_unknown_and_unfit_losses_are_answered_with_what_to_do():
    with pytest.raises(TinynetError, match="no loss 'crossentropy'; choose one of cross_entropy, binary"):
        get_loss("crossentropy")
    with pytest.raises(TinynetError, match="ends in a softmax: use loss='cross_entropy'"):
        get_loss("binary_cross_entropy", "softmax")
    with pytest.raises(TinynetError, match="use loss='binary_cross_entropy'"):
        LOSSES["cross_entropy"].targets([0], (1,), 1)


@pytest.mark.parametrize(
    ("loss", "activation", "units"), [("cross_entropy", "softmax", 2), ("binary_cross_entropy", "sigmoid", 1)]
)
def test_a_fused_loss_equals_the_loss_on_logits(loss, activation, units):
    x, y = samples()
    fused, plain = network(units, activation), network(units, "linear")
    for net in (fused, plain):
        net.fit(x, y, epochs=15, batch_size=8, loss=loss, optimizer=Adam(1e-2))
    for name, value in plain.state().items():
        np.testing.assert_array_equal(fused.state()[name], value)
    assert fused.evaluate(x, y) == plain.evaluate(x, y)
    assert fused.evaluate(x, y)["accuracy"] > 0.8


def test_a_softmax_under_another_loss_is_part_of_the_network():
    x, y = samples(8)
    net = network()
    net.fit(x, np.eye(2)[y], loss="mse")
    assert net.evaluate(x, np.eye(2)[y])["mae"] == pytest.approx(
        np.abs(net.predict(x) - np.eye(2)[y]).mean(), rel=1e-5
    )


def test_evaluate_chooses_the_loss_by_training_or_by_the_last_activation():
    x, y = samples(8)
    assert set(network().evaluate(x, y)) == {"loss", "accuracy"}
    assert set(network(1, "sigmoid").evaluate(x, y)) == {"loss", "accuracy"}
    assert set(line().evaluate([[1.0]], [1.0])) == {"loss", "mae"}
    probabilities = network().predict(x)
    assert network().evaluate(x, y)["loss"] == pytest.approx(
        -np.log(probabilities[range(8), y]).mean(), rel=1e-5
    )


# ---- labels that are no numbers, soft labels, functions ----


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_labels_and_smoothing_are_those_of_torch(smoothing):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    z = rng.normal(size=(6, 4)).astype(np.float32)
    soft, hard = rng.dirichlet(np.ones(4), 6).astype(np.float32), rng.integers(0, 4, 6)
    loss = CrossEntropy(label_smoothing=smoothing)
    for y in (soft, hard):
        targets = loss.targets(y, (4,), 6)
        value, gradient = loss(k, z, targets, np.full(6, 1 / 6, np.float32))
        tz = torch.tensor(z, requires_grad=True)
        expected = torch.nn.functional.cross_entropy(tz, torch.tensor(y), label_smoothing=smoothing)
        expected.backward()
        assert value == pytest.approx(float(expected.detach()), rel=1e-5)
        np.testing.assert_allclose(gradient, tz.grad.numpy(), atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_labels_of_sequences_count_at_each_position(smoothing):
    rng = np.random.default_rng(0)
    z, soft = rng.normal(size=(2, 3, 4)).astype(np.float32), rng.dirichlet(np.ones(4), (2, 3))
    loss, weights = CrossEntropy(label_smoothing=smoothing), rng.random(6).astype(np.float32)
    for y, shape in ((soft, (6, 4)), (rng.integers(0, 4, (2, 3)), (6,))):
        targets = loss.targets(y, (3, 4), 2)
        value, gradient = loss(k, z, targets, weights)
        expected, rows = loss(k, z.reshape(6, 4), targets.reshape(shape), weights)
        assert value == expected and gradient.shape == z.shape
        np.testing.assert_array_equal(gradient.reshape(6, 4), rows)


def test_labels_may_be_the_names_that_the_network_knows():
    x, numbers = np.random.default_rng(0).random((6, 3)), np.array([0, 1, 2, 2, 1, 0])
    names = np.array(["cat", "dog", "owl"])[numbers]
    results = []
    for y in (numbers, names, names.tolist(), names.astype(object)):
        net = tn.Sequential([tn.Dense(3, "softmax")], (3,), labels=["cat", "dog", "owl"])
        net.fit(x, y)
        results.append(net.evaluate(x, y))
    assert all(result == results[0] for result in results)
    with pytest.raises(
        DataError, match="the label cow at index 1 is not one of the network's: cat, dog, owl"
    ):
        net.fit(x[:2], ["cat", "cow"])


def squared(p, t):
    return ((p[:, 0] - t) ** 2), 2 * (p[:, :1] - t[:, None])


def test_a_function_may_be_the_loss():
    x = np.random.default_rng(0).random((8, 3))
    own, known = (tn.Sequential([tn.Dense(1)], (3,)) for _ in range(2))
    weights = np.arange(8.0)
    history = own.fit(x, x.sum(1), loss=squared, sample_weight=weights, validation_split=0.25)
    expected = known.fit(x, x.sum(1), loss="mse", sample_weight=weights, validation_split=0.25)
    for name in ("loss", "val_loss"):
        assert history.epochs[0][name] == pytest.approx(expected.epochs[0][name], rel=1e-5)
    np.testing.assert_allclose(own.get_weights()[0], known.get_weights()[0], atol=1e-5)
    assert own.evaluate(x, x.sum(1), loss=squared)["loss"] == pytest.approx(
        known.evaluate(x, x.sum(1))["loss"], rel=1e-4
    )
    with pytest.raises(TinynetError, match=r"<lambda> must return the loss of each row, shape \(8,\)"):
        own.fit(x, x.sum(1), loss=lambda p, t: 1.0)
