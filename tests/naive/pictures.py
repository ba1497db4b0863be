"""Convolution, pooling, warping and recolouring: one pixel at a time."""

from __future__ import annotations

import math

import numpy as np

from .rows import murmur, scalar_activation


def windows(size: int, window: int, stride: int, pads: tuple[int, int], dilation: int = 1) -> list[list[int]]:
    """For each output position along an axis, the input positions that it meets, None outside of the picture and where it is cropped."""
    low, high = min(pads[0], 0), min(pads[1], 0)
    first, last = -pads[0], size - 1 + pads[1]
    found = []
    start = first
    while start + (window - 1) * dilation <= last:
        places = [start + u * dilation for u in range(window)]
        found.append([p if 0 - low <= p < size + high else None for p in places])
        start += stride
    return found


def meetings(shape, window, strides, pads, dilation=(1, 1)):
    """(i, j, [(u, v, row, column), …]) for each output position; what lies outside is left out."""
    rows = windows(shape[1], window[0], strides[0], pads[0], dilation[0])
    columns = windows(shape[2], window[1], strides[1], pads[1], dilation[1])
    for i, some_rows in enumerate(rows):
        for j, some_columns in enumerate(columns):
            yield (
                i,
                j,
                [
                    (u, v, row, column)
                    for u, row in enumerate(some_rows)
                    for v, column in enumerate(some_columns)
                    if row is not None and column is not None
                ],
            )


def _output_shape(shape, window, strides, pads, dilation, channels):
    return (
        shape[0],
        len(windows(shape[1], window[0], strides[0], pads[0], dilation[0])),
        len(windows(shape[2], window[1], strides[1], pads[1], dilation[1])),
        channels,
    )


def conv2d(x, kernel, bias, strides, pads, dilation, activation="linear"):
    y = np.zeros(_output_shape(x.shape, kernel.shape[:2], strides, pads, dilation, kernel.shape[3]))
    for i, j, met in meetings(x.shape, kernel.shape[:2], strides, pads, dilation):
        for n in range(x.shape[0]):
            for o in range(kernel.shape[3]):
                total = 0.0 if bias is None else float(bias[o])
                for u, v, row, column in met:
                    for c in range(x.shape[3]):
                        total += float(x[n, row, column, c]) * float(kernel[u, v, c, o])
                y[n, i, j, o] = scalar_activation(total, activation)
    return y


def conv2d_input_gradient(dz, kernel, input_shape, strides, pads, dilation):
    dx = np.zeros(input_shape)
    for i, j, met in meetings(input_shape, kernel.shape[:2], strides, pads, dilation):
        for u, v, row, column in met:
            for n, c, o in np.ndindex(input_shape[0], *kernel.shape[2:]):
                dx[n, row, column, c] += float(dz[n, i, j, o]) * float(kernel[u, v, c, o])
    return dx


def conv2d_kernel_gradient(x, dz, kernel_shape, strides, pads, dilation):
    dkernel = np.zeros(kernel_shape)
    for i, j, met in meetings(x.shape, kernel_shape[:2], strides, pads, dilation):
        for u, v, row, column in met:
            for n, c, o in np.ndindex(x.shape[0], *kernel_shape[2:]):
                dkernel[u, v, c, o] += float(x[n, row, column, c]) * float(dz[n, i, j, o])
    return dkernel


def depthwise_conv2d(x, kernel, bias, strides, pads, dilation, activation="linear"):
    kh, kw, channels, m = kernel.shape
    y = np.zeros(_output_shape(x.shape, (kh, kw), strides, pads, dilation, channels * m))
    for i, j, met in meetings(x.shape, (kh, kw), strides, pads, dilation):
        for n, c, q in np.ndindex(x.shape[0], channels, m):
            total = 0.0 if bias is None else float(bias[c * m + q])
            for u, v, row, column in met:
                total += float(x[n, row, column, c]) * float(kernel[u, v, c, q])
            y[n, i, j, c * m + q] = scalar_activation(total, activation)
    return y


def depthwise_conv2d_input_gradient(dz, kernel, input_shape, strides, pads, dilation):
    dx = np.zeros(input_shape)
    for i, j, met in meetings(input_shape, kernel.shape[:2], strides, pads, dilation):
        for u, v, row, column in met:
            for n, c, q in np.ndindex(input_shape[0], *kernel.shape[2:]):
                dx[n, row, column, c] += float(dz[n, i, j, c * kernel.shape[3] + q]) * float(
                    kernel[u, v, c, q]
                )
    return dx


def depthwise_conv2d_kernel_gradient(x, dz, kernel_shape, strides, pads, dilation):
    dkernel = np.zeros(kernel_shape)
    for i, j, met in meetings(x.shape, kernel_shape[:2], strides, pads, dilation):
        for u, v, row, column in met:
            for n, c, q in np.ndindex(x.shape[0], *kernel_shape[2:]):
                dkernel[u, v, c, q] += float(x[n, row, column, c]) * float(
                    dz[n, i, j, c * kernel_shape[3] + q]
                )
    return dkernel


