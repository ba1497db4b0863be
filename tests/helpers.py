"""What many tests share: one check for any operation, one for any layer, and the back ends of this machine."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tinynet.kernels import reference
from tinynet.layers import Context, Layer

STEP = 1e-5
"""Of the central differences: their error is about STEP² + 1e-16 / STEP, so 1e-10."""
BACK_ENDS = ("reference", "cpu")


def back_end(name: str) -> ModuleType:
    """The kernels of that name; skips the test where they cannot run."""
    if name == "cpu":
        pytest.importorskip("numba")
    kernels = importlib.import_module(f"tinynet.kernels.{name}")
    if not hasattr(kernels, "dense"):
        pytest.skip(f"the {name} kernels are not there")
    return kernels


def close(actual: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Same shape, no NaN, and nowhere further apart than `tolerance` times the largest value (at least 1)."""
    assert np.shape(actual) == np.shape(expected)
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


def numeric_gradient(loss: Callable[[], float], array: np.ndarray) -> np.ndarray:
    """Central differences of a loss by each element of an array, which it reads."""
    gradient = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + STEP
        above = loss()
        array[index] = kept - STEP
        gradient[index] = (above - loss()) / (2 * STEP)
        array[index] = kept
    return gradient


def check_operation(
    forward: Callable[[], tuple[np.ndarray, Any]],
    backward: Callable[[np.ndarray, Any], dict[str, np.ndarray]],
    arrays: dict[str, np.ndarray],
    *,
    shape: tuple[int, ...],
    expected: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Check shape, dtype, values and gradients of an operation that reads float64 `arrays`; the gradients have their names.

    Returns (output, gradient given to backward, gradients).
    """
    before = {name: array.copy() for name, array in arrays.items()}
    y, saved = forward()
    assert y.shape == shape and y.dtype == np.float64
    if expected is not None:
        close(y, expected, 1e-12)
    dy = np.random.default_rng(99).standard_normal(shape)
    given = dy.copy()
    gradients = backward(dy, saved)
    assert gradients.keys() == arrays.keys()
    for name, array in arrays.items():
        assert gradients[name].dtype == np.float64, name
        slope = numeric_gradient(lambda: float((forward()[0] * given).sum()), array)
        close(gradients[name], slope, 1e-7)
    assert np.array_equal(dy, given), "backward changed the gradient that it was given"
    for name, array in arrays.items():
        assert np.array_equal(array, before[name]), f"{name} was changed"
    return y, dy, gradients


def randomise(layer: Layer, rng: np.random.Generator, dtype: type = np.float64) -> None:
    """Fill parameters and statistics with positive and negative (variances and γ: positive) values of a dtype."""
    for group in (layer.parameters, layer.statistics):
        for name, value in group.items():
            filled = rng.uniform(-0.7, 0.7, value.shape)
            group[name] = (np.abs(filled) + 0.3 if name in ("gamma", "moving_variance") else filled).astype(
                dtype
            )


def check_layer(
    layer: Layer,
    input_shape: tuple[int, ...],
    *,
    batch: int = 2,
    expected: Callable[..., np.ndarray] | None = None,
    output_shape: tuple[int, ...] | None = None,
    x: np.ndarray | None = None,
    **conditions: Any,
) -> None:
    """Check shape, dtype, values and gradients of a layer, in training, in float64 and float32 on the reference.

    expected(x, **parameters) gives the output; output_shape is what the layer should announce, when that is known.
    `conditions`, a mask or a state, are those of the context. Ids have no gradient.
    """
    rng = np.random.default_rng(5)
    announced = layer.compute_output_shape(input_shape)
    assert output_shape is None or announced == output_shape
    layer.build(input_shape, rng)
    assert all(
        value.dtype == np.float32 for value in (*layer.parameters.values(), *layer.statistics.values())
    )
    randomise(layer, rng)
    x = rng.uniform(-1, 1, (batch, *input_shape)) if x is None else x
    context = Context(reference, training=True, seed=3, **conditions)
    y, dy, gradients = check_operation(
        lambda: layer.forward(x, context),
        lambda dy, saved: _named(layer.backward(dy, saved, context)),
        {**({} if layer.takes_ids else {"input": x}), **layer.parameters},
        shape=(len(x), *announced),
        expected=None if expected is None else expected(x, **layer.parameters),
    )
    _check_without_input_gradient(layer, x, dy, gradients, context)
    _check_float32(layer, x, y, dy, gradients, context)


def _named(result: tuple[np.ndarray | None, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    dx, gradients = result
    return {**({} if dx is None else {"input": dx}), **gradients}


def _check_without_input_gradient(
    layer: Layer, x: np.ndarray, dy: np.ndarray, gradients: dict, context: Context
) -> None:
    context = context._replace(input_gradient=False)
    _, own = layer.backward(dy, layer.forward(x, context)[1], context)
    for name, gradient in own.items():
        close(gradient, gradients[name], 1e-15)


def _check_float32(
    layer: Layer, x: np.ndarray, y: np.ndarray, dy: np.ndarray, gradients: dict, context: Context
) -> None:
    for group in (layer.parameters, layer.statistics):
        group.update({name: value.astype(np.float32) for name, value in group.items()})
    single, saved = layer.forward(x if layer.takes_ids else x.astype(np.float32), context)
    found = {"output": single, **_named(layer.backward(dy.astype(np.float32), saved, context))}
    for name, value in {"output": y, **gradients}.items():
        assert found[name].dtype == np.float32, name
        close(found[name], value, 1e-5)


def run_here(*arguments, given=None):
    """(status, stdout, stderr) of a command in this process."""
    from click.testing import CliRunner

    from tinynet.cli import group, process
    from tinynet.errors import TinynetError

    done = CliRunner().invoke(group, [*map(str, arguments)], input=given, standalone_mode=False)
    error = done.exception
    if isinstance(error, TinynetError):
        return 1, done.stdout, process.sentence(error)
    if error is not None and not isinstance(error, SystemExit):
        return getattr(error, "exit_code", 1), done.stdout, str(getattr(error, "message", error))
    return done.return_value, done.stdout, done.stderr
