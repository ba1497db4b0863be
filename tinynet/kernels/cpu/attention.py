"""Scaled dot-product attention on the register tile; the equation stands in the reference.

Blocking: a task is BLOCK queries of one head of a sequence; in the gradient the whole head, since the gradients of its keys are sums over
all queries. It copies the keys and values that its queries see next to each other, those of the past in front, and once more
transposed in panels: these few dozen kilobytes stay in L2, a panel in L1, while ROWS queries at a time pass. What a tile of queries
does not see is not computed, up to a panel. Weights are not kept for the gradient: computing them again costs less than the memory
that they would go through. Bound by the multipliers. A few queries alone, as when text is written, are products of a vector and a
matrix, bound by the memory that keys and values come from.
"""

from __future__ import annotations

import math

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .compiler.jit import helper, jit
from .compiler.simd import LANES, largest, load, load_until, splat, store, store_until, total, transpose
from .compiler.tile import ROWS, WIDTH, finish, outer, resume, row_offsets, start
from .contraction import ONE
from .dense import FEW_ROWS
from .flat import flat, row_tasks
from .functions import clear, copy, exp_of_negative, fma, larger, scratch
from .plans import kept
from .recurrent import Mask, flags, is_real
from .row import multiply_row

BLOCK = 96
"""Queries of a block, about: the blocks of a sequence are equal, but for a tile."""
MINUS_INFINITY = np.float32(-np.inf)


@helper
def _whole(count):
    """The next multiple of WIDTH."""
    return (count + WIDTH - 1) // WIDTH * WIDTH


@helper
def _seen(first, last, sizes):
    """The first key that any of these queries sees, counted from the first of the past on, and the end."""
    past, steps, causal, window = sizes[0], sizes[1], sizes[4], sizes[5]
    low = max(0, past + first - window + 1) if window else 0
    return low, past + (last if causal else steps)


@helper
def _columns(tile, last, low, sizes):
    """The columns, whole panels, of the scores of a tile of queries; that of key `low` is the first."""
    begin, stop = _seen(tile, min(tile + ROWS, last), sizes)
    return (begin - low) // WIDTH * WIDTH, _whole(stop - low)


