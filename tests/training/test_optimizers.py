from __future__ import annotations

import math

import numpy as np
import pytest
from tiny import line

from tinynet.errors import TinynetError
from tinynet.kernels import reference as k
from tinynet.training import SGD, Adam, AdamW, RMSprop
from tinynet.training.optimizers import MovingAverage, clip_by_global_norm, get_optimizer, global_norm
from tinynet.training.schedules import Position

STEPS = 5


def trajectory(optimizer, dtype=np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Where parameters go under fixed gradients: (the start and all steps, the gradients)."""
    rng = np.random.default_rng(0)
    parameters = {"a": rng.normal(size=(3, 2)).astype(dtype), "b": rng.normal(size=4).astype(dtype)}
    state = optimizer.start(parameters)
    seen, gradients = [flat(parameters)], []
    for step in range(STEPS):
        gradient = {name: rng.normal(size=p.shape).astype(dtype) for name, p in parameters.items()}
        gradients.append(flat(gradient))
        optimizer.update(k, parameters, gradient, state, Position(step))
        seen.append(flat(parameters))
    return np.array(seen), np.array(gradients)


def flat(arrays) -> np.ndarray:
    return np.concatenate([array.ravel() for array in arrays.values()])


def sgd(p, g, momentum=0.0, nesterov=False, lr=0.1, wd=0.0):
    """Keras' equation on one number."""
    v, path = 0.0, [p]
    for gradient in g:
        p -= lr * wd * p
        v = momentum * v - lr * gradient
        p += momentum * v - lr * gradient if nesterov else v
        path.append(p)
    return path


def rmsprop(p, g, lr=0.1, rho=0.8, epsilon=1e-5):
    s, path = 0.0, [p]
    for gradient in g:
        s = rho * s + (1 - rho) * gradient**2
        p -= lr * gradient / (math.sqrt(s) + epsilon)
        path.append(p)
    return path


def adam(p, g, lr=0.1, b1=0.8, b2=0.9, epsilon=1e-5, wd=0.0):
    m = s = 0.0
    path = [p]
    for t, gradient in enumerate(g, start=1):
        p -= lr * wd * p
        m, s = b1 * m + (1 - b1) * gradient, b2 * s + (1 - b2) * gradient**2
        p -= lr * (m / (1 - b1**t)) / (math.sqrt(s / (1 - b2**t)) + epsilon)
        path.append(p)
    return path


BY_HAND = {
    "sgd": (SGD(0.1), sgd),
    "momentum": (SGD(0.1, momentum=0.9), lambda p, g: sgd(p, g, 0.9)),
    "nesterov": (SGD(0.1, momentum=0.9, nesterov=True), lambda p, g: sgd(p, g, 0.9, True)),
    "decay": (SGD(0.1, momentum=0.5, weight_decay=0.2), lambda p, g: sgd(p, g, 0.5, wd=0.2)),
    "rmsprop": (RMSprop(0.1, rho=0.8, epsilon=1e-5), rmsprop),
    "adam": (Adam(0.1, beta_1=0.8, beta_2=0.9, epsilon=1e-5), adam),
    "adamw": (AdamW(0.1, 0.8, 0.9, 1e-5, weight_decay=0.3), lambda p, g: adam(p, g, wd=0.3)),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_steps_follow_the_equation(name):
    optimizer, equation = BY_HAND[name]
    path, gradients = trajectory(optimizer)
    for i in range(path.shape[1]):
        np.testing.assert_allclose(path[:, i], equation(path[0, i], gradients[:, i]), rtol=1e-12)
    single, _ = trajectory(optimizer, np.float32)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, path, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_steps_agree_with_torch(name):
    torch = pytest.importorskip("torch")
    path, gradients = trajectory(BY_HAND[name][0])
    parameter = torch.nn.Parameter(torch.tensor(path[0]))
    peer = {
        "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        "nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
        "rmsprop": lambda p: torch.optim.RMSprop(p, 0.1, alpha=0.8, eps=1e-5),
        "adam": lambda p: torch.optim.Adam(p, 0.1, betas=(0.8, 0.9), eps=1e-5),
        "adamw": lambda p: torch.optim.AdamW(p, 0.1, betas=(0.8, 0.9), eps=1e-5, weight_decay=0.3),
    }[name]([parameter])
    for gradient, expected in zip(gradients, path[1:], strict=True):
        parameter.grad = torch.tensor(gradient)
        peer.step()
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-12)


def test_defaults_are_those_of_keras():
    assert (SGD().learning_rate, SGD().momentum, RMSprop().rho, Adam().learning_rate) == (0.01, 0, 0.9, 1e-3)
    assert (Adam().beta_1, Adam().beta_2, Adam().epsilon, Adam().weight_decay) == (0.9, 0.999, 1e-7, 0)
    assert AdamW().weight_decay == 0.004


@pytest.mark.parametrize("limit", [0.5, 3.0])
def test_clipping_brings_the_norm_of_all_gradients_together_to_the_limit(limit):
    rng = np.random.default_rng(0)
    gradients = {"a": rng.normal(size=(3, 4)), "b": rng.normal(size=7)}
    before = flat(gradients)
    assert clip_by_global_norm(k, gradients, limit) == pytest.approx(np.linalg.norm(before))
    assert global_norm(k, gradients) == pytest.approx(limit)
    np.testing.assert_allclose(flat(gradients), before * limit / np.linalg.norm(before))


def test_small_gradients_are_not_clipped():
    gradients = {"a": np.array([0.3]), "b": np.array([0.4])}
    clip_by_global_norm(k, gradients, 0.6)
    assert flat(gradients).tolist() == [0.3, 0.4]


def test_fit_clips():
    # the slope of (0 x - 100)² at x = 1 is -200, clipped to -1: one step of rate 0.1 goes to 0.1
    for settings in ({"optimizer": SGD(0.1, clip_norm=1.0)}, {"optimizer": SGD(0.1), "clip_norm": 1.0}):
        net = line(0.0)
        net.fit([[1.0]], [[100.0]], loss="mse", **settings)
        assert net.get_weights()[0][0, 0] == pytest.approx(0.1)


def test_an_optimizer_keeps_nothing_between_trainings():
    optimizer = SGD(0.1, momentum=0.9)
    slopes = []
    for _ in range(2):
        net = line(0.0)
        net.fit([[1.0]], [[1.0]], loss="mse", epochs=3, optimizer=optimizer)
        slopes.append(net.get_weights()[0])
    assert np.array_equal(*slopes)


def test_moving_average_is_the_recurrence():
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=5)}
    average = MovingAverage(0.5)
    average.start(arrays)
    expected = arrays["a"].copy()
    for step in range(1, 12):
        arrays["a"] += rng.normal(size=5)
        average.update(k, arrays, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * arrays["a"]
    np.testing.assert_allclose(average.arrays["a"], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0), "SGD: learning_rate must be a number above 0, not 0"),
        (lambda: Adam("fast"), "Adam: learning_rate must be a number above 0, not 'fast'"),
        (lambda: Adam(math.nan), "Adam: learning_rate must be a number above 0, not nan"),
        (lambda: Adam(beta_1=1.0), "Adam: beta_1 must be a number of at least 0 and below 1, not 1.0"),
        (lambda: SGD(momentum=-1), "SGD: momentum"),
        (lambda: AdamW(weight_decay=-1), "AdamW: weight_decay"),
        (lambda: RMSprop(epsilon=0), "RMSprop: epsilon must be a number above 0"),
        (lambda: Adam(clip_norm=0), "Adam: clip_norm must be a number above 0"),
        (lambda: MovingAverage(1.0), "ema: decay"),
        (lambda: get_optimizer("adamx"), "no optimizer 'adamx'; choose one of sgd, rmsprop, adam, adamw"),
    ],
)
def test_settings_that_do_not_fit_are_named(make, message):
    with pytest.raises(TinynetError, match=message):
        make()


def test_optimizers_by_name():
    assert get_optimizer(None) == Adam(1e-3) and get_optimizer("SGD") == SGD()
    assert SGD(np.float32(0.5)).learning_rate == 0.5
