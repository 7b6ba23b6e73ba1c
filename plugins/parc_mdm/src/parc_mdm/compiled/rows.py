"""Rows of attention scores, in few passes over memory; rows are read and written up to the next multiple of 16 numbers.

Places are flat: row * length of a row + column.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from parc_mdm.compiled.lanes import COUNT, Lanes, data_of

__all__ = ["copy_row", "deal", "deal_back", "exponentials", "pair_rows", "scale_row", "turn_block"]

_PLACE, _NUMBER, _WORD = types.intp, types.float32, types.uint32


@intrinsic
def exponentials(typing: Any, row: Any, at: Any, bias: Any, scale: Any, count: Any) -> Any:
    """Turn the scores of a row into ``exp(scale * score + bias - largest)``, float32; returns their sum."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        lanes, (row, at, bias, scale, count) = Lanes(builder), args
        row, kind = data_of(context, builder, signature.args[0], row)
        bias, _ = data_of(context, builder, signature.args[2], bias)
        scale = lanes.spread(scale)
        most = cgutils.alloca_once_value(builder, lanes.floats(-3e38))
        with _steps(builder, count) as j:
            place = builder.add(at, j)
            score = lanes.multiply(lanes.load(row, kind, place), scale)
            score = lanes.add(score, lanes.load(bias, kind, j))
            lanes.store(score, row, kind, place)
            builder.store(lanes.larger(score, builder.load(most)), most)
        largest = lanes.spread(lanes.most(builder.load(most)))
        total = cgutils.alloca_once_value(builder, lanes.floats(0.0))
        with _steps(builder, count) as j:
            place = builder.add(at, j)
            value = lanes.exp(lanes.subtract(lanes.load(row, kind, place), largest))
            lanes.store(value, row, kind, place)
            builder.store(lanes.add(builder.load(total), value), total)
        return lanes.sum(builder.load(total))

    return _NUMBER(row, _PLACE, bias, _NUMBER, _PLACE), generate


@intrinsic
def copy_row(typing: Any, row: Any, at: Any, to: Any, to_at: Any, count: Any) -> Any:
    """Copy a row; bfloat16 numbers are taken and given where an array is of uint16."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        lanes, (row, at, to, to_at, count) = Lanes(builder), args
        row, kind = data_of(context, builder, signature.args[0], row)
        to, to_kind = data_of(context, builder, signature.args[2], to)
        with _steps(builder, count) as j:
            lanes.store(lanes.load(row, kind, builder.add(at, j)), to, to_kind, builder.add(to_at, j))
        return context.get_dummy_value()

    return types.void(row, _PLACE, to, _PLACE, _PLACE), generate


@intrinsic
def scale_row(typing: Any, row: Any, at: Any, factor: Any, count: Any) -> Any:
    """Multiply a row."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        lanes, (row, at, factor, count) = Lanes(builder), args
        (row, kind), factor = data_of(context, builder, signature.args[0], row), lanes.spread(factor)
        with _steps(builder, count) as j:
            place = builder.add(at, j)
            lanes.store(lanes.multiply(lanes.load(row, kind, place), factor), row, kind, place)
        return context.get_dummy_value()

    return types.void(row, _PLACE, _NUMBER, _PLACE), generate


@intrinsic
def turn_block(typing: Any, rows: Any, at: Any, length: Any, to: Any, to_at: Any, to_length: Any) -> Any:
    """Transpose 16 x 16 numbers, or words, from rows of one length to rows of another."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        lanes, (rows, at, length, to, to_at, to_length) = Lanes(builder), args
        rows, kind = data_of(context, builder, signature.args[0], rows)
        to, _ = data_of(context, builder, signature.args[3], to)
        places = [builder.add(at, builder.mul(length, length.type(k))) for k in range(COUNT)]
        for k, value in enumerate(lanes.transposed([lanes.load(rows, kind, place) for place in places])):
            lanes.store(value, to, kind, builder.add(to_at, builder.mul(to_length, to_length.type(k))))
        return context.get_dummy_value()

    return types.void(rows, _PLACE, _PLACE, to, _PLACE, _PLACE), generate


@intrinsic
def pair_rows(typing: Any, rows: Any, low: Any, high: Any, to: Any, to_at: Any, count: Any) -> Any:
    """Words of bfloat16 numbers: a row in their lower halves, another row in their upper halves."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        lanes, (rows, low, high, to, to_at, count) = Lanes(builder), args
        rows, kind = data_of(context, builder, signature.args[0], rows)
        to, _ = data_of(context, builder, signature.args[3], to)
        with _steps(builder, count) as j:
            first = lanes.load(rows, kind, builder.add(low, j))
            second = lanes.load(rows, kind, builder.add(high, j))
            lanes.store_words(lanes.pairs(first, second), to, builder.add(to_at, j))
        return context.get_dummy_value()

    return types.void(rows, _PLACE, _PLACE, to, _PLACE, _PLACE), generate


