"""Attention with hidden keys and dropout on its shares, and its gradient; one head of one sample at a time."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from parc_mdm.compiled.jit import kernel
from parc_mdm.compiled.scalars import drop_limit, exp, is_kept, narrow, wide
from parc_mdm.compiled.tile import COLUMNS, ROWS, product

__all__ = ["Places", "attend", "attend_back"]


class Places(NamedTuple):
    """Where the heads lie in the arrays, and what is dropped."""

    heads: int
    width: int  # of all heads together
    query: int  # first column of the queries in their array
    key: int  # of the keys in the array of keys and values
    value: int
    rate: float  # share of the attention that is dropped, 0..1
    seed: int


@kernel()
def attend(
    first: int,
    last: int,
    places: Places,
    queries: np.ndarray,
    keys: np.ndarray,
    visible: np.ndarray,
    out: np.ndarray,
    shares: np.ndarray,
) -> None:
    """Attend for samples first .. last - 1.

    Args:
        queries: ``[N, Q, ...]``.
        keys: keys and values, ``[N, K, ...]``.
        visible: 1 where a key may be seen, else 0, ``[N, K]``.
        out: is written, ``[N, Q, width]``.
        shares: is written, ``[N, heads, Q, K]``, before dropout, for the gradient; ``[0, 0, 0, 0]`` where
            none is wanted.
    """
    num_queries, num_keys, size = queries.shape[1], keys.shape[1], places.width // places.heads
    rows, columns, depth = _up(num_queries, ROWS), _up(num_keys, COLUMNS), _up(size, COLUMNS)
    query, key = np.zeros((rows, depth), np.float32), np.zeros((size, columns), np.float32)
    value, weight = np.zeros((columns, depth), np.float32), np.zeros((rows, columns), np.float32)
    result, bias = np.zeros((rows, depth), np.float32), np.zeros(num_keys, np.float32)
    scale = np.float32(1.0 / math.sqrt(size))
    for n in range(first, last):
        for j in range(num_keys):
            bias[j] = np.float32(0.0) if visible[n, j] else np.float32(-1e30)
        for h in range(places.heads):
            _read(query, queries, n, places.query + h * size, size)
            _read_turned(key, keys, n, places.key + h * size, size)
            _read(value, keys, n, places.value + h * size, size)
            product(weight, query, depth, 1, key, num_queries, size, num_keys)
            base = (n * places.heads + h) * num_queries * num_keys
            for i in range(num_queries):
                row = weight[i]
                _softmax(row, bias, scale, num_keys)
                if shares.shape[0]:
                    kept = shares[n, h, i]
                    _move(row, kept, num_keys)
                if places.rate > 0.0:
                    _drop(row, base + i * num_keys, places.seed, places.rate, num_keys)
            product(result, weight, columns, 1, value, num_queries, num_keys, size)
            _write(result, out, n, h * size, size)


@kernel()
def attend_back(
    first: int,
    last: int,
    places: Places,
    queries: np.ndarray,
    keys: np.ndarray,
    shares: np.ndarray,
    grad: np.ndarray,
    grad_queries: np.ndarray,
    grad_keys: np.ndarray,
) -> None:
    """The gradient of `attend` for samples first .. last - 1.

    Args:
        grad: of `out`, ``[N, Q, width]``.
        grad_queries: is written, laid out as `queries`.
        grad_keys: is written, laid out as `keys`; the same array may serve for both.
    """
    num_queries, num_keys, size = queries.shape[1], keys.shape[1], places.width // places.heads
    rows, columns, depth = _up(num_queries, ROWS), _up(num_keys, COLUMNS), _up(size, COLUMNS)
    long = max(rows, _up(num_keys, ROWS))
    # one row more than is used: a turned operand is read up to the next multiple of ROWS
    weight, slope = np.zeros((rows + 1, columns), np.float32), np.zeros((rows + 1, columns), np.float32)
    query, key = np.zeros((rows, depth), np.float32), np.zeros((columns, depth), np.float32)
    value, out = np.zeros((size, columns), np.float32), np.zeros((rows, depth), np.float32)
    result = np.zeros((long, depth), np.float32)
    scale = np.float32(1.0 / math.sqrt(size))
    for n in range(first, last):
        for h in range(places.heads):
            q_at, k_at, v_at = places.query + h * size, places.key + h * size, places.value + h * size
            _read(query, queries, n, q_at, size)
            _read(key, keys, n, k_at, size)
            _read_turned(value, keys, n, v_at, size)
            _read(out, grad, n, h * size, size)
            product(slope, out, depth, 1, value, num_queries, size, num_keys)
            base = (n * places.heads + h) * num_queries * num_keys
            for i in range(num_queries):
                _move(shares[n, h, i], weight[i], num_keys)
                at = base + i * num_keys
                if places.rate > 0.0:
                    _drop(slope[i], at, places.seed, places.rate, num_keys)
                _softmax_back(slope[i], weight[i], scale, num_keys)
                if places.rate > 0.0:
                    _drop(weight[i], at, places.seed, places.rate, num_keys)
            product(result, weight, 1, columns, out, num_keys, num_queries, size)
            _write(result, grad_keys, n, v_at, size)
            product(result, slope, columns, 1, key, num_queries, num_keys, size)
            _write(result, grad_queries, n, q_at, size)
            product(result, slope, 1, columns, query, num_keys, num_queries, size)
            _write(result, grad_keys, n, k_at, size)


@kernel(inline="always")
def _up(count: int, unit: int) -> int:
    return (count + unit - 1) // unit * unit


@kernel()
def _read(to: np.ndarray, source: np.ndarray, n: int, at: int, size: int) -> None:
    for t in range(source.shape[1]):
        _move(source[n, t, at : at + size], to[t], size)


@kernel()
def _read_turned(to: np.ndarray, source: np.ndarray, n: int, at: int, size: int) -> None:
    for t in range(source.shape[1]):
        _move(source[n, t, at : at + size], to[:, t], size)


@kernel()
def _write(source: np.ndarray, to: np.ndarray, n: int, at: int, size: int) -> None:
    for t in range(to.shape[1]):
        _move(source[t], to[n, t, at : at + size], size)


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


@kernel()
def _softmax(row: np.ndarray, bias: np.ndarray, scale: float, count: int) -> None:
    most = np.float32(-3e38)
    for j in range(np.uint32(count)):
        v = row[j] * scale + bias[j]
        row[j] = v
        most = v if v > most else most
    total = np.float32(0.0)
    for j in range(np.uint32(count)):
        e = exp(row[j] - most)
        row[j] = e
        total += e
    share = np.float32(1.0) / total
    for j in range(np.uint32(count)):
        row[j] *= share


@kernel()
def _softmax_back(slope: np.ndarray, share: np.ndarray, scale: float, count: int) -> None:
    mean = np.float32(0.0)
    for j in range(np.uint32(count)):
        mean += slope[j] * share[j]
    for j in range(np.uint32(count)):
        slope[j] = (slope[j] - mean) * share[j] * scale


@kernel()
def _drop(row: np.ndarray, at: int, seed: int, rate: float, count: int) -> None:
    limit, factor, start = drop_limit(rate), np.float32(1.0 / (1.0 - rate)), np.uint32(at)
    for j in range(np.uint32(count)):
        if not is_kept(np.uint32(start + j), seed, limit):
            row[j] = np.float32(0.0)
        else:
            row[j] *= factor
