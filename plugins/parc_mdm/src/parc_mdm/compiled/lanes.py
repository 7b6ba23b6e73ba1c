"""Sixteen numbers at a time: instructions for kernels whose rows are too short for the compiler to find out itself.

LLVM turns 16-lane operations into whatever the CPU has. Rows are read and written up to the next multiple of 16.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

__all__ = ["COUNT", "FLOATS", "Lanes", "data_of"]

COUNT = 16
_FLOAT, _WORD, _HALF, _PLACE = ir.FloatType(), ir.IntType(32), ir.IntType(16), ir.IntType(64)
FLOATS, _WORDS, _HALVES = (ir.VectorType(kind, COUNT) for kind in (_FLOAT, _WORD, _HALF))
_FUSED = ("contract",)  # products may be fused with sums


def data_of(context: Any, builder: ir.IRBuilder, kind: Any, value: Any) -> tuple[Any, Any]:
    """Memory of an array, and what lies in it: float32 or bfloat16; words are taken for the former."""
    number = _HALF if kind.dtype.bitwidth == 16 else _FLOAT
    made = context.make_array(kind)(context, builder, value)
    return builder.bitcast(made.data, number.as_pointer()), number


class Lanes:
    """Emits instructions on 16 float32 numbers, or on their bits."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.builder = builder

    def floats(self, number: float) -> ir.Constant:
        """One number in every lane."""
        return ir.Constant(FLOATS, [number] * COUNT)

    def words(self, number: int) -> ir.Constant:
        """One 32-bit word in every lane."""
        return ir.Constant(_WORDS, [number] * COUNT)

    def spread(self, value: Any) -> Any:
        """A computed number or word in every lane."""
        none = ir.Constant(ir.VectorType(value.type, COUNT), ir.Undefined)
        first = self.builder.insert_element(none, value, ir.Constant(_WORD, 0))
        return self.builder.shuffle_vector(first, none, self.words(0))

    def add(self, a: Any, b: Any) -> Any:
        """a + b."""
        return self.builder.fadd(a, b, flags=_FUSED)

    def subtract(self, a: Any, b: Any) -> Any:
        """a - b."""
        return self.builder.fsub(a, b, flags=_FUSED)

    def multiply(self, a: Any, b: Any) -> Any:
        """a * b."""
        return self.builder.fmul(a, b, flags=_FUSED)

    def larger(self, a: Any, b: Any) -> Any:
        """The larger of a and b."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def load(self, data: Any, kind: Any, place: Any) -> Any:
        """Numbers from a place on; bfloat16 lies in the upper half of a float32."""
        builder = self.builder
        if kind is _FLOAT:
            return builder.load(self._at(data, kind, place, FLOATS), typ=FLOATS, align=4)
        halves = builder.load(self._at(data, kind, place, _HALVES), typ=_HALVES, align=2)
        return builder.bitcast(builder.shl(builder.zext(halves, _WORDS), self.words(16)), FLOATS)

    def store(self, value: Any, data: Any, kind: Any, place: Any) -> None:
        """Numbers to a place; bfloat16 rounds to nearest, ties to even."""
        builder = self.builder
        if kind is _FLOAT:
            builder.store(value, self._at(data, kind, place, FLOATS), align=4)
            return
        halves = builder.trunc(builder.lshr(self.rounded(value), self.words(16)), _HALVES)
        builder.store(halves, self._at(data, kind, place, _HALVES), align=2)

    def store_words(self, words: Any, data: Any, place: Any) -> None:
        """Words to a place among words."""
        self.builder.store(words, self._at(data, _WORD, place, _WORDS), align=4)

    def number(self, first: Any, step: Any) -> Any:
        """`first` plus a place, as a 32-bit word."""
        return self.builder.add(first, self.builder.trunc(step, _WORD))

    def rounded(self, value: Any) -> Any:
        """Words whose upper halves are the bfloat16 nearest to the numbers."""
        builder = self.builder
        bits = builder.bitcast(value, _WORDS)
        odd = builder.and_(builder.lshr(bits, self.words(16)), self.words(1))
        return builder.add(builder.add(bits, self.words(0x7FFF)), odd)

    def pairs(self, low: Any, high: Any) -> Any:
        """Words of two bfloat16 numbers each."""
        builder = self.builder
        upper = builder.and_(self.rounded(high), self.words(0xFFFF0000))
        return builder.or_(upper, builder.lshr(self.rounded(low), self.words(16)))

    def lower(self, pairs: Any) -> Any:
        """The bfloat16 numbers in the lower halves of words."""
        words = self.builder.bitcast(pairs, _WORDS)
        return self.builder.bitcast(self.builder.shl(words, self.words(16)), FLOATS)

    def upper(self, pairs: Any) -> Any:
        """The bfloat16 numbers in the upper halves of words."""
        words = self.builder.bitcast(pairs, _WORDS)
        return self.builder.bitcast(self.builder.and_(words, self.words(0xFFFF0000)), FLOATS)

    def exp(self, x: Any) -> Any:
        """e^x for x <= 0, as `parc_mdm.compiled.scalars.exp`."""
        builder = self.builder
        low = self.floats(-87.0)
        y = self.larger(x, low)
        n = self._floor(self.add(self.multiply(y, self.floats(1.44269504)), self.floats(0.5)))
        f = self.add(y, self.multiply(n, self.floats(-0.693359375)))
        f = self.add(f, self.multiply(n, self.floats(2.12194440e-4)))
        p = self.floats(1.98756915e-4)
        for term in (1.39819995e-3, 8.33345191e-3, 4.16657959e-2, 1.66666654e-1, 5.00000012e-1):
            p = self.add(self.multiply(p, f), self.floats(term))
        value = self.add(self.add(self.multiply(self.multiply(p, f), f), f), self.floats(1.0))
        exponent = builder.add(builder.fptosi(n, _WORDS), self.words(127))
        power = builder.bitcast(builder.shl(exponent, self.words(23)), FLOATS)
        seen = builder.fcmp_ordered(">=", x, low)
        return builder.select(seen, self.multiply(value, power), self.floats(0.0))

    def transposed(self, rows: list[Any]) -> list[Any]:
        """The columns of 16 rows, by the perfect shuffle of upper and lower half four times over."""
        half = COUNT // 2
        orders = [
            ir.Constant(_WORDS, [k // 2 + COUNT * (k % 2) + start for k in range(COUNT)])
            for start in (0, half)
        ]
        for _ in range(4):
            pairs = zip(rows[:half], rows[half:])
            rows = [self.builder.shuffle_vector(a, b, order) for a, b in pairs for order in orders]
        return rows

    def is_kept(self, start: Any, seed: Any, limit: Any) -> Any:
        """Whether dropout keeps the numbers from `start` on, as `parc_mdm.compiled.scalars.is_kept`."""
        builder = self.builder
        numbers = builder.add(self.spread(start), ir.Constant(_WORDS, list(range(COUNT))))
        x = builder.xor(numbers, self.spread(seed))
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            x = builder.mul(builder.xor(x, builder.lshr(x, self.words(shift))), self.words(factor))
        x = builder.xor(x, builder.lshr(x, self.words(16)))
        return builder.icmp_unsigned(">=", x, self.spread(limit))

    def sum(self, value: Any) -> Any:
        """The sum of all lanes."""
        name, kind = "llvm.vector.reduce.fadd.v16f32", ir.FunctionType(_FLOAT, [_FLOAT, FLOATS])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [ir.Constant(_FLOAT, 0.0), value], fastmath=("reassoc",))

    def most(self, value: Any) -> Any:
        """The largest of all lanes."""
        name, kind = "llvm.vector.reduce.fmax.v16f32", ir.FunctionType(_FLOAT, [FLOATS])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [value], fastmath=("nnan",))

    def _floor(self, value: Any) -> Any:
        kind = ir.FunctionType(FLOATS, [FLOATS])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.floor.v16f32")
        return self.builder.call(function, [value])

    def _at(self, data: Any, kind: Any, place: Any, vector: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(data, [place], source_etype=kind), vector.as_pointer())
