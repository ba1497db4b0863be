"""Functions of vectors: comparisons, exponentials, and what activations are made of.

Their relative error is a few units in the last place: below 1e-6 unless the function says otherwise.
"""

from __future__ import annotations

import math

import numpy as np

from .compiler.jit import helper
from .compiler.simd import LANES, Value, choose, elementwise, largest, load, load_until, splat, store_until

SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


@elementwise
def fma(a, b, c):
    """a · b + c, rounded once."""
    return a.fma(b, c)


@elementwise
def maximum(a, b):
    """The larger of a and b; NaN if either is."""
    return choose((a > b) | a.unordered(a), a, b)


@elementwise
def larger(a, b):
    """The larger of a and b; any of the two if one is NaN, so one instruction."""
    return choose(a > b, a, b)


@elementwise
def maximum_of_four(a, b, c, d):
    """The largest of four; NaN if any is. One comparison finds a NaN in two of them."""
    top = choose(a > b, a, b)
    top = choose(top > c, top, c)
    return choose(a.unordered(b) | c.unordered(d), math.nan, choose(top > d, top, d))


@elementwise
def square_root(x):
    """√x."""
    return x.call("sqrt")


@elementwise
def where_equal(a, b, yes, no):
    """`yes` where a = b or both are NaN, `no` elsewhere."""
    return choose((a == b) | (a.unordered(a) & b.unordered(b)), yes, no)


@elementwise
def where_larger(a, b, yes, no):
    """`yes` where a > b or a is NaN, `no` elsewhere."""
    return choose((a > b) | a.unordered(a), yes, no)


@elementwise
def where_above(x, floor, yes):
    """`yes` where x is above the floor or NaN, 0 elsewhere; everywhere if the floor is -∞."""
    return choose((x <= floor) & (floor > -math.inf), 0.0, yes)


@elementwise
def where_positive(x, yes):
    """`yes` where x is above 0 or NaN, 0 elsewhere."""
    return choose(x <= 0.0, 0.0, yes)


@elementwise
def where_negative(x, yes, no):
    """`yes` where x < 0, `no` elsewhere (and where x is NaN)."""
    return choose(x < 0.0, yes, no)


@elementwise
def rectified(z, slope):
    """z where ≥ 0, elsewhere slope · z, 0 ≤ slope ≤ 1: slope 1 is the identity, and 0 is ReLU, of -inf too; NaN stays NaN."""
    return choose(z < 0.0, choose(slope > 0.0, z * slope, 0.0), z)


def polynomial(x: Value, coefficients) -> Value:
    """c₀ xⁿ + … + cₙ, by Horner's rule."""
    result = x.lift(coefficients[0])
    for c in coefficients[1:]:
        result = result.fma(x, c)
    return result


@elementwise
def exp(x):
    """eˣ = 2ⁿ eʳ with n = round(x / ln 2); eʳ by the polynomial of Cephes' expf (Moshier)."""
    n, p = _two_powers(choose(x < -104.0, -104.0, choose(x > 89.0, 89.0, x)))  # NaN stays NaN
    half = (n * 0.5).call("floor")  # in two steps, so that neither power leaves the range of float32
    return p * half.power_of_two() * (n - half).power_of_two()


@elementwise
def exp_of_negative(x):
    """eˣ for x up to 88, where one step is enough; 0 below -87."""
    n, p = _two_powers(choose(x < -87.0, -87.0, x))
    return choose(x < -87.0, 0.0, p * n.power_of_two())


def _two_powers(x: Value) -> tuple[Value, Value]:
    """The whole number n and eʳ of eˣ = 2ⁿ eʳ."""
    n = (x * 1.44269504088896341).call("rint")
    r = n.fma(-0.693359375, x)
    r = n.fma(2.12194440e-4, r)
    terms = (
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    )
    return n, polynomial(r, terms).fma(r * r, r + 1.0)


@elementwise
def sigmoid(x):
    """1 / (1 + e⁻ˣ)."""
    return 1.0 / (1.0 + exp.of(-x))


@elementwise
def tanh(x):
    """Near 0 a polynomial, further out 1 - 2 / (e²ˣ + 1) (Cephes' tanhf, Moshier)."""
    square = x * x
    terms = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
    near = polynomial(square, terms).fma(square * x, x)
    far = 1.0 - 2.0 / (exp.of(x + x) + 1.0)
    return choose(x.call("fabs") < 0.625, near, far)


@elementwise
def elu(x):
    """x, or eˣ - 1 where negative: 2 t / (1 - t) with t = tanh(x / 2), which is exact near 0 too."""
    t = tanh.of(x * 0.5)
    return choose(x < 0.0, (t + t) / (1.0 - t), x)


@elementwise
def silu(x):
    """x / (1 + e⁻ˣ)."""
    return x * sigmoid.of(x)


def _gauss(x: Value) -> Value:
    """The standard normal distribution function Φ(x) = erfc(-x / √2) / 2.

    erfc(z) = t exp(-z² + P(t)) with t = 1 / (1 + z / 2), relative error 1.2e-7 (Press et al., Numerical Recipes, 6.2); in float32 the
    error of exp's argument adds x² · 6e-8.
    """
    z = x.call("fabs") * 0.70710678118654752
    t = 1.0 / z.fma(0.5, 1.0)
    terms = (
        0.17087277,
        -0.82215223,
        1.48851587,
        -1.13520398,
        0.27886807,
        -0.18628806,
        0.09678418,
        0.37409196,
        1.00002368,
        -1.26551223,
    )
    tail = 0.5 * t * exp.of(z.fma(-z, polynomial(t, terms)))
    return choose(x < 0.0, tail, 1.0 - tail)


@elementwise
def gelu(x):
    """x Φ(x)."""
    return x * _gauss(x)


@elementwise
def gelu_slope(x):
    """Φ(x) + x φ(x), the derivative of gelu."""
    density = 0.3989422804014327 * exp.of(x * x * -0.5)
    return x.fma(density, _gauss(x))


@helper
def largest_of(x, first, stop):
    """The largest of x[first:stop], NaN if there is one."""
    top = x[first]
    whole = first + (stop - first) // LANES * LANES
    if whole > first:
        tops = load(x, first)
        for i in range(first + LANES, whole, LANES):
            tops = maximum(tops, load(x, i))
        top = largest(tops)
    for i in range(whole, stop):
        if not x[i] <= top:  # also where x[i] is NaN; where top is NaN it must stay
            top = x[i] if top == top else top
    return top


@elementwise
def flushed(x):
    """x, or 0 where it is smaller than any normal float32: processors take a hundred times as long for such numbers."""
    return choose((x < SMALLEST_NORMAL) & (x > -SMALLEST_NORMAL), 0.0, x)


@helper
def clear(x, first, stop):
    """x[first:stop] = 0."""
    for i in range(first, stop, LANES):
        store_until(x, i, stop, splat(np.float32(0)))


@helper
def copy(source, at, y, y_at, count):
    """y[y_at : y_at + count] = source[at : at + count]."""
    for j in range(0, count, LANES):
        store_until(y, y_at + j, y_at + count, load_until(source, at + j, at + count))


@helper
def scratch(size):
    """Memory of a task's own, from a cache line on (see memory.py)."""
    buffer = np.empty(size + LANES, np.float32)
    return buffer[-(buffer.ctypes.data // 4) % LANES :]
