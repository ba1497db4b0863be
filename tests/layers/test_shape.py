from __future__ import annotations

import pytest
from helpers import check_layer

from tinynet.errors import ShapeError, TinynetError
from tinynet.layers import Flatten, Reshape


@pytest.mark.parametrize("shape, size", [((2, 3, 2), 12), ((5,), 5), ((4, 1), 4), ((), 1)])
def test_flatten_puts_a_sample_in_one_row(shape, size):
    check_layer(Flatten(), shape, expected=lambda x: x.reshape(len(x), size), output_shape=(size,))


@pytest.mark.parametrize(
    "shape, target, output",
    [
        ((6,), (2, 3), (2, 3)),
        ((4, 3), [2, 6], (2, 6)),
        ((4, 3), (-1,), (12,)),
        ((4, 3), -1, (12,)),
        ((4, 3), (2, -1, 3), (2, 2, 3)),
        ((4, 3), (12, 1), (12, 1)),
    ],
)
def test_reshape_keeps_the_values_in_order(shape, target, output):
    check_layer(Reshape(target), shape, expected=lambda x: x.reshape(len(x), *output), output_shape=output)


@pytest.mark.parametrize("target", [(5,), (5, -1), (24, -1), (13,)])
def test_reshape_to_another_number_of_values_names_both_shapes(target):
    with pytest.raises(ShapeError, match=r"^reshape takes .*\(.*-?\d.*\).*, but is given \(4, 3\)"):
        Reshape(target).compute_output_shape((4, 3))


@pytest.mark.parametrize("target", [(-1, -1), (0, 3), (-2,), (2.5,), "ab", None])
def test_a_bad_target_is_an_error_that_names_the_layer(target):
    with pytest.raises(TinynetError, match=r"^reshape: "):
        Reshape(target)


@pytest.mark.parametrize("layer", [Flatten(), Reshape((2, 2))])
def test_an_open_size_is_refused_with_the_next_step(layer):
    asked = r"needs a fixed size, but is given \(any, 4\): give it in input_shape, or set return_sequences=False on the recurrent"
    with pytest.raises(ShapeError, match=asked):
        layer.compute_output_shape((None, 4))
