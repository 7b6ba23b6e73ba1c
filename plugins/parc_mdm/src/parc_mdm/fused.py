"""A transformer layer on a CPU: matrix products by the library, everything between them by compiled kernels.

The gradient is worked out by hand, so that each pass over memory is made once. `parc_mdm.encoder_layer.EncoderLayer`
has the same function in plain torch for other devices. Works in float32 and bfloat16: products take and give numbers of
that type, sums within a kernel are float32.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from parc_mdm.compiled import attention, attention_pairs, pointwise
from parc_mdm.compiled.heads import Places, up
from parc_mdm.compiled.jit import array, spread
from parc_mdm.compiled.lanes import COUNT

__all__ = ["Dropout", "Layer", "Seeds", "Shape", "linear", "pack", "run_layer"]


@attrs.frozen(kw_only=True)
class Shape:
    """What a layer needs to know beside its numbers."""

    heads: int
    rate: float  # of dropout, 0..1
    num_queries: int  # tokens at the end of the sequence that are wanted
    learns: bool  # keep what the gradient needs


@attrs.frozen
class Seeds:
    """Share of numbers that dropout drops, and the seeds of its random bits, from torch's generator of the CPU."""

    rate: float

    def take(self, count: int) -> tuple[int, ...]:
        """The next seeds."""
        return tuple(torch.randint(2**32, (count,)).tolist()) if self.rate else (0,) * count


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight.T + bias`` by oneDNN, which is faster here than the default library; by that where there is none."""
    if not _has_onednn(x.dtype):
        return functional.linear(x, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def pack(weight: Tensor, num_rows: int) -> Tensor:
    """A weight as oneDNN orders it for products with so many rows: for `linear` only, and without gradients."""
    if not _has_onednn(weight.dtype):
        return weight
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), num_rows)


@functools.cache
def _has_onednn(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    return dtype != torch.bfloat16 or torch.ops.mkldnn._is_mkldnn_bf16_supported()


class Dropout(torch.autograd.Function):
    """Dropout by counted random bits, which the gradient draws again instead of keeping them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float, seed: int) -> Tensor:
        """x with a share `rate` of its numbers dropped and the others enlarged."""
        ctx.rate, ctx.seed = rate, seed
        return _drop(x, rate, seed)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        """The gradient with the same numbers dropped."""
        return _drop(grad, ctx.rate, ctx.seed), None, None


class Layer(torch.autograd.Function):
    """``Layer.apply(x, visible, shape, seeds, *weights)`` with the parameters in the order of `EncoderLayer`.

    x is ``[N, K, W]``, visible ``[N, K]`` bool, the result ``[N, num_queries, W]``. Weights and biases of the four
    products have the type of x, those of the two normalisations are float32.
    """

    NUM_SEEDS = 4  # attention, its result, hidden numbers, their result

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, visible: Tensor, shape: Shape, seeds: tuple[int, ...], *weights: Tensor
    ) -> Tensor:
        """The last tokens after attention and feed-forward part."""
        result, kept = run_layer(x, visible, shape, seeds, weights)
        if shape.learns:
            ctx.save_for_backward(*kept, *weights)
            ctx.shape, ctx.seeds = shape, seeds
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Gradients of the tokens and of the weights."""
        flat, tail, queries, keys, shares, attended, normed1, slope1, *more = ctx.saved_tensors
        middle, raised, hidden, normed2, slope2, *weights = more
        qkv_w, _, out_w, _, up_w, _, down_w, _, gain1, _, gain2, _ = weights
        rate, seeds, width = ctx.shape.rate, ctx.seeds, flat.shape[-1]
        grad = grad.reshape(-1, width).contiguous()
        grad_middle, grad_down, sums2 = _add_norm_back(grad, None, gain2, normed2, slope2, rate, seeds[3])
        grad_raised, sum_raised = _gelu_back(raised, linear(grad_down, down_w.t(), None), rate, seeds[2])
        through = linear(grad_raised, up_w.t(), None)
        grad_tail, grad_out, sums1 = _add_norm_back(
            grad_middle, through, gain1, normed1, slope1, rate, seeds[1]
        )
        grad_queries, grad_keys, sum_qkv = _attend_back(
            queries, keys, shares, linear(grad_out, out_w.t(), None), ctx.shape, seeds[0]
        )
        if queries.data_ptr() == keys.data_ptr():
            grad_x = linear(grad_keys, qkv_w.t(), None).add_(grad_tail)
            grad_qkv_w = grad_keys.t() @ flat
        else:
            grad_x = linear(grad_keys, qkv_w[width:].t(), None)
            last = linear(grad_queries, qkv_w[:width].t(), None).add_(grad_tail)
            count, wanted = len(keys), ctx.shape.num_queries
            grad_x.view(count, -1, width)[:, -wanted:] += last.view(count, wanted, width)
            grad_qkv_w = torch.cat([grad_queries.t() @ tail, grad_keys.t() @ flat])
        kind = flat.dtype
        return (
            grad_x.view(*keys.shape[:2], width), None, None, None,
            grad_qkv_w, sum_qkv.to(kind),
            grad_out.t() @ attended, sums1[2].to(kind),
            grad_raised.t() @ middle, sum_raised.to(kind),
            grad_down.t() @ hidden, sums2[2].to(kind),
            sums1[0], sums1[1], sums2[0], sums2[1],
        )  # fmt: skip


def run_layer(
    x: Tensor,
    visible: Tensor,
    shape: Shape,
    seeds: tuple[int, ...],
    weights: Sequence[Any],
    qkv: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The result of `Layer`, and what its gradient needs.

    Args:
        weights: as those of `Layer`, of the products maybe by `pack`; the first of them may be two, for the queries and
            for keys and values.
        qkv: queries, keys and values of x, where they are known: ``[N, K, 3 W]``, for as many queries as tokens.
    """
    qkv_w, qkv_b, out_w, out_b, up_w, up_b, down_w, down_b, gain1, offset1, gain2, offset2 = weights
    width, wanted = x.shape[-1], shape.num_queries
    flat = tail = x.reshape(-1, width)
    if wanted == x.shape[1]:
        queries = keys = linear(flat, qkv_w, qkv_b).view(*x.shape[:2], -1) if qkv is None else qkv
    else:
        tail = x[:, -wanted:].reshape(-1, width)
        query_w, key_w = qkv_w if isinstance(qkv_w, tuple) else (qkv_w[:width], qkv_w[width:])
        queries = linear(tail, query_w, qkv_b[:width]).view(-1, wanted, width)
        keys = linear(flat, key_w, qkv_b[width:]).view(*x.shape[:2], -1)
    attended, shares = _attend(queries, keys, visible, shape, seeds[0])
    added = linear(attended, out_w, out_b)
    middle, normed1, slope1 = _add_norm(tail, added, gain1, offset1, shape, seeds[1])
    raised = linear(middle, up_w, up_b)
    hidden = torch.empty_like(raised)
    spread(pointwise.gelu, len(raised), 1, shape.rate, seeds[2], array(raised), array(hidden))
    added = linear(hidden, down_w, down_b)
    result, normed2, slope2 = _add_norm(middle, added, gain2, offset2, shape, seeds[3])
    kept = (flat, tail, queries, keys, shares, attended, normed1, slope1, middle, raised)
    return result.view(-1, wanted, width), (*kept, hidden, normed2, slope2)