def max_pool2d(x, window, strides, pads):
    y = np.zeros(_output_shape(x.shape, window, strides, pads, (1, 1), x.shape[3]))
    for i, j, met in meetings(x.shape, window, strides, pads):
        for n, c in np.ndindex(x.shape[0], x.shape[3]):
            best = -math.inf
            for _, _, row, column in met:
                value = float(x[n, row, column, c])
                if value > best or math.isnan(value):
                    best = value
                if math.isnan(best):
                    break
            y[n, i, j, c] = best
    return y


def max_pool2d_gradient(dy, x, y, window, strides, pads):
    dx = np.zeros(x.shape)
    for i, j, met in meetings(x.shape, window, strides, pads):
        for n, c in np.ndindex(x.shape[0], x.shape[3]):
            for _, _, row, column in met:
                if x[n, row, column, c] == y[n, i, j, c]:
                    dx[n, row, column, c] += float(dy[n, i, j, c])
                    break
    return dx


def conv2d_max_pool2d(x, kernel, bias, convolution, activation, pooling):
    return max_pool2d(conv2d(x, kernel, bias, *convolution, activation), *pooling)


def conv2d_max_pool2d_with_argmax(x, kernel, bias, convolution, activation, pooling):
    z = conv2d(x, kernel, bias, *convolution)
    y = max_pool2d(z, *pooling)
    window, strides, pads = pooling
    argmax = np.zeros(y.shape, np.uint8)
    for i, j, met in meetings(z.shape, window, strides, pads):
        for n, c in np.ndindex(len(x), z.shape[3]):
            place = next((u, v) for u, v, row, column in met if z[n, row, column, c] == y[n, i, j, c])
            argmax[n, i, j, c] = place[0] * window[1] + place[1]
    return np.vectorize(lambda value: scalar_activation(float(value), activation))(y), argmax


def conv2d_max_pool2d_gradient(dy, y, argmax, x, kernel, convolution, activation, pooling, input_gradient):
    window, strides, pads = pooling
    slope = {
        "relu": lambda v: float(v > 0),
        "leaky_relu": lambda v: 0.2 if v < 0 else 1.0,
        "elu": lambda v: v + 1 if v < 0 else 1.0,
        "tanh": lambda v: 1 - v * v,
        "linear": lambda v: 1.0,
    }[activation]
    dy = dy * np.vectorize(slope)(y)
    dz = np.zeros(_output_shape(x.shape, kernel.shape[:2], *convolution, kernel.shape[3]))
    for i, j, met in meetings(dz.shape, window, strides, pads):
        for u, v, row, column in met:
            for n, c in np.ndindex(len(x), dz.shape[3]):
                if argmax[n, i, j, c] == u * window[1] + v:
                    dz[n, row, column, c] += dy[n, i, j, c]
    dx = conv2d_input_gradient(dz, kernel, x.shape, *convolution) if input_gradient else None
    return dx, conv2d_kernel_gradient(x, dz, kernel.shape, *convolution), sum(dz.reshape(-1, dz.shape[3]))


def avg_pool2d(x, window, strides, pads):
    y = np.zeros(_output_shape(x.shape, window, strides, pads, (1, 1), x.shape[3]))
    for i, j, met in meetings(x.shape, window, strides, pads):
        for n, c in np.ndindex(x.shape[0], x.shape[3]):
            y[n, i, j, c] = sum(float(x[n, row, column, c]) for _, _, row, column in met) / len(met)
    return y


def avg_pool2d_gradient(dy, input_shape, window, strides, pads):
    dx = np.zeros(input_shape)
    for i, j, met in meetings(input_shape, window, strides, pads):
        for _, _, row, column in met:
            for n, c in np.ndindex(input_shape[0], input_shape[3]):
                dx[n, row, column, c] += float(dy[n, i, j, c]) / len(met)
    return dx


def warp(images, matrices, grid=None):
    """Without a grid only."""
    n, h, w, channels = images.shape
    out = np.zeros(images.shape)
    for i, row, column in np.ndindex(n, h, w):
        place = (row - (h - 1) / 2, column - (w - 1) / 2, 1.0)
        y, x = (sum(float(m) * p for m, p in zip(line, place, strict=True)) for line in matrices[i])
        y, x = y + (h - 1) / 2, x + (w - 1) / 2
        for u in (math.floor(y), math.floor(y) + 1):
            for v in (math.floor(x), math.floor(x) + 1):
                if 0 <= u < h and 0 <= v < w:
                    share = (1 - abs(y - u)) * (1 - abs(x - v))
                    for c in range(channels):
                        out[i, row, column, c] += share * float(images[i, u, v, c])
    return out


def recolour(images, matrices):
    out = np.zeros(images.shape)
    for i, row, column, k in np.ndindex(images.shape):
        *factors, offset = map(float, matrices[i, k])
        colour = map(float, images[i, row, column])
        value = sum(f * v for f, v in zip(factors, colour, strict=True)) + offset
        out[i, row, column, k] = 0.0 if value < 0 else 1.0 if value > 1 else value
    return out


def erase(images, boxes, seed):
    out = np.array(images, float)
    for at, (i, row, column, _) in enumerate(np.ndindex(images.shape)):
        top, left, bottom, right = boxes[i].tolist()
        if row in range(top, bottom) and column in range(left, right):
            out.flat[at] = (murmur((at + murmur(seed)) % 2**32) >> 8) / 2**24
    return out