@helper
def _gather(past, z, sequence, own, part, low, high, sizes, lines):
    """lines[j] = key (part 0) or value (part 1) low + j of a head, filled up with zeros to a multiple of WIDTH; so are the lines."""
    before, steps, width, d = sizes[0], sizes[1], sizes[2] * sizes[3], sizes[3]
    line = _whole(d)
    for j in range(low, high):
        at = (j - low) * line
        clear(lines, at + d // LANES * LANES, at + line)
        if j < before:
            copy(past, (sequence * before + j) * 2 * width + part * width + own, lines, at, d)
        else:
            copy(z, (sequence * steps + j - before) * 3 * width + (part + 1) * width + own, lines, at, d)
    clear(lines, (high - low) * line, _whole(high - low) * line)


@helper
def _transpose(lines, count, line, panels):
    """panels[p, i, j] = lines[p · WIDTH + j, i]."""
    for j in range(0, count, LANES):
        at = j // WIDTH * line * WIDTH + j % WIDTH
        for i in range(0, line, LANES):
            transpose(lines, j * line + i, line, panels, at + i * WIDTH, WIDTH)


@helper
def _multiply(a, a_rows, row, at, step, depth, w, w_at, w_line, y, y_rows, y_row, column, stop, fresh):
    """A tile of y = a · w, or y += a · w: the factors of a row of a are `step` apart, the lines of w `w_line`."""
    rows, outs = row_offsets(a_rows, row), row_offsets(y_rows, y_row)
    sums = start(y, rows, 0, 0) if fresh else resume(y, outs, column, stop)
    for _ in range(depth):
        sums = outer(sums, a, rows, at, w, w_at)
        at += step
        w_at += w_line
    finish(sums, y, outs, column, stop, ONE)


@helper
def _is_real(key, real, mask, sequence, before, steps):
    return (
        real[sequence * before + key] != 0 if key < before else is_real(mask, sequence * steps + key - before)
    )


@helper
def _some_unreal(low, high, real, mask, sequence, sizes):
    """Whether any of these keys is none that is seen."""
    before, steps = sizes[0], sizes[1]
    unreal = 0
    for key in range(low, high if mask.size else min(before, high)):
        unreal += not _is_real(key, real, mask, sequence, before, steps)
    return unreal > 0


@helper
def _hide(scores, at, query, low, begin, stop, unreal, real, mask, sequence, sizes):
    """-∞ in the columns begin … stop - 1 of a query that it does not see; at: where its column 0 lies."""
    first, last = _seen(query, query + 1, sizes)
    for j in range(at + begin, at + first - low, LANES):
        store_until(scores, j, at + first - low, splat(MINUS_INFINITY))
    for j in range(at + last - low, at + stop, LANES):
        store_until(scores, j, at + stop, splat(MINUS_INFINITY))
    for key in range(first, last if unreal else first):
        if not _is_real(key, real, mask, sequence, sizes[0], sizes[1]):
            scores[at + key - low] = MINUS_INFINITY


@helper
def _ramp(head, count, sizes):
    """What a head adds to the scores of its keys, per column, and from one column to the next."""
    slope = np.float32(2.0 ** (-8.0 * (head + 1) / sizes[2])) if sizes[7] else np.float32(0)
    ramp = scratch(count)
    for j in range(count):
        ramp[j] = slope * np.float32(j)
    return ramp, slope


@helper
def _softmax(scores, at, first, stop, scale, ramp, own):
    """Scores x = scale · score + ramp become e^(x - largest), in whole panels; returns 1 / Σ and the logarithm of Σ e^(x - own).

    `own`: the ramp at the query. Where nothing is seen: zeros, 0 and 0. A NaN need not show in the largest: it comes back in Σ.
    """
    one, factor = splat(MINUS_INFINITY), splat(scale)
    two = one
    for j in range(first, stop, WIDTH):
        x = fma(factor, load(scores, at + j), load(ramp, j))
        y = fma(factor, load(scores, at + j + LANES), load(ramp, j + LANES))
        store(scores, at + j, x)
        store(scores, at + j + LANES, y)
        one, two = larger(one, x), larger(two, y)
    top = largest(larger(one, two))
    top = np.float32(0) if top == MINUS_INFINITY else top
    sums, shift = splat(np.float32(0)), splat(top)
    for j in range(at + first, at + stop, LANES):
        power = exp_of_negative(load(scores, j) - shift)
        store(scores, j, power)
        sums += power
    weight = total(sums)
    if weight == 0:
        return np.float32(0), np.float32(0)
    return np.float32(1) / weight, np.float32(top - own + np.float32(math.log(weight)))


@helper
def _scale(y, at, count, factor):
    for j in range(at, at + count, LANES):
        store_until(y, j, at + count, load_until(y, j, at + count) * splat(factor))


@jit
def _attend(task, z, past, real, mask, y, log_sums, z_rows, y_rows, score_rows, sizes, longest, scale):
    steps, heads, d, size = sizes[1], sizes[2], sizes[3], sizes[6]
    blocks = (steps + size - 1) // size
    sequence, part = divmod(task, heads * blocks)
    head, block = divmod(part, blocks)
    first, last, width, line = block * size, min(steps, (block + 1) * size), heads * d, _whole(d)
    low, high = _seen(first, last, sizes)
    own, count = head * d, _whole(high - low)
    keys, values, panels = scratch(count * line), scratch(count * line), scratch(count * line)
    scores, factors = scratch(ROWS * longest), scratch(ROWS)
    _gather(past, z, sequence, own, 0, low, high, sizes, keys)
    _gather(past, z, sequence, own, 1, low, high, sizes, values)
    _transpose(keys, count, line, panels)
    ramp, slope = _ramp(head, count, sizes)
    queries, out = sequence * steps * 3 * width + own, sequence * steps * width + own
    unreal = _some_unreal(low, high, real, mask, sequence, sizes)
    for tile in range(first, last, ROWS):
        begin, stop = _columns(tile, last, low, sizes)
        for j in range(begin, stop, WIDTH):
            at = j * line
            _multiply(
                z, z_rows, tile, queries, 1, d, panels, at, WIDTH, scores, score_rows, tile, j, stop, True
            )
        for query in range(tile, min(tile + ROWS, last)):
            row = score_rows[query]
            _hide(scores, row, query, low, begin, stop, unreal, real, mask, sequence, sizes)
            at, place = (sequence * heads + head) * steps + query, sizes[0] + query - low
            factors[query - tile], log_sums[at] = _softmax(
                scores, row, begin, stop, scale, ramp, slope * np.float32(place)
            )
        for j in range(0, d, WIDTH):
            at, depth = begin * line + j, stop - begin
            _multiply(
                scores, score_rows, tile, begin, 1, depth, values, at, line, y, y_rows, tile, out + j, out + d, True
            )  # fmt: skip
        for query in range(tile, min(tile + ROWS, last)):
            _scale(y, out + query * width, d, factors[query - tile])


@helper
def _dot(a, at, b, first, count):
    sums = splat(np.float32(0))
    for j in range(0, count, LANES):
        sums = fma(load_until(a, at + j, at + count), load_until(b, first + j, first + count), sums)
    return total(sums)


@jit
def _attend_few(task, z, past, real, mask, y, log_sums, sizes, scale):
    """A task is one query of one head."""
    before, steps, heads, d = sizes[0], sizes[1], sizes[2], sizes[3]
    width = heads * d
    sequence, part = divmod(task, heads * steps)
    head, query = divmod(part, steps)
    low, high = _seen(query, query + 1, sizes)
    old, new = sequence * before * 2 * width + head * d, sequence * steps * 3 * width + head * d
    own, out = new + query * 3 * width, (sequence * steps + query) * width + head * d
    stop, middle = _whole(high - low), max(low, min(before, high))
    scores = scratch(stop)
    for j in range(low, middle):
        scores[j - low] = _dot(z, own, past, old + j * 2 * width, d)
    for j in range(middle, high):
        scores[j - low] = _dot(z, own, z, new + (j - before) * 3 * width + width, d)
    unreal = _some_unreal(low, high, real, mask, sequence, sizes)
    _hide(scores, 0, query, low, 0, stop, unreal, real, mask, sequence, sizes)
    ramp, slope = _ramp(head, stop, sizes)
    place = (sequence * heads + head) * steps + query
    factor, log_sums[place] = _softmax(
        scores, 0, 0, stop, scale, ramp, slope * np.float32(before + query - low)
    )
    clear(y, out, out + d)
    first, seen = old + low * 2 * width + width, middle - low
    multiply_row(scores, 0, seen, past, 2 * width, first, y, out, y, out, d)
    first = new + (middle - before) * 3 * width + 2 * width
    multiply_row(scores, seen, high - middle, z, 3 * width, first, y, out, y, out, d)
    _scale(y, out, d, factor)


@helper
def _weights(weights, slopes, at, first, stop, log_sum, scale, ramp):
    """Scores and dw become weights w = e^(x - log_sum) and slopes scale · w (dw - Σ w dw); a panel on both sides is zero."""
    sums, factor, shift = splat(np.float32(0)), splat(scale), splat(log_sum)
    for j in range(first, stop, LANES):
        weight = exp_of_negative(fma(factor, load(weights, at + j), load(ramp, j) - shift))
        store(weights, at + j, weight)
        sums = fma(weight, load(slopes, at + j), sums)
    mean = splat(total(sums))
    for j in range(at + first, at + stop, LANES):
        store(slopes, j, factor * load(weights, j) * (load(slopes, j) - mean))
    for x in (weights, slopes):
        clear(x, at + first - WIDTH, at + first)
        clear(x, at + stop, at + stop + WIDTH)


@helper
def _query_gradients(
    dy, z, real, mask, log_sums, dz, keys, panels, value_panels, weights, slopes, rows, sequence, head, first, last, low,
    sizes, scale,
):  # fmt: skip
    """The weights and slopes of a block of queries, and dq."""
    steps, heads, d = sizes[1], sizes[2], sizes[3]
    z_rows, y_rows, score_rows, _ = rows
    width, line = heads * d, _whole(d)
    queries, out = sequence * steps * 3 * width + head * d, sequence * steps * width + head * d
    unreal = _some_unreal(low, _seen(first, last, sizes)[1], real, mask, sequence, sizes)
    ramp, slope = _ramp(head, _whole(_seen(first, last, sizes)[1] - low), sizes)
    for tile in range(first, last, ROWS):
        begin, stop = _columns(tile, last, low, sizes)
        for j in range(begin, stop, WIDTH):
            at, column, end = j * line, WIDTH + j, WIDTH + stop
            _multiply(
                z, z_rows, tile, queries, 1, d, panels, at, WIDTH, weights, score_rows, tile, column, end, True
            )  # fmt: skip
            _multiply(
                dy, y_rows, tile, out, 1, d, value_panels, at, WIDTH, slopes, score_rows, tile, column, end, True
            )  # fmt: skip
        for query in range(tile, min(tile + ROWS, last)):
            row = score_rows[query] + WIDTH
            _hide(weights, row, query, low, begin, stop, unreal, real, mask, sequence, sizes)
            log_sum = log_sums[(sequence * heads + head) * steps + query]
            log_sum += slope * np.float32(sizes[0] + query - low)
            _weights(weights, slopes, row, begin, stop, log_sum, scale, ramp)
        for j in range(0, d, WIDTH):
            at, depth, column, end = begin * line + j, stop - begin, queries + j, queries + d
            _multiply(
                slopes, score_rows, tile, WIDTH + begin, 1, depth, keys, at, line, dz, z_rows, tile, column, end, True
            )  # fmt: skip


@helper
def _add_key_gradients(
    dz, weights, slopes, queries, gradients, rows, stride, sequence, head, first, last, low, sizes
):
    """dk += slopesᵀ q and dv += weightsᵀ dy of a block of queries, ROWS keys at a time."""
    before, steps, heads, d = sizes[0], sizes[1], sizes[2], sizes[3]
    z_rows, _, _, key_rows = rows
    width, line = heads * d, _whole(d)
    dk = sequence * steps * 3 * width + width + head * d
    for tile in range(0, steps, ROWS):
        column, begin = before + tile - low, first
        while begin < last and _columns(begin, last, low, sizes)[1] <= column:
            begin += ROWS
        stop = begin
        while stop < last and _columns(stop, last, low, sizes)[0] < column + ROWS:
            stop += ROWS
        depth, start_row = min(stop, last) - begin, begin - first
        at = start_row * stride + WIDTH + before - low
        for j in range(0, d if depth > 0 else 0, WIDTH):
            _multiply(
                slopes, key_rows, tile, at, stride, depth, queries, start_row * line + j, line,
                dz, z_rows, tile, dk + j, dk + d, False,
            )  # fmt: skip
            _multiply(
                weights, key_rows, tile, at, stride, depth, gradients, start_row * line + j, line,
                dz, z_rows, tile, dk + width + j, dk + width + d, False,
            )  # fmt: skip


@jit
def _attend_gradient(task, dy, z, past, real, mask, log_sums, dz, rows, sizes, longest, scale):
    steps, heads, d = sizes[1], sizes[2], sizes[3]
    sequence, head = divmod(task, heads)
    width, line, own = heads * d, _whole(d), head * d
    low, high = _seen(0, 1, sizes)[0], _seen(0, steps, sizes)[1]
    count, stride, size = _whole(high - low), longest + 2 * WIDTH, sizes[6]
    keys, values = scratch(count * line), scratch(count * line)
    panels, value_panels = scratch(count * line), scratch(count * line)
    weights, slopes = scratch(size * stride), scratch(size * stride)
    queries, gradients = scratch(size * line), scratch(size * line)
    _gather(past, z, sequence, own, 0, low, high, sizes, keys)
    _gather(past, z, sequence, own, 1, low, high, sizes, values)
    _transpose(keys, count, line, panels)
    _transpose(values, count, line, value_panels)
    for step in range(sequence * steps, (sequence + 1) * steps):
        for part in (1, 2):
            at = (step * 3 + part) * width + own
            clear(dz, at, at + d)
    for first in range(0, steps, size):
        last = min(steps, first + size)
        for query in range(first, last):
            step, at = sequence * steps + query, (query - first) * line
            clear(queries, at, at + line)
            clear(gradients, at, at + line)
            copy(z, step * 3 * width + own, queries, at, d)
            copy(dy, step * width + own, gradients, at, d)
        _query_gradients(
            dy, z, real, mask, log_sums, dz, keys, panels, value_panels, weights, slopes, rows, sequence, head,
            first, last, low, sizes, scale,
        )  # fmt: skip
        _add_key_gradients(
            dz, weights, slopes, queries, gradients, rows, stride, sequence, head, first, last, low, sizes
        )


@jit
def _move_on(task, z, past, real, mask, keys_values, are_real, before, steps, columns, rows):
    """A task is so many rows of the result."""
    for row in range(task * rows, min(are_real.size, (task + 1) * rows)):
        sequence, place = divmod(row, before)
        place += steps
        if place < before:
            copy(past, (sequence * before + place) * columns, keys_values, row * columns, columns)
            are_real[row] = real[sequence * before + place] != 0
        else:
            step = sequence * steps + place - before
            copy(z, step * columns * 3 // 2 + columns // 2, keys_values, row * columns, columns)
            are_real[row] = is_real(mask, step)


@as_defined
def attention(
    z: np.ndarray,
    past: np.ndarray,
    real: np.ndarray,
    mask: Mask,
    heads: int,
    causal: bool,
    window: int,
    alibi: bool,
) -> tuple[np.ndarray, np.ndarray]:
    (n, steps, columns), before = z.shape, past.shape[1]
    y, log_sums = memory.empty((n, steps, columns // 3)), memory.empty((n, heads, steps))
    if not y.size:
        return y, log_sums
    sizes, longest, scale, work = _plan(n, steps, columns // 3, before, heads, causal, window, alibi)
    given = flat(z), flat(past), flat(real), flags(mask)
    made = y.reshape(-1), log_sums.reshape(-1)
    if steps <= FEW_ROWS:
        _attend_few(n * heads * steps, work, *given, *made, sizes, scale)
    else:
        tables = _rows(steps, columns // 3, ROWS, longest)[:3]
        tasks = n * heads * -(-steps // sizes[6])
        _attend(tasks, work, *given, *made, *tables, sizes, longest, scale)
    return y, log_sums


@as_defined
def attention_gradient(
    dy: np.ndarray,
    z: np.ndarray,
    past: np.ndarray,
    real: np.ndarray,
    mask: Mask,
    sums: np.ndarray,
    heads: int,
    causal: bool,
    window: int,
    alibi: bool,
) -> np.ndarray:
    (n, steps, columns), before = z.shape, past.shape[1]
    dz = memory.empty(z.shape)
    if dz.size:
        sizes, longest, scale, work = _plan(n, steps, columns // 3, before, heads, causal, window, alibi)
        longest = _whole_number(before + steps)
        given = flat(dy), flat(z), flat(past), flat(real), flags(mask), flat(sums)
        rows = _rows(steps, columns // 3, sizes[6], longest + 2 * WIDTH)
        _attend_gradient(n * heads, 5 * work // 2, *given, dz.reshape(-1), rows, sizes, longest, scale)
    return dz


@as_defined
def attention_cache(
    z: np.ndarray, past: np.ndarray, real: np.ndarray, mask: Mask
) -> tuple[np.ndarray, np.ndarray]:
    keys_values, are_real = memory.empty(past.shape), memory.empty(real.shape)
    if keys_values.size:
        tasks, rows = row_tasks(real.size, past.shape[2])
        given = flat(z), flat(past), flat(real), flags(mask)
        made = keys_values.reshape(-1), are_real.reshape(-1)
        _move_on(tasks, past.size, *given, *made, past.shape[1], z.shape[1], past.shape[2], rows)
    return keys_values, are_real


def _plan(
    n: int, steps: int, width: int, before: int, heads: int, causal: bool, window: int, alibi: bool
) -> tuple[tuple[int, ...], int, np.float32, int]:
    """The sizes that all helpers take, the longest row of scores of a block, the factor of scores, and the work."""
    d, seen = width // heads, before + steps
    block = -(-steps // (ROWS * max(1, round(steps / BLOCK)))) * ROWS
    if window:
        seen = min(seen, window - 1 + block)
    sizes = before, steps, heads, d, int(causal), window, block, int(alibi)
    return sizes, _whole_number(seen), np.float32(1 / math.sqrt(d)), n * steps * seen * width // 8


def _whole_number(count: int) -> int:
    return -(-count // WIDTH) * WIDTH


@kept
def _rows(steps: int, width: int, block: int, stride: int) -> tuple[np.ndarray, ...]:
    """Where a step begins in z, in y and in the scores of its block, and its number; the last step is met again up to a whole tile."""
    step = np.minimum(np.arange(-(-steps // ROWS) * ROWS), steps - 1)
    return step * 3 * width, step * width, step % block * stride, step