def _drop(x: Tensor, rate: float, seed: int) -> Tensor:
    x = x.contiguous()
    flat = x.view(-1, x.shape[-1])
    out = torch.empty_like(flat)
    spread(pointwise.drop, len(flat), 1, rate, seed, array(flat), array(out))
    return out.view(x.shape)


def _places(queries: Tensor, keys: Tensor, width: int, shape: Shape, seed: int) -> Places:
    first = keys.shape[-1] - 2 * width  # 0 where the queries have their own array
    return Places(shape.heads, width, 0, first, first + width, shape.rate, seed)


def _kernels(x: Tensor) -> ModuleType:
    return attention_pairs if x.dtype == torch.bfloat16 else attention


def _attend(queries: Tensor, keys: Tensor, visible: Tensor, shape: Shape, seed: int) -> tuple[Tensor, Tensor]:
    count, wanted, total = len(queries), queries.shape[1], keys.shape[1]
    width = (keys.shape[-1] + (queries.shape[-1] if queries is not keys else 0)) // 3
    out = queries.new_empty(count * wanted, width)
    kept = (count, shape.heads, wanted, up(total, COUNT))
    shares = queries.new_empty(kept if shape.learns or shape.rate else (0, 0, 0, 0))
    places = _places(queries, keys, width, shape, seed)
    arrays = [array(t) for t in (queries, keys, visible, out.view(count, wanted, width), shares)]
    spread(_kernels(queries).attend, count, 1, places, *arrays)
    return out, shares


def _attend_back(
    queries: Tensor, keys: Tensor, shares: Tensor, grad: Tensor, shape: Shape, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of queries and keys as rows, one tensor for both where they lie in one array; and their sums."""
    count, wanted, width = len(queries), queries.shape[1], grad.shape[-1]
    grad_keys = torch.empty_like(keys)
    together = queries.data_ptr() == keys.data_ptr()
    grad_queries = grad_keys if together else torch.empty_like(queries)
    places = _places(queries, keys, width, shape, seed)
    sums = torch.empty(count, 3 * width)
    grad = grad.view(count, wanted, width)
    arrays = [array(t) for t in (queries, keys, shares, grad, grad_queries, grad_keys, sums)]
    spread(_kernels(queries).attend_back, count, 1, places, *arrays)
    return grad_queries.flatten(0, 1), grad_keys.flatten(0, 1), sums.sum(dim=0)


def _add_norm(
    x: Tensor, y: Tensor, gain: Tensor, offset: Tensor, shape: Shape, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    out, normed = torch.empty_like(x), torch.empty_like(x) if shape.learns else x[:0]
    slope = torch.empty(len(x), dtype=torch.float32)
    arrays = [array(t) for t in (x, y, gain, offset, out, normed, slope)]
    spread(pointwise.add_norm, len(x), 1, shape.rate, seed, *arrays)
    return out, normed, slope


def _add_norm_back(
    grad: Tensor, more: Tensor | None, gain: Tensor, normed: Tensor, slope: Tensor, rate: float, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    count, width = grad.shape
    grad_x, grad_y = torch.empty_like(grad), torch.empty_like(grad)
    sums = torch.empty(-(-count // pointwise.BLOCK), 3, width)
    more = grad[:0] if more is None else more
    arrays = [array(t) for t in (grad, more, gain, normed, slope, grad_x, grad_y, sums)]
    spread(pointwise.add_norm_back, count, pointwise.BLOCK, rate, seed, *arrays)
    return grad_x, grad_y, sums.sum(dim=0)


def _gelu_back(x: Tensor, grad: Tensor, rate: float, seed: int) -> tuple[Tensor, Tensor]:
    out, sums = torch.empty_like(x), torch.empty(-(-len(x) // pointwise.BLOCK), x.shape[-1])
    arrays = [array(t) for t in (x, grad, out, sums)]
    spread(pointwise.gelu_back, len(x), pointwise.BLOCK, rate, seed, *arrays)
    return out, sums.sum(dim=0)
