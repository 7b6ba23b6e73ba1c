"""Dropout, sums and normalisation of tokens in one pass over memory each, with their gradients; float32 inside."""

from __future__ import annotations

import numpy as np

from parc_mdm.compiled.jit import kernel
from parc_mdm.compiled.scalars import drop_limit, is_kept, narrow, normal, wide

__all__ = ["BLOCK", "add_norm", "add_norm_back", "drop", "gelu", "gelu_back"]

BLOCK = 64  # tokens whose gradients of weights are summed into one row
_TINY = 1e-5  # added to the variance, as `torch.nn.LayerNorm` does


@kernel()
def drop(first: int, last: int, rate: float, seed: int, x: np.ndarray, out: np.ndarray) -> None:
    """Dropout of rows first .. last - 1 of x ``[M, W]``, also its gradient."""
    width = x.shape[1]
    limit, factor = drop_limit(rate), np.float32(1.0 / (1.0 - rate))
    for m in range(first, last):
        source, to, start = x[m], out[m], np.uint32(m * width)
        for j in range(np.uint32(width)):
            v = wide(source[j]) * factor
            to[j] = narrow(to[j], v if is_kept(np.uint32(start + j), seed, limit) else np.float32(0.0))


@kernel()
def add_norm(
    first: int,
    last: int,
    rate: float,
    seed: int,
    x: np.ndarray,
    y: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    out: np.ndarray,
    normed: np.ndarray,
    slope: np.ndarray,
) -> None:
    """``layer_norm(x + dropout(y))`` of rows ``[W]``.

    Args:
        gain: weight of the normalisation, ``[W]`` float32.
        offset: its bias.
        out: is written, ``[M, W]``.
        normed: is written, the result before gain and offset; ``[0, W]`` where it is not wanted.
        slope: is written, one over the standard deviation, ``[M]`` float32.
    """
    width = x.shape[1]
    limit, factor = drop_limit(rate), np.float32(1.0 / (1.0 - rate))
    total = np.empty(width, np.float32)
    for m in range(first, last):
        kept, added, start = x[m], y[m], np.uint32(m * width)
        if rate > 0.0:
            for j in range(np.uint32(width)):
                v = wide(added[j]) * factor
                v = v if is_kept(np.uint32(start + j), seed, limit) else np.float32(0.0)
                total[j] = wide(kept[j]) + v
        else:
            for j in range(width):
                total[j] = wide(kept[j]) + wide(added[j])
        mean = np.float32(0.0)
        for j in range(width):
            mean += total[j]
        mean /= np.float32(width)
        square = np.float32(0.0)
        for j in range(width):
            square += (total[j] - mean) * (total[j] - mean)
        scale = np.float32(1.0) / np.sqrt(square / np.float32(width) + np.float32(_TINY))
        slope[m] = scale
        result = out[m]
        for j in range(width):
            total[j] = (total[j] - mean) * scale
            result[j] = narrow(result[j], total[j] * gain[j] + offset[j])
        if normed.shape[0]:
            unit = normed[m]
            for j in range(width):
                unit[j] = narrow(unit[j], total[j])


@kernel()
def add_norm_back(
    first: int,
    last: int,
    rate: float,
    seed: int,
    grad: np.ndarray,
    more: np.ndarray,
    gain: np.ndarray,
    normed: np.ndarray,
    slope: np.ndarray,
    grad_x: np.ndarray,
    grad_y: np.ndarray,
    sums: np.ndarray,
) -> None:
    """The gradient of `add_norm`; `first` is a multiple of `BLOCK`.

    Args:
        grad: of `out`, ``[M, W]``.
        more: is added to it; ``[0, W]`` where there is nothing to add.
        grad_x: is written.
        grad_y: is written.
        sums: is written: gradients of gain and offset, and the sum of `grad_y`, over each block, ``[blocks, 3, W]``.
    """
    width = grad.shape[1]
    limit, factor = drop_limit(rate), np.float32(1.0 / (1.0 - rate))
    total = np.empty(width, np.float32)
    for m in range(first, last):
        weight, unit = sums[m // BLOCK], normed[m]
        if m % BLOCK == 0:
            weight[:] = np.float32(0.0)
        for_gain, for_offset, for_y = weight[0], weight[1], weight[2]
        mean, along = np.float32(0.0), np.float32(0.0)
        for j in range(width):
            total[j] = wide(grad[m, j])
        if more.shape[0]:
            for j in range(width):
                total[j] += wide(more[m, j])
        for j in range(width):
            u = wide(unit[j])
            for_gain[j] += total[j] * u
            for_offset[j] += total[j]
            total[j] *= gain[j]
            mean += total[j]
            along += total[j] * u
        mean, along, scale = mean / np.float32(width), along / np.float32(width), slope[m]
        to_x, to_y, start = grad_x[m], grad_y[m], np.uint32(m * width)
        for j in range(width):
            total[j] = scale * (total[j] - mean - wide(unit[j]) * along)
            to_x[j] = narrow(to_x[j], total[j])
        if rate > 0.0:
            for j in range(np.uint32(width)):
                kept = is_kept(np.uint32(start + j), seed, limit)
                total[j] = total[j] * factor if kept else np.float32(0.0)
        for j in range(width):
            to_y[j] = narrow(to_y[j], total[j])
            for_y[j] += total[j]


@kernel()
def gelu(first: int, last: int, rate: float, seed: int, x: np.ndarray, out: np.ndarray) -> None:
    """``dropout(gelu(x))`` of rows first .. last - 1 of x ``[M, W]``, with the exact normal distribution."""
    width = x.shape[1]
    limit, factor = drop_limit(rate), np.float32(1.0 / (1.0 - rate))
    for m in range(first, last):
        source, to, start = x[m], out[m], np.uint32(m * width)
        for j in range(np.uint32(width)):
            v = wide(source[j])
            _, below = normal(v)
            v *= below * factor
            to[j] = narrow(to[j], v if is_kept(np.uint32(start + j), seed, limit) else np.float32(0.0))


@kernel()
def gelu_back(
    first: int,
    last: int,
    rate: float,
    seed: int,
    x: np.ndarray,
    grad: np.ndarray,
    out: np.ndarray,
    sums: np.ndarray,
) -> None:
    """The gradient of `gelu`; its sums over blocks of tokens go to `sums` ``[blocks, W]``."""
    width = x.shape[1]
    limit, factor = drop_limit(rate), np.float32(1.0 / (1.0 - rate))
    total = np.empty(width, np.float32)
    for m in range(first, last):
        source, slope, to, start = x[m], grad[m], out[m], np.uint32(m * width)
        sum_ = sums[m // BLOCK]
        if m % BLOCK == 0:
            sum_[:] = np.float32(0.0)
        for j in range(np.uint32(width)):
            v = wide(source[j])
            density, below = normal(v)
            g = wide(slope[j]) * (below + v * density) * factor
            total[j] = g if is_kept(np.uint32(start + j), seed, limit) else np.float32(0.0)
        for j in range(width):
            sum_[j] += total[j]
            to[j] = narrow(to[j], total[j])
