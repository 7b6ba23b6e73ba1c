"""Products of small matrices that fit into the nearest cache, several times as fast as a batched library call.

Source: the usual register-blocked micro-kernel (Goto and van de Geijn 2008) over 6 rows and 32 columns. LLVM turns its
16-lane operations into whatever the CPU has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from parc_mdm.compiled.jit import kernel

__all__ = ["COLUMNS", "ROWS", "product"]

ROWS, COLUMNS = 6, 32  # of the part of the result that stays in registers
_LANES = 16
_FLOAT, _INT = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, _LANES)


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
    """Write ``a @ b``; all arrays are float32 and two-dimensional.

    Args:
        out: rows and columns beyond the wanted ones are overwritten up to the next multiples of `ROWS` and `COLUMNS`,
            and a and b are read as far: all three must be large enough.
        a_row: distance from one row of a to the next in memory; with `a_inner` it says whether a is transposed.
        a_inner: distance between neighbours in a row of a.
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
    """One part of the result: the sum over `inner` of a column of a times a row of b."""
    whole = types.intp
    signature = types.void(out, whole, a, whole, whole, whole, b, whole, whole)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kinds = signature.args
        memory = [context.make_array(kinds[k])(context, builder, args[k]) for k in (0, 2, 6)]
        out_data, a_data, b_data = (builder.bitcast(m.data, _FLOAT.as_pointer()) for m in memory)
        out_row, b_row = (builder.extract_value(memory[k].shape, 1) for k in (0, 2))
        _, out_at, _, a_at, a_row, a_inner, _, b_at, inner = args
        sums = [[cgutils.alloca_once_value(builder, _constant(0.0)) for _ in range(2)] for _ in range(ROWS)]
        with cgutils.for_range(builder, inner) as loop:
            b_line = builder.add(b_at, builder.mul(loop.index, b_row))
            right = [_load(builder, b_data, b_line, c) for c in range(2)]
            a_line = builder.add(a_at, builder.mul(loop.index, a_inner))
            for row in range(ROWS):
                place = builder.add(a_line, builder.mul(a_row, _INT(row)))
                left = builder.load(builder.gep(a_data, [place], source_etype=_FLOAT), typ=_FLOAT, align=4)
                left = _repeat(builder, left)
                for c in range(2):
                    term = builder.fmul(left, right[c], flags=("contract",))
                    total = builder.fadd(builder.load(sums[row][c]), term, flags=("contract",))
                    builder.store(total, sums[row][c])
        for row in range(ROWS):
            line = builder.add(out_at, builder.mul(out_row, _INT(row)))
            for c in range(2):
                builder.store(builder.load(sums[row][c]), _vector_at(builder, out_data, line, c), align=4)
        return context.get_dummy_value()

    return signature, generate


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_VECTOR, [value] * _LANES)


def _vector_at(builder: ir.IRBuilder, data: Any, line: Any, column: int) -> Any:
    place = builder.add(line, _INT(column * _LANES))
    return builder.bitcast(builder.gep(data, [place], source_etype=_FLOAT), _VECTOR.as_pointer())


def _load(builder: ir.IRBuilder, data: Any, line: Any, column: int) -> Any:
    return builder.load(_vector_at(builder, data, line, column), typ=_VECTOR, align=4)


def _repeat(builder: ir.IRBuilder, value: Any) -> Any:
    """A vector with the value in every lane."""
    undefined, index = ir.Constant(_VECTOR, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(undefined, value, ir.Constant(index, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(index, _LANES), [0] * _LANES))
