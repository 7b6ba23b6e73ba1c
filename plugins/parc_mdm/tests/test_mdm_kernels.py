"""Compiled products and rows against NumPy."""

import numpy as np
import pytest
import torch
from numba import njit

from parc_mdm.compiled import tile
from parc_mdm.compiled.jit import array, kernel
from parc_mdm.compiled.lanes import COUNT
from parc_mdm.compiled.rows import deal, exponentials, turn_block
from parc_mdm.compiled.scalars import is_kept


@kernel()
def turn(rows: np.ndarray, to: np.ndarray) -> None:
    turn_block(rows, 0, rows.shape[1], to, 0, to.shape[1])


@kernel()
def raise_row(row: np.ndarray, bias: np.ndarray, scale: float) -> float:
    return exponentials(row, 0, bias, scale, row.shape[1])


@kernel()
def drop_row(row: np.ndarray, kept: np.ndarray, first: int, seed: int, limit: int) -> None:
    start, bits, lowest = np.uint32(first), np.uint32(seed), np.uint32(limit)
    deal(row, 0, np.float32(0.5), kept, 0, start, bits, lowest, np.float32(4.0), row.shape[1])


@kernel()
def drawn(out: np.ndarray, first: int, seed: int, limit: int) -> None:
    for j in range(np.uint32(len(out))):
        out[j] = is_kept(np.uint32(np.uint32(first) + j), seed, np.uint32(limit))


@pytest.mark.parametrize("in_hardware", [True, False])
def test_product_of_pairs_is_that_of_the_numbers(in_hardware, monkeypatch):
    if in_hardware and not tile.HAS_PAIRS:
        pytest.skip("this CPU does not multiply bfloat16")
    monkeypatch.setattr(tile, "HAS_PAIRS", in_hardware)
    multiply = njit(tile.product.py_func)
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(12, 10, generator=generator).bfloat16()
    b = torch.randn(10, 64, generator=generator).bfloat16()
    pairs = b.unflatten(0, (5, 2)).transpose(1, 2).contiguous()  # numbers 2k and 2k + 1 of a column together
    out = np.zeros((12, 64), np.float32)
    multiply(out, array(a).view(np.uint32), 5, 1, array(pairs).view(np.uint32)[..., 0], 12, 5, 64)
    # products of two 8-bit numbers are exact in float32; sums of ten lose a few of its last places
    np.testing.assert_allclose(out, a.float().numpy() @ b.float().numpy(), atol=1e-5)


def test_turned_block_is_the_transpose():
    rows = np.arange(COUNT * 20, dtype=np.float32).reshape(COUNT, 20)
    to = np.zeros((COUNT, 24), np.float32)
    turn(rows, to)
    np.testing.assert_array_equal(to[:, :COUNT], rows[:, :COUNT].T)
    assert not to[:, COUNT:].any()


def test_exponentials_are_those_of_scaled_scores_less_the_largest():
    generator = np.random.default_rng(0)
    row = generator.normal(size=(1, 32)).astype(np.float32)
    bias = np.zeros(32, np.float32)
    bias[7:] = np.where(np.arange(7, 32) % 3, 0.0, -1e30)
    score = 3.0 * row[0].astype(np.float64) + bias
    total = raise_row(row, bias, np.float32(3.0))
    np.testing.assert_allclose(row[0], np.exp(score - score.max()), rtol=1e-6)
    assert total == pytest.approx(row.sum(), rel=1e-6)


def test_rows_drop_what_single_numbers_drop():
    row, kept, is_seen = np.ones((1, 32), np.float32), np.zeros((1, 32), np.float32), np.zeros(32, np.bool_)
    first, seed, limit = 2**32 - 9, 3_000_000_000, 2**31  # numbers pass the end of 32 bits
    drop_row(row, kept, first, seed, limit)
    drawn(is_seen, first, seed, limit)
    # 1 * 0.5, and four times that where it is kept
    np.testing.assert_array_equal(kept[0], np.full(32, 0.5, np.float32))
    np.testing.assert_array_equal(row[0], np.where(is_seen, 2.0, 0.0))
    assert 0 < is_seen.sum() < 32
