"""One list of calls that covers every kernel: odd shapes, size 1, the edges of the register tile, all geometry."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from tinynet.kernels import reference


class Case(NamedTuple):
    """A call of a kernel; the arrays, or lists of arrays, in `changed` are written to."""

    name: str
    label: str
    arguments: tuple
    changed: tuple[int, ...] = ()
    tolerance: float = 2e-6
    """Of the largest absolute value of the result."""


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).standard_normal(shape, np.float32)


def positive(*shape: int) -> np.ndarray:
    return np.abs(normal(*shape)) + np.float32(0.1)


NONE = ((0, 0), (0, 0))
# input (n, h, w, c), kernel (kh, kw, filters), strides, pads, dilation
CONVOLUTIONS = [
    ((1, 1, 1, 1), (1, 1, 1), (1, 1), NONE, (1, 1)),
    ((2, 13, 13, 32), (3, 3, 64), (1, 1), ((0, -1), (0, -1)), (1, 1)),
    ((3, 28, 28, 1), (3, 3, 32), (1, 1), NONE, (1, 1)),
    ((2, 9, 8, 3), (3, 2, 5), (2, 1), ((1, 1), (2, 1)), (1, 2)),
    ((1, 7, 6, 2), (2, 3, 17), (1, 1), ((-1, -2), (0, -1)), (1, 1)),
    ((2, 8, 9, 4), (3, 3, 15), (3, 2), ((2, -1), (-1, 2)), (2, 1)),
    ((9, 5, 5, 7), (5, 5, 33), (1, 1), ((2, 2), (2, 2)), (1, 1)),
    ((1, 3, 3, 2), (1, 1, 31), (2, 2), NONE, (1, 1)),
    ((2, 2, 2, 3), (2, 2, 16), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((0, 5, 5, 3), (3, 3, 4), (1, 1), NONE, (1, 1)),
    ((2, 2, 2, 3), (3, 3, 4), (1, 1), NONE, (1, 1)),
]
MATRICES = [(1, 1, 1), (1, 300, 40), (1, 7, 13), (5, 3, 16), (6, 9, 32), (7, 33, 17), (13, 64, 10)]
MATRICES += [(64, 160, 128), (200, 5, 31), (0, 3, 4)]
POOLS = [
    ((2, 13, 13, 32), (2, 2), (2, 2), NONE),
    ((1, 26, 26, 8), (2, 2), (2, 2), NONE),
    ((2, 7, 8, 3), (3, 2), (1, 2), ((1, 1), (0, 1))),
    ((1, 6, 5, 9), (2, 2), (2, 2), ((0, -1), (-1, 0))),
    ((2, 5, 6, 17), (3, 3), (2, 1), ((1, 1), (1, 1))),
    ((3, 1, 1, 1), (1, 1), (1, 1), NONE),
    ((2, 4, 5, 5), (2, 3), (3, 3), NONE),
    ((0, 4, 4, 3), (2, 2), (2, 2), NONE),
]
SHAPES = [(1, 1), (3, 7), (5, 8), (2, 3, 16), (4, 9, 2, 33), (700, 31), (0, 5)]
ACTIVATIONS = ("relu", "leaky_relu", "elu", "silu", "gelu", "sigmoid", "tanh", "softmax")


def convolutions(table=CONVOLUTIONS):
    for shape, (kh, kw, filters), *geometry in table:
        label = f"{shape}*{kh}x{kw}x{filters}"
        x, kernel, bias = normal(*shape), normal(kh, kw, shape[3], filters), normal(filters)
        for name in reference.FUSED if shape[0] == 3 else ("relu",):
            yield Case("conv2d", f"{label}-{name}", (x, kernel, bias, *geometry, name))
        yield Case("conv2d", f"{label}-plain", (x, kernel, None, *geometry))
        dz = normal(*reference.conv2d(x, kernel, None, *geometry).shape)
        yield Case("conv2d_input_gradient", label, (dz, kernel, shape, *geometry))
        yield Case("conv2d_kernel_gradient", label, (x, dz, kernel.shape, *geometry))


# input (n, h, w, c), kernel (kh, kw, depth multiplier), strides, pads, dilation
DEPTHWISE = [
    ((1, 1, 1, 1), (1, 1, 1), (1, 1), NONE, (1, 1)),
    ((3, 14, 14, 32), (3, 3, 1), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((9, 7, 7, 17), (3, 3, 1), (2, 2), ((0, 1), (0, 1)), (1, 1)),
    ((2, 9, 8, 3), (3, 2, 3), (2, 1), ((1, 1), (2, 1)), (1, 2)),
    ((1, 7, 6, 2), (2, 3, 17), (1, 1), ((-1, -2), (0, -1)), (1, 1)),
    ((2, 8, 9, 4), (3, 3, 2), (3, 2), ((2, -1), (-1, 2)), (2, 1)),
    ((2, 5, 5, 33), (5, 5, 1), (1, 1), ((2, 2), (2, 2)), (1, 1)),
    ((1, 2, 2, 8), (3, 3, 1), (1, 1), ((4, 3), (3, 4)), (3, 2)),
    ((0, 5, 5, 3), (3, 3, 1), (1, 1), NONE, (1, 1)),
    ((2, 2, 2, 3), (3, 3, 2), (1, 1), NONE, (1, 1)),
]


def depthwise(table=DEPTHWISE):
    for shape, (kh, kw, m), *geometry in table:
        label, c = f"{shape}*{kh}x{kw}x{m}", shape[3]
        x, kernel, bias = normal(*shape), normal(kh, kw, c, m), normal(c * m)
        for name in reference.FUSED if shape[0] == 3 else ("relu",):
            yield Case("depthwise_conv2d", f"{label}-{name}", (x, kernel, bias, *geometry, name))
        yield Case("depthwise_conv2d", f"{label}-plain", (x, kernel, None, *geometry))
        dz = normal(*reference.depthwise_conv2d(x, kernel, None, *geometry).shape)
        yield Case("depthwise_conv2d_input_gradient", label, (dz, kernel, shape, *geometry))
        yield Case("depthwise_conv2d_kernel_gradient", label, (x, dz, kernel.shape, *geometry))


def _convolutions_and_pools():
    """Few pictures take the two kernels one after the other, many the one."""
    for n, size, channels, filters in [
        (2, 8, 3, 5),
        (9, 8, 3, 5),
        (8, 13, 32, 64),
        (10, 28, 1, 32),
        (3, 7, 2, 33),
        (0, 6, 2, 3),
    ]:
        operands = (n, size, size, channels), (3, 3, filters)
        for activation in ("relu", "tanh", "linear", "leaky_relu", "elu"):
            yield (
                *operands,
                ((1, 1), ((0, -1), (1, 0)), (1, 1)),
                activation,
                ((2, 2), (2, 2), NONE),
            )
        overlapping = (3, 2), (2, 1), ((1, 1), (0, 1))
        yield *operands, ((2, 1), ((1, 1), (1, 1)), (1, 2)), "leaky_relu", overlapping
        spread = (1, 2), (2, 3), ((0, 0), (1, 0))
        yield *operands, ((1, 1), NONE, (1, 1)), "relu", spread


CONVOLUTIONS_AND_POOLS = list(_convolutions_and_pools())


def convolutions_and_pools(table=CONVOLUTIONS_AND_POOLS):
    """In quarters, whose sums are exact: what is the largest, and where the first of equals is, does not depend on rounding."""
    for shape, (kh, kw, filters), *geometry in table:
        x, kernel, bias = (
            np.round(4 * normal(*size)) / 4 for size in (shape, (kh, kw, shape[3], filters), (filters,))
        )
        label = f"{shape}*{kh}x{kw}x{filters}-{geometry[1]}-{geometry[2][0]}"
        call = x, kernel, None if geometry[1] == "leaky_relu" else bias, *geometry
        yield Case("conv2d_max_pool2d", label, call, (), 1e-5)
        yield Case("conv2d_max_pool2d_with_argmax", label, call, (), 1e-5)
        y, argmax = reference.conv2d_max_pool2d_with_argmax(*call)
        for input_gradient in (True, False):
            arguments = normal(*y.shape), y, argmax, x, kernel, *geometry, input_gradient
            yield Case("conv2d_max_pool2d_gradient", f"{label}-{input_gradient}", arguments, (), 1e-5)


def matrices(table=MATRICES):
    for m, k, n in table:
        label = f"{m}x{k}x{n}"
        x, kernel, bias, dz = normal(m, k), normal(k, n), normal(n), normal(m, n)
        for name in reference.FUSED:
            yield Case("dense", f"{label}-{name}", (x, kernel, bias, name), (), 1e-5)
        yield Case("dense", f"{label}-plain", (x, kernel, None))
        yield Case("dense_input_gradient", label, (dz, kernel))
        yield Case("dense_kernel_gradient", label, (x, dz))


def pools(table=POOLS):
    for shape, *geometry in table:
        label = f"{shape}-{geometry[0]}"
        x = np.round(normal(*shape) * 2)  # so that there are ties
        y = reference.max_pool2d(x, *geometry)
        dy = normal(*y.shape)
        yield Case("max_pool2d", label, (x, *geometry))
        yield Case("max_pool2d_gradient", label, (dy, x, y, *geometry))
        yield Case("avg_pool2d", label, (x, *geometry))
        yield Case("avg_pool2d_gradient", label, (dy, shape, *geometry))


def elements(table=SHAPES):
    for shape in table:
        label = "x".join(map(str, shape))
        z, dy = 3 * normal(*shape), normal(*shape, seed=1)
        for name in ("linear", *ACTIVATIONS):
            if z.size or name != "softmax":
                yield Case("activation", f"{name}-{label}", (z, name))
                y = reference.activation(z, name)
                yield Case("activation_gradient", f"{name}-{label}", (dy, y, name, z))
        yield Case("dropout", label, (z, 0.3, 12345))
        yield Case("dropout", f"none-{label}", (z, 0.0, -1))
        yield Case("sum_of_squares", label, ([z, dy, z.reshape(-1)[:3]],))
        yield Case("bias_gradient", label, (dy,))
        yield Case("zeros", label, (shape,))
        yield Case("asarray", label, (z,))
        yield Case("asnumpy", label, (z,))
        yield Case("prefetch", label, (z,))
        yield Case("argmax", label, (np.round(z).reshape(-1, shape[-1]),))
        c = shape[-1]
        vectors = normal(c), positive(c), positive(c), normal(c)
        yield Case("batch_norm", label, (z, *vectors, 1e-3))
        yield Case("batch_norm", f"relu-{label}", (z, *vectors, 1e-3, True))
        for kind, bias in (("bias", normal(c)), ("plain", None)):
            yield Case("fold_batch_norm", f"{label}-{kind}", (z, bias, *vectors, 1e-3))
        yield Case("layer_norm", label, (z, *vectors[2:], 1e-3), (), 1e-5)
        yield Case("layer_norm_gradient", label, (normal(*z.shape, seed=1), z, vectors[2], 1e-3), (), 1e-5)
        if z.size:
            for kind, mask in masks(*shape[:2]).items() if z.ndim > 2 else [("whole", None)]:
                yield Case("batch_norm_statistics", f"{label}-{kind}", (z + 2, mask))
                statistics = reference.batch_norm_statistics(z, mask)
                gradient = (dy, z, *statistics, positive(c), normal(c), 1e-3, mask)
                yield Case("batch_norm_gradient", f"{label}-{kind}", gradient, (), 1e-5)
                yield Case("batch_norm_gradient", f"relu-{label}-{kind}", (*gradient, True), (), 1e-5)


LOSSES = [(1, 1), (5, 10), (64, 10), (3, 8), (9, 65), (0, 4)]


def losses(table=LOSSES):
    for m, c in table:
        label = f"{m}x{c}"
        logits, targets, weights = 4 * normal(m, c), np.abs(normal(m, c, seed=1)) % 1, positive(m)
        labels = np.arange(m, dtype=np.int64) * 7 % c
        yield Case("cross_entropy", label, (logits, labels, weights))
        probabilities = targets + np.float32(0.01)
        probabilities[: m // 2] = np.arange(c) == 0
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        for smoothing in (0.0, 0.1):
            for kind, given in (("rows", probabilities), ("classes", labels)):
                arguments = logits, given, weights, smoothing
                yield Case("soft_cross_entropy", f"{label}-{kind}-{smoothing}", arguments, (), 1e-5)
        for name in ("binary_cross_entropy", "mean_squared_error", "mean_absolute_error"):
            yield Case(name, label, (logits, targets, weights))
        yield Case("huber", label, (logits, targets, weights, 0.7))
        coarse, total = np.round(logits), np.array(3.5)  # with equals in a row
        for kind, counted in (("all", None), ("some", np.arange(m) % 3 > 0)):
            for of, given in (("classes", labels), ("rows", np.round(probabilities, 1))):
                yield Case("count_correct", f"{label}-{of}-{kind}", (total, coarse, given, counted), (0,))
            for name in ("count_correct_binary", "sum_absolute_errors"):
                yield Case(name, f"{label}-{kind}", (total, coarse, targets, counted), (0,))


SIZES = (1, 7, 8, 40_001)


def steps(table=SIZES):
    for size in table:
        shapes = (size,), (0, 3), (2, 3), (2, size)
        p, g, m = ([normal(*shape, seed=seed) for shape in shapes] for seed in range(3))
        s = [positive(*shape) for shape in shapes]
        yield Case("sgd", f"{size}", (p, g, m, 0.1, 0.9, False, 0.01), (0, 2))
        yield Case("sgd", f"nesterov-{size}", (p, g, m, 0.1, 0.9, True, 0.0), (0, 2))
        yield Case("rmsprop", f"{size}", (p, g, s, 0.01, 0.9, 1e-7, 0.1), (0, 2))
        yield Case("adam", f"{size}", (p, g, m, s, 3, 0.01, 0.9, 0.999, 1e-8, 0.1), (0, 2, 3))
        yield Case("scale", f"{size}", (p, 0.3), (0,))
        yield Case("blend", f"{size}", (p, g, 0.1), (0,))


PICTURES = [(3, 28, 28, 1), (2, 5, 9, 3), (1, 1, 1, 1), (0, 4, 4, 1)]


def warps(table=PICTURES):
    for shape in table:
        label = "x".join(map(str, shape))
        images = np.abs(normal(*shape))
        matrices = 0.3 * normal(shape[0], 2, 3) + np.float32([[1, 0, 0.5], [0, 1, -0.3]])
        yield Case("warp", label, (images, matrices), (), 1e-5)
        yield Case("warp", f"bent-{label}", (images, matrices, normal(shape[0], 2, 4, 6)), (), 1e-5)
        colours = 0.5 * normal(shape[0], shape[3], shape[3] + 1)
        yield Case("recolour", label, (images, colours), (), 1e-5)
        corners = np.random.default_rng(shape[0]).integers(0, np.add(shape[1:3], 1), (shape[0], 2, 2))
        boxes = np.sort(corners, axis=1).reshape(-1, 4)
        yield Case("erase", label, (images, boxes, 7 + shape[0]))


# sequences, steps, units: the last ones around the tile's edges
SEQUENCES = [
    (1, 1, 1),
    (2, 3, 5),
    (3, 6, 8),
    (1, 5, 16),
    (7, 2, 17),
    (5, 4, 33),
    (32, 9, 64),
    (0, 3, 4),
    (2, 0, 3),
]


def masks(n, t):
    """None, padding behind, and padding anywhere with a sequence that is nothing else."""
    lengths = 1 + np.arange(n) * 5 % max(t, 1)
    scattered = np.random.default_rng(t).random((n, t)) < 0.6
    scattered[n // 2 : n // 2 + 1] = False
    return {"whole": None, "padded": np.arange(t) < lengths[:, None], "scattered": scattered}


def cells(table=SEQUENCES):
    for n, t, units in table:
        h0, c0, dh, dc = (
            normal(n, units),
            normal(n, units, seed=1),
            normal(n, t + 1, units),
            normal(n, units, seed=2),
        )
        for kind, mask in masks(n, t).items():
            label = f"{n}x{t}x{units}-{kind}"
            z, recurrent = normal(n, t, units), normal(units, units) / units**0.5
            for name in ("tanh", "relu"):
                yield Case("rnn", f"{label}-{name}", (z, recurrent, h0, mask, name), (), 1e-5)
                h = reference.rnn(z, recurrent, h0, mask, name)
                yield Case("rnn_gradient", f"{label}-{name}", (dh, h, recurrent, mask, name), (), 2e-5)
            z, recurrent = normal(n, t, 4 * units), normal(units, 4 * units) / units**0.5
            yield Case("lstm", label, (z, recurrent, h0, c0, mask), (), 1e-5)
            saved = reference.lstm(z, recurrent, h0, c0, mask)
            yield Case("state_kernel_gradient", label, (saved[0], normal(*z.shape)), (), 1e-5)
            yield Case("lstm_gradient", label, (dh, dc, *saved, recurrent, mask), (), 2e-5)
            z, recurrent = normal(n, t, 3 * units), normal(units, 3 * units) / units**0.5
            for bias, reset_after in ((normal(3 * units), True), (None, True), (None, False)):
                more = f"{label}-{'bias' if bias is not None else 'plain'}-{'after' if reset_after else 'before'}"
                yield Case("gru", more, (z, recurrent, bias, h0, mask, reset_after), (), 1e-5)
                saved = reference.gru(z, recurrent, bias, h0, mask, reset_after)
                yield Case("gru_gradient", more, (dh, *saved, recurrent, mask, reset_after), (), 2e-5)


def sequences(table=SEQUENCES):
    for n, t, units in table:
        label = f"{n}x{t}x{units}"
        x, y = normal(n, t, units), normal(n, t, units, seed=1)
        ids = np.random.default_rng(n).integers(0, 7, (n, t)).astype(np.int32)
        yield Case("embedding", label, (ids, normal(7, units)))
        yield Case("embedding_gradient", label, (x, ids, 7), (), 1e-5)
        yield Case("embedding_bag", label, (ids, normal(7, units), 1.25), (), 1e-5)
        yield Case("embedding_bag_gradient", label, (normal(n, units), ids, 7, 1.25), (), 1e-5)
        yield Case("drop_ids", label, (ids, 0.4, 7))
        for rows in (1, 3, 40):
            start = np.floor(5 * normal(n, 1)) + np.float32(0.25)
            yield Case("add_positions", f"{label}-{rows}", (x, normal(rows, units), start))
            yield Case("add_positions_gradient", f"{label}-{rows}", (x, start, rows), (), 1e-5)
        yield Case("step_mask", f"{label}-ids", (ids, 0))
        yield Case("step_mask", f"{label}-features", (np.round(x[..., :2]), 0.0))
        for kind, mask in masks(n, t).items():
            yield Case("reverse_steps", f"{label}-{kind}", (x, mask))
            yield Case("mean_steps", f"{label}-{kind}", (x, mask), (), 1e-5)
            yield Case("mean_steps_gradient", f"{label}-{kind}", (normal(n, units), t, mask))
            tied = np.round(2 * x)
            yield Case("max_steps", f"{label}-{kind}", (tied, mask))
            top = reference.max_steps(tied, mask)
            yield Case("max_steps_gradient", f"{label}-{kind}", (normal(n, units), tied, top, mask))
            if mask is not None:
                yield Case("keep_steps", f"{label}-{kind}", (x, mask))
                yield Case("intersect_masks", f"{label}-{kind}", (mask, np.roll(mask, 1, axis=1)))
                for count in (1, 3):
                    yield Case("prepend_steps", f"{label}-{kind}-{count}", (mask, count))
                for first, stride in ((0, 1), (0, 2), (1, 3)):
                    arguments = mask, first, stride, max(-(-(t - first) // stride), 0)
                    yield Case("every_step", f"{label}-{kind}-{first}-{stride}", arguments)
        yield Case("repeat_steps", label, (normal(n, units), t + 1))
        yield Case("sum_steps", label, (x,), (), 1e-5)
        for left, right in ((0, 0), (1, 0), (t, 0), (2, 3)):
            more = f"{label}-{left}-{right}", (normal(n, t + left + right, units), left, right)
            yield Case("crop_steps", *more)
            yield Case("crop_steps_gradient", more[0], (x, left, right))
        yield Case("sequence_dropout", label, (x, 0.4, 7))
        for mode in ("concat", "sum", "mul", "ave"):
            yield Case("merge", f"{label}-{mode}", (x, y, mode))
            dy = normal(n, t, 2 * units if mode == "concat" else units)
            yield Case("merge_gradient", f"{label}-{mode}", (dy, x, y, mode))
        wider, dy = normal(n, t, units + 3), normal(n, t, 2 * units + 3)
        yield Case("merge", f"{label}-wider", (x, wider, "concat"))
        yield Case("merge_gradient", f"{label}-wider", (dy, x, wider, "concat"))


# sequences, steps, steps before, heads, numbers of a head
ATTENTIONS = [
    (1, 1, 0, 1, 1),
    (2, 1, 7, 2, 8),
    (1, 3, 0, 2, 3),
    (2, 5, 4, 1, 16),
    (3, 13, 0, 2, 5),
    (1, 33, 20, 1, 33),
]
ATTENTIONS += [(1, 100, 0, 2, 8), (1, 130, 70, 1, 32), (0, 3, 2, 1, 4), (2, 0, 3, 2, 2), (1, 12, 1, 1, 17)]


def attentions(table=ATTENTIONS):
    for n, t, before, heads, d in table:
        z, dy = normal(n, t, 3 * heads * d), normal(n, t, heads * d, seed=1)
        past, real = normal(n, before, 2 * heads * d, seed=2), (normal(n, before) > -0.5).astype(np.float32)
        for kind, mask in masks(n, t).items():
            yield Case("attention_cache", f"{n}x{t}+{before}x{heads}x{d}-{kind}", (z, past, real, mask))
            for rest in (
                (False, 0, False), (True, 0, False), (True, 1, False), (True, 5, True), (True, 40, False), (True, 0, True)
            ):  # fmt: skip
                settings = heads, *rest
                label = f"{n}x{t}+{before}x{heads}x{d}-{kind}-{settings[1:]}"
                call = z, past, real, mask
                yield Case("attention", label, (*call, *settings), (), 1e-5)
                sums = reference.attention(*call, *settings)[1]
                yield Case("attention_gradient", label, (dy, *call, sums, *settings), (), 1e-5)


CLASSES = (1, 2, 9, 65)


def draws(table=CLASSES):
    for classes in table:
        p = reference.activation(2 * normal(1, classes), "softmax")[0]
        for temperature, top_k, top_p in (
            (0.0, 0, 1.0),
            (1.0, 0, 1.0),
            (0.7, 3, 1.0),
            (2.0, 0, 0.6),
            (0.5, 8, 0.9),
        ):
            for u in (0.0, 0.31, 0.77, 0.999):
                label = f"{classes}-{temperature}-{top_k}-{top_p}-{u}"
                yield Case("sample", label, (p, temperature, top_k, top_p, u))


FAMILIES = {
    family.__name__: family
    for family in (
        convolutions,
        depthwise,
        convolutions_and_pools,
        matrices,
        pools,
        elements,
        losses,
        steps,
        warps,
        cells,
        sequences,
        attentions,
        draws,
    )
}
"""Each gives the calls of its kernels for a table of sizes and settings."""


def all_cases() -> list[Case]:
    return [case for family in FAMILIES.values() for case in family()]


def outputs(module: ModuleType, case: Case, dtype: type = np.float32, copy=np.copy) -> list[np.ndarray]:
    """What a call returns and what it changes, on copies of its arguments in a precision."""

    def given(a: Any) -> Any:
        if isinstance(a, list):
            return list(map(given, a))
        return copy(a.astype(dtype) if a.dtype == np.float32 else a) if isinstance(a, np.ndarray) else a

    arguments = list(map(given, case.arguments))
    result = getattr(module, case.name)(*arguments)
    results = result if isinstance(result, tuple) else [] if result is None else [result]
    for argument in (arguments[i] for i in case.changed):
        results = [*results, *(argument if isinstance(argument, list) else [argument])]
    return [np.asarray(r) for r in results if r is not None]


def assert_close(actual: list[np.ndarray], expected: list[np.ndarray], tolerance: float) -> None:
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        scale = np.abs(e).max(initial=0)
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance * max(scale, 0.1))
