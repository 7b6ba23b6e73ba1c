"""Attention with hidden keys and dropout on its shares, and its gradient; one head of one sample at a time."""

from __future__ import annotations

import math

import numpy as np

from parc_mdm.compiled.heads import (
    Places,
    add_up,
    deal_all,
    deal_all_back,
    divide,
    hide,
    read,
    turn,
    up,
    write,
)
from parc_mdm.compiled.jit import kernel
from parc_mdm.compiled.rows import exponentials
from parc_mdm.compiled.tile import COLUMNS, ROWS, product

__all__ = ["attend", "attend_back"]


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
        shares: is written, ``[N, heads, Q, K]`` with K rounded up to a multiple of 16, before dropout, for the
            gradient; ``[0, 0, 0, 0]`` where there is neither gradient nor dropout.
    """
    num_queries, num_keys, size = queries.shape[1], keys.shape[1], places.width // places.heads
    rows, columns, depth = up(num_queries, ROWS), up(num_keys, COLUMNS), up(size, COLUMNS)
    query = np.zeros((places.heads, rows, depth), np.float32)
    straight = np.zeros((places.heads, columns, depth), np.float32)
    key = np.zeros((depth, columns), np.float32)
    value = np.zeros((places.heads, columns, depth), np.float32)
    result = np.zeros((places.heads, rows, depth), np.float32)
    weight, total = np.zeros((rows, columns), np.float32), np.zeros(rows, np.float32)
    bias, scale = np.empty(columns, np.float32), np.float32(1.0 / math.sqrt(size))
    for n in range(first, last):
        hide(visible, n, bias)
        read(query, queries, n, places.query, size)
        read(straight, keys, n, places.key, size)
        read(value, keys, n, places.value, size)
        for h in range(places.heads):
            turn(straight[h], key)
            product(weight, query[h], depth, 1, key, num_queries, size, num_keys)
            for i in range(num_queries):
                total[i] = np.float32(1.0) / exponentials(weight, i * columns, bias, scale, num_keys)
            if shares.shape[0]:
                deal_all(weight, total, shares, n, h, num_keys, places)
            product(result[h], weight, columns, 1, value[h], num_queries, num_keys, size)
            if not shares.shape[0]:
                divide(result[h], total, num_queries, size)
        write(result, out, n, 0, size)


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
    sums: np.ndarray,
) -> None:
    """The gradient of `attend` for samples first .. last - 1.

    Args:
        grad: of `out`, ``[N, Q, width]``.
        grad_queries: is written, laid out as `queries`.
        grad_keys: is written, laid out as `keys`; the same array may serve for both.
        sums: is written: the sums of both over the tokens of a sample, queries, keys, values: ``[N, 3 width]``.
    """
    num_queries, num_keys, size = queries.shape[1], keys.shape[1], places.width // places.heads
    rows, columns, depth = up(num_queries, ROWS), up(num_keys, COLUMNS), up(size, COLUMNS)
    long = up(num_keys, ROWS)
    # one row more than is used: a turned operand is read up to the next multiple of ROWS
    weight, slope = np.zeros((rows + 1, columns), np.float32), np.zeros((rows + 1, columns), np.float32)
    heads = places.heads
    query, out = np.zeros((heads, rows, depth), np.float32), np.zeros((heads, rows, depth), np.float32)
    key = np.zeros((heads, columns, depth), np.float32)
    straight = np.zeros((heads, columns, depth), np.float32)
    value = np.zeros((depth, columns), np.float32)
    to_query, to_key = np.zeros((heads, rows, depth), np.float32), np.zeros((heads, long, depth), np.float32)
    to_value = np.zeros((heads, long, depth), np.float32)
    for n in range(first, last):
        read(query, queries, n, places.query, size)
        read(key, keys, n, places.key, size)
        read(straight, keys, n, places.value, size)
        read(out, grad, n, 0, size)
        for h in range(heads):
            turn(straight[h], value)
            product(slope, out[h], depth, 1, value, num_queries, size, num_keys)
            deal_all_back(slope, weight, shares, n, h, num_keys, places)
            product(to_value[h], weight, 1, columns, out[h], num_keys, num_queries, size)
            product(to_query[h], slope, columns, 1, key[h], num_queries, num_keys, size)
            product(to_key[h], slope, 1, columns, query[h], num_keys, num_queries, size)
        write(to_query, grad_queries, n, places.query, size)
        write(to_key, grad_keys, n, places.key, size)
        write(to_value, grad_keys, n, places.value, size)
        for k, part in enumerate((to_query, to_key, to_value)):
            add_up(part, num_queries if k == 0 else num_keys, sums, n, k * places.width, size)
