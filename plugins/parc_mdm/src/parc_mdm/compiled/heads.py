"""The heads of attention: how they are read from the tokens of a sample, and what happens to their rows of shares."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from parc_mdm.compiled.jit import kernel
from parc_mdm.compiled.lanes import COUNT
from parc_mdm.compiled.rows import copy_row, deal, deal_back, scale_row, turn_block
from parc_mdm.compiled.scalars import drop_limit, narrow, wide

__all__ = ["Places", "add_up", "deal_all", "deal_all_back", "divide", "hide", "read", "turn", "up", "write"]


class Places(NamedTuple):
    """Where the heads lie in the arrays, and what is dropped."""

    heads: int
    width: int  # of all heads together
    query: int  # first column of the queries in their array
    key: int  # of the keys in the array of keys and values
    value: int
    rate: float  # share of the attention that is dropped, 0..1
    seed: int


@kernel(inline="always")
def up(count: int, unit: int) -> int:
    """The next multiple of a unit."""
    return (count + unit - 1) // unit * unit


@kernel()
def hide(visible: np.ndarray, n: int, bias: np.ndarray) -> None:
    """Write what is added to the scores of a sample's keys: 0, or -1e30 where they are hidden or there are none."""
    bias[:] = np.float32(-1e30)
    for j in range(visible.shape[1]):
        if visible[n, j]:
            bias[j] = np.float32(0.0)


@kernel()
def deal_all(
    weight: np.ndarray, total: np.ndarray, shares: np.ndarray, n: int, h: int, num_keys: int, places: Places
) -> None:
    """`deal` for all rows of a head: the share of each is its number in `total`."""
    limit, factor = drop_limit(places.rate), np.float32(1.0 / (1.0 - places.rate))
    heads, num_queries, length = shares.shape[1:]
    for i in range(num_queries):
        row = (n * heads + h) * num_queries + i
        number = np.uint32(row * num_keys)
        seed, at = np.uint32(places.seed), i * weight.shape[1]
        deal(weight, at, total[i], shares, row * length, number, seed, limit, factor, num_keys)


@kernel()
def deal_all_back(
    slope: np.ndarray, weight: np.ndarray, shares: np.ndarray, n: int, h: int, num_keys: int, places: Places
) -> None:
    """`deal_back` for all rows of a head."""
    limit, factor = drop_limit(places.rate), np.float32(1.0 / (1.0 - places.rate))
    scale = np.float32(1.0 / math.sqrt(places.width // places.heads))
    heads, num_queries, length = shares.shape[1:]
    for i in range(num_queries):
        row = (n * heads + h) * num_queries + i
        number = np.uint32(row * num_keys)
        seed, at = np.uint32(places.seed), i * weight.shape[1]
        deal_back(slope, weight, at, shares, row * length, scale, number, seed, limit, factor, num_keys)


@kernel()
def divide(result: np.ndarray, total: np.ndarray, rows: int, size: int) -> None:
    """Multiply rows by one over the sums of their shares."""
    for i in range(rows):
        scale_row(result, i * result.shape[1], total[i], size)


@kernel()
def write(source: np.ndarray, to: np.ndarray, n: int, at: int, size: int) -> None:
    """Copy the rows of all heads to columns `at` .. of a sample."""
    heads, rows, depth = source.shape
    for t in range(to.shape[1]):
        for h in range(heads):
            start = at + h * size
            if size % COUNT == 0:
                place = (n * to.shape[1] + t) * to.shape[2] + start
                copy_row(source, (h * rows + t) * depth, to, place, size)
            else:
                _move(source[h, t], to[n, t, start : start + size], size)


@kernel()
def add_up(source: np.ndarray, rows: int, sums: np.ndarray, n: int, at: int, size: int) -> None:
    """Write the sums of the rows of all heads to columns `at` .. of a sample."""
    for h in range(source.shape[0]):
        total = sums[n, at + h * size : at + (h + 1) * size]
        total[:] = np.float32(0.0)
        for t in range(rows):
            for d in range(size):
                total[d] += source[h, t, d]


@kernel()
def read(to: np.ndarray, source: np.ndarray, n: int, at: int, size: int) -> None:
    """Copy columns `at` .. of a sample to the rows of all heads: memory is read in its order, not head by head."""
    for t in range(source.shape[1]):
        for h in range(to.shape[0]):
            start = at + h * size
            if size % COUNT == 0:
                place = (n * source.shape[1] + t) * source.shape[2] + start
                copy_row(source, place, to, (h * to.shape[1] + t) * to.shape[2], size)
            else:
                _move(source[n, t, start : start + size], to[h, t], size)


@kernel()
def turn(rows: np.ndarray, to: np.ndarray) -> None:
    """Write the columns of 32-bit numbers; both sides are multiples of 16 in either array."""
    length, to_length = rows.shape[1], to.shape[1]
    for i in range(0, to_length, COUNT):
        for j in range(0, to.shape[0], COUNT):
            turn_block(rows, i * length + j, length, to, j * to_length + i, to_length)


@kernel()
def _move(source: np.ndarray, to: np.ndarray, size: int) -> None:
    """Copy numbers, eight at a time: all are read before any is written, so that the compiler moves them as one.

    Unsigned places cannot count from an array's end; that test would be made for every number.
    """
    whole = np.uint32(size // 8 * 8)
    for d in range(np.uint32(0), whole, np.uint32(8)):
        e, f, g, h = d + np.uint32(1), d + np.uint32(2), d + np.uint32(3), d + np.uint32(4)
        i, j, k = d + np.uint32(5), d + np.uint32(6), d + np.uint32(7)
        v0, v1, v2, v3 = wide(source[d]), wide(source[e]), wide(source[f]), wide(source[g])
        v4, v5, v6, v7 = wide(source[h]), wide(source[i]), wide(source[j]), wide(source[k])
        to[d], to[e], to[f], to[g] = (
            narrow(to[d], v0),
            narrow(to[d], v1),
            narrow(to[d], v2),
            narrow(to[d], v3),
        )
        to[h], to[i], to[j], to[k] = (
            narrow(to[d], v4),
            narrow(to[d], v5),
            narrow(to[d], v6),
            narrow(to[d], v7),
        )
    for d in range(whole, np.uint32(size)):
        to[d] = narrow(to[d], wide(source[d]))
