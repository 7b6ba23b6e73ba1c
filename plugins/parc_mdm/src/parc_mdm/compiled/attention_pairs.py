"""The attention of `parc_mdm.compiled.attention` for bfloat16: operands stay bfloat16, sums are float32.

Shares and slopes are rounded to bfloat16 before they are multiplied.
"""

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
from parc_mdm.compiled.rows import copy_row, exponentials, pair_rows
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
    """See there; numbers are bfloat16 in uint16."""
    num_queries, num_keys, size = queries.shape[1], keys.shape[1], places.width // places.heads
    rows, columns, depth = up(num_queries, ROWS), up(num_keys, COLUMNS), up(size, COLUMNS)
    pairs, half = (num_keys + 1) // 2, (size + 1) // 2
    heads = places.heads
    query, straight = np.zeros((heads, rows, depth), np.uint16), np.zeros((heads, columns, depth), np.uint16)
    query_pairs, straight_pairs = query.view(np.uint32), straight.view(np.uint32)
    key = np.zeros((depth // 2, columns), np.uint32)
    value, result = np.zeros((heads, pairs, depth), np.uint32), np.zeros((heads, rows, depth), np.float32)
    weight, narrow = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.uint16)
    narrow_pairs, total = narrow.view(np.uint32), np.zeros(rows, np.float32)
    bias, scale = np.empty(columns, np.float32), np.float32(1.0 / math.sqrt(size))
    for n in range(first, last):
        hide(visible, n, bias)
        read(query, queries, n, places.query, size)
        read(straight, keys, n, places.key, size)
        _read_pairs(value, keys, n, places.value, size)
        for h in range(heads):
            turn(straight_pairs[h], key)
            product(weight, query_pairs[h], depth // 2, 1, key, num_queries, half, num_keys)
            for i in range(num_queries):
                total[i] = np.float32(1.0) / exponentials(weight, i * columns, bias, scale, num_keys)
            if shares.shape[0]:
                deal_all(weight, total, shares, n, h, num_keys, places)
            for i in range(num_queries):
                copy_row(weight, i * columns, narrow, i * columns, num_keys)
            product(result[h], narrow_pairs, columns // 2, 1, value[h], num_queries, pairs, size)
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
    """The gradient of `attend`."""
    num_queries, num_keys, size = queries.shape[1], keys.shape[1], places.width // places.heads
    rows, columns, depth = up(num_queries, ROWS), up(num_keys, COLUMNS), up(size, COLUMNS)
    half, query_pairs, key_pairs = (size + 1) // 2, (num_queries + 1) // 2, (num_keys + 1) // 2
    # rows beyond the queries stay zero: the second number of the last pair, where their count is odd
    weight, slope = np.zeros((rows + 1, columns), np.float32), np.zeros((rows + 1, columns), np.float32)
    narrow = np.zeros((rows, columns), np.uint16)
    narrow_pairs = narrow.view(np.uint32)
    turned = np.zeros((query_pairs + 1, columns), np.uint32)
    heads, long = places.heads, up(num_keys, ROWS)
    query = np.zeros((heads, query_pairs, depth), np.uint32)
    key = np.zeros((heads, key_pairs, depth), np.uint32)
    straight, out = np.zeros((heads, columns, depth), np.uint16), np.zeros((heads, rows, depth), np.uint16)
    straight_pairs, out_words = straight.view(np.uint32), out.view(np.uint32)
    value = np.zeros((depth // 2, columns), np.uint32)
    out_pairs = np.zeros((heads, query_pairs, depth), np.uint32)
    to_query, to_key = np.zeros((heads, rows, depth), np.float32), np.zeros((heads, long, depth), np.float32)
    to_value = np.zeros((heads, long, depth), np.float32)
    for n in range(first, last):
        _read_pairs(query, queries, n, places.query, size)
        _read_pairs(key, keys, n, places.key, size)
        read(straight, keys, n, places.value, size)
        read(out, grad, n, 0, size)
        _read_pairs(out_pairs, grad, n, 0, size)
        for h in range(heads):
            turn(straight_pairs[h], value)
            product(slope, out_words[h], depth // 2, 1, value, num_queries, half, num_keys)
            _clear(slope, num_queries)
            deal_all_back(slope, weight, shares, n, h, num_keys, places)
            _pair(weight, turned, query_pairs, num_keys)
            product(to_value[h], turned, 1, columns, out_pairs[h], num_keys, query_pairs, size)
            for i in range(num_queries):
                copy_row(slope, i * columns, narrow, i * columns, num_keys)
            product(to_query[h], narrow_pairs, columns // 2, 1, key[h], num_queries, key_pairs, size)
            _pair(slope, turned, query_pairs, num_keys)
            product(to_key[h], turned, 1, columns, query[h], num_keys, query_pairs, size)
        write(to_query, grad_queries, n, places.query, size)
        write(to_key, grad_keys, n, places.key, size)
        write(to_value, grad_keys, n, places.value, size)
        for k, part in enumerate((to_query, to_key, to_value)):
            add_up(part, num_queries if k == 0 else num_keys, sums, n, k * places.width, size)


@kernel()
def _clear(slope: np.ndarray, num_queries: int) -> None:
    """Zero in the row after the last query, where a product has left something else."""
    if num_queries % 2:
        slope[num_queries, :] = np.float32(0.0)


@kernel()
def _pair(rows: np.ndarray, to: np.ndarray, count: int, num_keys: int) -> None:
    length = rows.shape[1]
    for p in range(count):
        pair_rows(rows, 2 * p * length, (2 * p + 1) * length, to, p * length, num_keys)


@kernel()
def _read_pairs(to: np.ndarray, source: np.ndarray, n: int, at: int, size: int) -> None:
    """Rows of all heads of a sample, two rows in one row of words."""
    count = source.shape[1]
    for p in range(count // 2):
        for h in range(to.shape[0]):
            start = at + h * size
            low, high = source[n, 2 * p, start : start + size], source[n, 2 * p + 1, start : start + size]
            row = to[h, p]
            for d in range(np.uint32(size)):
                row[d] = _word(low[d], high[d])
    if count % 2:
        for h in range(to.shape[0]):
            low = source[n, count - 1, at + h * size : at + (h + 1) * size]
            for d in range(np.uint32(size)):
                to[h, count // 2, d] = np.uint32(low[d])


@kernel(inline="always")
def _word(low: int, high: int) -> int:
    return np.uint32(np.uint32(low) | np.uint32(np.uint32(high) << np.uint32(16)))