@intrinsic
def deal(
    typing: Any,
    row: Any,
    at: Any,
    share: Any,
    kept: Any,
    kept_at: Any,
    first: Any,
    seed: Any,
    limit: Any,
    factor: Any,
    count: Any,
) -> Any:
    """Multiply a row by `share` and keep that; then drop some of it, the number of its first place being `first`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        lanes, (row, at, share, kept, kept_at, first, seed, limit, factor, count) = Lanes(builder), args
        row, kind = data_of(context, builder, signature.args[0], row)
        kept, kept_kind = data_of(context, builder, signature.args[3], kept)
        share, factor = lanes.spread(share), lanes.spread(factor)
        with _steps(builder, count) as j:
            place = builder.add(at, j)
            value = lanes.multiply(lanes.load(row, kind, place), share)
            lanes.store(value, kept, kept_kind, builder.add(kept_at, j))
            is_kept = lanes.is_kept(lanes.number(first, j), seed, limit)
            value = builder.select(is_kept, lanes.multiply(value, factor), lanes.floats(0.0))
            lanes.store(value, row, kind, place)
        return context.get_dummy_value()

    signature = types.void(row, _PLACE, _NUMBER, kept, _PLACE, _WORD, _WORD, _WORD, _NUMBER, _PLACE)
    return signature, generate


@intrinsic
def deal_back(
    typing: Any,
    slope: Any,
    weight: Any,
    at: Any,
    kept: Any,
    kept_at: Any,
    scale: Any,
    first: Any,
    seed: Any,
    limit: Any,
    factor: Any,
    count: Any,
) -> Any:
    """The gradient of `deal` after `exponentials`: `slope`, of the result, becomes that of the scores.

    `weight` is written: the result of `deal` once more.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        lanes = Lanes(builder)
        slope, weight, at, kept, kept_at, scale, first, seed, limit, factor, count = args
        slope, kind = data_of(context, builder, signature.args[0], slope)
        weight, _ = data_of(context, builder, signature.args[1], weight)
        kept, kept_kind = data_of(context, builder, signature.args[3], kept)
        scale, factor = lanes.spread(scale), lanes.spread(factor)
        along = cgutils.alloca_once_value(builder, lanes.floats(0.0))
        with _steps(builder, count) as j:
            place = builder.add(at, j)
            share = lanes.load(kept, kept_kind, builder.add(kept_at, j))
            is_kept = lanes.is_kept(lanes.number(first, j), seed, limit)
            raised = builder.select(is_kept, factor, lanes.floats(0.0))
            lanes.store(lanes.multiply(share, raised), weight, kind, place)
            value = lanes.multiply(lanes.load(slope, kind, place), raised)
            lanes.store(value, slope, kind, place)
            builder.store(lanes.add(builder.load(along), lanes.multiply(value, share)), along)
        mean = lanes.spread(lanes.sum(builder.load(along)))
        with _steps(builder, count) as j:
            place = builder.add(at, j)
            share = lanes.multiply(lanes.load(kept, kept_kind, builder.add(kept_at, j)), scale)
            value = lanes.subtract(lanes.load(slope, kind, place), mean)
            lanes.store(lanes.multiply(value, share), slope, kind, place)
        return context.get_dummy_value()

    signature = types.void(slope, weight, _PLACE, kept, _PLACE, _NUMBER, _WORD, _WORD, _WORD, _NUMBER, _PLACE)
    return signature, generate


@contextmanager
def _steps(builder: ir.IRBuilder, count: Any) -> Iterator[Any]:
    """Code for every sixteenth place up to `count`."""
    kind = count.type
    with cgutils.for_range_slice(builder, kind(0), count, kind(COUNT), kind) as (index, _):
        yield index
