"""A tile of the scores of attention, and what its kernels (attention.py) do with one: dots, weights, slopes, weighted sums.

The rows are the steps that a block has, DOWN times those of a thread, and the columns the next COLUMNS of those that it walks; one are
queries, the other keys. A thread has rows × 4 scores in registers. What is multiplied lies in shared memory, DEPTH terms of each sum at
a time, and so do the weights, a column a line, until they have been multiplied too. Lines there are longer than the tile by PAD, so
that threads which write to several meet different banks. Steps are counted from the first of the past on.

What the functions are given together:

    place     the room for what is multiplied, and the weights, in shared memory; the scores, `left` and `right` of the thread
    source    z, past and dy; the sequence and the head of the block
    rows      of a thread, 1, 4 or 8, known to the compiler, as are the `numbers` that it has of each row of a result
"""

from __future__ import annotations

import numpy as np

from .compiler.driver import cuda
from .compiler.functions import exp, log, sqrt
from .compiler.kernel import device
from .compiler.primitives import divide, f4, here, least, load4, multiply_add, store4

DOWN, ACROSS = 8, 16
"""Threads of a block along the rows, which are neighbours, and along the columns."""
THREADS = DOWN * ACROSS
COLUMNS = 4 * ACROSS
"""Steps that are walked at a time."""
DEPTH = 16
"""Terms of a sum that lie in shared memory at a time."""
PAD = 4
"""Numbers by which a line in shared memory is longer than the tile."""
APART = 4 * DOWN
"""From the first four of a thread's eight rows to the last four."""
LOWEST = np.float32(-np.inf)
QUERY, KEY, VALUE, GRADIENT = range(4)
"""What a step has of a head: the three parts of z, and dy."""
T, PAST, HEADS, D, HAS_MASK, CAUSAL, WINDOW, ALIBI = range(8)
"""Where in `g` the sizes and the settings are."""


def shared(rows: int, numbers: int) -> tuple[int, int]:
    """Numbers in shared memory: the room for what is multiplied, and the weights."""
    pitch = DOWN * rows + PAD
    return DEPTH * max(pitch + COLUMNS + PAD, ACROSS * numbers), COLUMNS * pitch


@device
def corner(rows):
    """A thread's first row in the tile, and its first column."""
    across = divide(cuda.threadIdx.x, DOWN)
    return (cuda.threadIdx.x - across * DOWN) * least(rows, 4), across * 4


@device
def row_of(down, r):
    """The row of a thread's r'th."""
    return down + (r if r < 4 else APART + r - 4)


@device
def line_of(source, step, g):
    """Where the number of a query, one for each head, is in `sums`; that of another step where there is no such query."""
    return (source[3] * g[HEADS] + source[4]) * g[T] + least(step - g[PAST], g[T] - 1)


@device
def load(target, source, at, count, apart):
    """target[0 : count] = the numbers at a place, four at a time; of eight the last four lie `apart` from the first."""
    if count < 4:
        for q in range(count):
            target[q] = source[at + q]
    else:
        load4(target, 0, source, at)
        if count == 8:
            load4(target, 4, source, at + apart)


@device
def store(target, at, source, count, apart):
    """The other way."""
    if count < 4:
        for q in range(count):
            target[at + q] = source[q]
    else:
        store4(target, at, source, 0)
        if count == 8:
            store4(target, at + apart, source, 4)


@device
def _four(target, x, start, k, d):
    """The numbers k … k + 3 of a line of d that begins at `start`, 0 beyond."""
    if k + 4 <= d and d % 4 == 0:
        load4(target, 0, x, start + k)
    else:
        for q in range(4):
            target[q] = x[start + k + q] if k + q < d else f4(0)


@device
def _fetch(target, source, step, part, k, g):
    """Four numbers, from the k'th on, of one part of a step; 0 where there is no such step."""
    z, past, dy = source[:3]
    n, head = (
        here(source[3]),
        here(source[4]),
    )  # addresses are worked out anew: kept, they would take registers from the sums
    width, d = g[HEADS] * g[D], g[D] if step < g[PAST] + g[T] else 0
    line, own = n * g[T] + step - g[PAST], head * g[D]
    if part == GRADIENT:
        _four(target, dy, line * width + own, k, d)
    elif part == QUERY or step >= g[PAST]:
        _four(target, z, (line * 3 + part) * width + own, k, d)
    else:
        _four(target, past, ((n * g[PAST] + step) * 2 + part - KEY) * width + own, k, d)


