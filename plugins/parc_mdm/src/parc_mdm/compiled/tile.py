"""Products of small matrices that fit into the nearest cache, several times as fast as a batched library call.

Operands are float32, or pairs of bfloat16 in uint32: of those it sums two products a step, so that neighbours along the
sum share a word of 32 bits; where the CPU cannot do that (`HAS_PAIRS`), it multiplies them as float32.

Source: the usual register-blocked micro-kernel (Goto and van de Geijn 2008) over 6 rows and 32 columns. LLVM turns its
16-lane operations into whatever the CPU has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from parc_mdm.compiled.jit import kernel
from parc_mdm.compiled.lanes import COUNT, FLOATS, Lanes, data_of

__all__ = ["COLUMNS", "HAS_PAIRS", "ROWS", "product"]

ROWS, COLUMNS = 6, 32  # of the part of the result that stays in registers
_FEATURES = get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
HAS_PAIRS = "+avx512bf16" in _FEATURES.split(",")  # whether the CPU multiplies pairs of bfloat16


@kernel()
def product(
    out: np.ndarray,
    a: np.ndarray,
    a_row: int,
    a_inner: int,
    b: np.ndarray,
    rows: int,
    inner: int,
    columns: int,
) -> None:
    """Write ``a @ b``; arrays are two-dimensional, out is float32.

    a and b are float32, or both uint32: a word holds the bfloat16 numbers 2k and 2k + 1 of a row of a, or of a column
    of b.

    Args:
        out: rows and columns beyond the wanted ones are overwritten up to the next multiples of `ROWS` and `COLUMNS`,
            and a and b are read as far: all three must be large enough.
        a_row: distance from one row of a to the next in memory; with `a_inner` it says whether a is transposed.
        a_inner: distance between neighbours in a row of a.
        inner: numbers, or words, that are summed.
    """
    for j in range(0, columns, COLUMNS):
        for i in range(0, rows, ROWS):
            _tile(out, i * out.shape[1] + j, a, i * a_row, a_row, a_inner, b, j, inner)


@intrinsic
def _tile(
    typing: Any,
    out: Any,
    out_at: Any,
    a: Any,
    a_at: Any,
    a_row: Any,
    a_inner: Any,
    b: Any,
    b_at: Any,
    inner: Any,
) -> Any:
    """One part of the result: the sum over `inner` of a column of a times a row of b, numbers or pairs."""
    whole = types.intp
    signature = types.void(out, whole, a, whole, whole, whole, b, whole, whole)
    multiply = _add_pairs if a.dtype == types.uint32 else _add_product

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        lanes, (out, out_at, a, a_at, a_row, a_inner, b, b_at, inner) = Lanes(builder), args
        out_row, b_row = (_row_length(context, builder, signature.args[k], args[k]) for k in (0, 6))
        (out, kind), (a, _), (b, _) = (
            data_of(context, builder, signature.args[k], args[k]) for k in (0, 2, 6)
        )
        sums = [
            [cgutils.alloca_once_value(builder, lanes.floats(0.0)) for _ in range(2)] for _ in range(ROWS)
        ]
        with cgutils.for_range(builder, inner) as loop:
            line = builder.add(b_at, builder.mul(loop.index, b_row))
            right = [lanes.load(b, kind, _further(builder, line, c)) for c in range(2)]
            start = builder.add(a_at, builder.mul(loop.index, a_inner))
            for row in range(ROWS):
                place = builder.add(start, builder.mul(a_row, a_row.type(row)))
                left = lanes.spread(
                    builder.load(builder.gep(a, [place], source_etype=kind), typ=kind, align=4)
                )
                for c in range(2):
                    builder.store(multiply(lanes, builder.load(sums[row][c]), left, right[c]), sums[row][c])
        for row in range(ROWS):
            line = builder.add(out_at, builder.mul(out_row, out_row.type(row)))
            for c in range(2):
                lanes.store(builder.load(sums[row][c]), out, kind, _further(builder, line, c))
        return context.get_dummy_value()

    return signature, generate


def _row_length(context: Any, builder: ir.IRBuilder, kind: Any, value: Any) -> Any:
    return builder.extract_value(context.make_array(kind)(context, builder, value).shape, 1)


def _further(builder: ir.IRBuilder, place: Any, count: int) -> Any:
    return builder.add(place, place.type(count * COUNT))


def _add_product(lanes: Lanes, total: Any, left: Any, right: Any) -> Any:
    return lanes.add(total, lanes.multiply(left, right))


def _add_pairs(lanes: Lanes, total: Any, left: Any, right: Any) -> Any:
    if not HAS_PAIRS:
        for half in (lanes.lower, lanes.upper):
            total = lanes.add(total, lanes.multiply(half(left), half(right)))
        return total
    words = lanes.words(0).type
    kind = ir.FunctionType(FLOATS, [FLOATS, words, words])
    function = cgutils.get_or_insert_function(lanes.builder.module, kind, "llvm.x86.avx512bf16.dpbf16ps.512")
    return lanes.builder.call(function, [total, *(lanes.builder.bitcast(x, words) for x in (left, right))])