@device
def _stage(room, at, pitch, steps, four, source, first, part, k, g):
    """DEPTH numbers, from the k'th on, of a part of so many steps into shared memory: a line has the same number of all steps."""
    for quad in range(cuda.threadIdx.x, steps * (DEPTH // 4), THREADS):
        step = divide(quad, DEPTH // 4)
        down = (quad - step * (DEPTH // 4)) * 4
        _fetch(four, source, first + step, part, k + down, g)
        for q in range(4):
            room[at + (down + q) * pitch + step] = four[q]


@device
def _multiply(acc, left, right, a, a_at, a_pitch, rows, b, b_at, b_pitch, columns, terms):
    """acc[r, c] += Σ_k a[k, r] b[k, c], of lines in shared memory."""
    for k in range(terms):
        load(left, a, a_at + k * a_pitch, rows, APART)
        load(right, b, b_at + k * b_pitch, columns, 4)
        multiply_add(acc, left, right, rows, columns)


@device
def dots(place, source, row, row_part, column, column_part, rows, g):
    """scores[r, c] = one part of the steps from `row` on · another of those from `column` on."""
    room, _, scores, left, right = place
    (down, across), pitch, column_pitch = corner(rows), DOWN * rows + PAD, COLUMNS + PAD
    begin = DEPTH * pitch
    for i in range(rows * 4):
        scores[i] = f4(0)
    for k in range(0, g[D], DEPTH):
        cuda.syncthreads()
        _stage(room, 0, pitch, DOWN * rows, right, source, row, row_part, k, g)
        _stage(room, begin, column_pitch, COLUMNS, right, source, column, column_part, k, g)
        cuda.syncthreads()
        terms = least(g[D] - k, DEPTH)
        _multiply(scores, left, right, room, down, pitch, rows, room, begin + across, column_pitch, 4, terms)


@device
def scales(head, g):
    """What dots are multiplied by, and what a step further back takes off a score."""
    slope = exp(f4(-8 * 0.6931472) * f4(head + 1) / f4(g[HEADS])) if g[ALIBI] else f4(0)
    return f4(1) / sqrt(f4(g[D])), slope


@device
def _is_seen(real, mask, n, query, key, g):
    """Whether a query sees a key."""
    back = query - key
    if (g[CAUSAL] and back < 0) or (g[WINDOW] and back >= g[WINDOW]):
        return False
    if key < g[PAST]:
        return real[n * g[PAST] + key] != f4(0)
    return not g[HAS_MASK] or mask[n * g[T] + key - g[PAST]] != 0


@device
def share(place, rows):
    """Scores into shared memory, a column a line; they stay in registers too."""
    _, weights, scores, left, _ = place
    down, across = corner(rows)
    for q in range(4):
        for r in range(rows):
            left[r] = scores[r * 4 + q]
        store(weights, (across + q) * (DOWN * rows + PAD) + down, left, rows, APART)
    cuda.syncthreads()


@device
def own_row(height):
    """The row in shared memory that a thread walks, which of its columns is the first, and how many there are to the next."""
    way = divide(cuda.threadIdx.x, height)
    return cuda.threadIdx.x - way * height, way, THREADS // height


@device
def _steps_there(step, column, end, g):
    """How many columns there are, before `end`, for the row of a step; none if that is none."""
    return least(end - column, COLUMNS) if step < g[PAST] + g[T] else 0


@device
def score(dot, flags, source, query, key, scale, g):
    """Of a dot; -∞ where the key is not seen."""
    if _is_seen(flags[0], flags[1], source[3], query, key, g):
        return dot * scale[0] - scale[1] * f4(query - key)
    return LOWEST


@device
def weigh(place, source, flags, sums, row, column, end, by_key, scale, rows, g):
    """Dots become weights, of steps that there are. by_key: rows are keys."""
    weights, pitch = place[1], DOWN * rows + PAD
    own, way, ways = own_row(DOWN * rows)
    share(place, rows)
    for c in range(way, _steps_there(row + own, column, end, g), ways):
        at = c * pitch + own
        query, key = row + own, column + c
        if by_key:
            query, key = key, query
        found = score(weights[at], flags, source, query, key, scale, g)
        weights[at] = exp(found - sums[line_of(source, query, g)])


@device
def slope(place, source, means, row, column, by_key, scale, rows, g):
    """Weights w become gradients of dots, w (dw - Σ w dw) / √d; dw are the scores."""
    _, weights, scores, left, _ = place
    down, across = corner(rows)
    for q in range(4):
        at = (across + q) * (DOWN * rows + PAD) + down
        load(left, weights, at, rows, APART)
        for r in range(rows):
            query = column + across + q if by_key else row + row_of(down, r)
            left[r] *= (scores[r * 4 + q] - means[line_of(source, query, g)]) * scale[0]
        store(weights, at, left, rows, APART)


@device
def _larger(a, b):
    """A NaN wins."""
    return b if not a >= b and a == a else a


@device
def softmax(place, source, flags, row, column, end, running, scale, rows, g):
    """Dots become weights e^(score - top). running: the row's top and a thread's part of its sum so far, and where they are shared."""
    weights, (top, total, tops, factors) = place[1], running
    height, pitch = DOWN * rows, DOWN * rows + PAD
    own, way, ways = own_row(height)
    before, there = top, _steps_there(row + own, column, end, g)
    share(place, rows)
    for c in range(way, there, ways):
        found = score(weights[c * pitch + own], flags, source, row + own, column + c, scale, g)
        weights[c * pitch + own] = found
        top = _larger(top, found)
    tops[cuda.threadIdx.x] = top
    cuda.syncthreads()
    for other in range(ways):
        top = _larger(top, tops[other * height + own])
    shift = f4(0) if top == LOWEST else top
    factors[own] = exp(before - shift)
    total *= exp(before - shift)
    for c in range(way, there, ways):
        weight = exp(weights[c * pitch + own] - shift)
        weights[c * pitch + own] = weight
        total += weight
    cuda.syncthreads()
    return top, total


@device
def row_sum(parts, height, row, ways):
    """The parts that so many threads have of a row, added in their order."""
    total = f4(0)
    for way in range(ways):
        total += parts[way * height + row]
    return total


@device
def sum_up(sums, top, total, parts, factors, source, row, number, height, g):
    """The sums of the weights of all rows, into shared memory, and log Σ e^score."""
    own, way, ways = own_row(height)
    parts[cuda.threadIdx.x] = total
    cuda.syncthreads()
    total = row_sum(parts, height, own, ways)
    if total == f4(0):
        top, total = f4(0), f4(1)
    if way == 0:
        factors[own] = total
        if number == 0 and row + own < g[PAST] + g[T]:
            sums[line_of(source, row + own, g)] = top + log(total)
    cuda.syncthreads()


@device
def add(acc, place, source, column, end, part, number, rows, numbers, g):
    """acc[r, c] += Σ over the tile's steps before `end` of their weights times their numbers of a part, from `number` on."""
    room, weights, _, left, right = place
    (down, across), width, quads = corner(rows), ACROSS * numbers, ACROSS * numbers // 4
    for first in range(0, least(end - column, COLUMNS), DEPTH):
        cuda.syncthreads()
        terms = least(end - column - first, DEPTH)
        for quad in range(cuda.threadIdx.x, terms * quads, THREADS):
            step = divide(quad, quads)
            beside = (quad - step * quads) * 4
            _fetch(right, source, column + first + step, part, number + beside, g)
            store4(room, step * width + beside, right, 0)
        cuda.syncthreads()
        pitch = DOWN * rows + PAD
        at, beside = first * pitch + down, divide(across, 4) * numbers
        _multiply(acc, left, right, weights, at, pitch, rows, room, beside, width, numbers, terms)


@device
def write(target, acc, source, row, number, parts, part, rows, numbers, g):
    """A thread's numbers, those of one of the parts that each step of the target has."""
    n, head, d = source[3], source[4], g[D]
    down, across = corner(rows)
    k = number + divide(across, 4) * numbers
    for r in range(rows):
        step = row + row_of(down, r) - g[PAST]
        line = (((n * g[T] + step) * parts + part) * g[HEADS] + head) * d
        for q in range(numbers):
            if numbers >= 4 and d % 4 == 0:
                if q % 4 == 0 and step < g[T] and k + q < d:
                    store4(target, line + k + q, acc, r * numbers + q)
            elif step < g[T] and k + q < d:
                target[line + k + q] = acc[r * numbers + q]


@device
def met_by_queries(first, height, g):
    """From which key on, and up to which, any of these queries sees some."""
    end = g[PAST] + g[T]
    low = first - g[WINDOW] + 1 if g[WINDOW] and first >= g[WINDOW] else 0
    return here(low), here(least(first + height, end) if g[CAUSAL] else end)


@device
def met_by_keys(first, height, g):
    """From which query on, and up to which, any sees some of these keys."""
    end = g[PAST] + g[T]
    low = first if g[CAUSAL] else g[PAST]
    return here(low), here(least(first + height - 1 + g[WINDOW], end) if g[WINDOW] else end)
