"""One layer of the transformer: on a CPU by `parc_mdm.fused`, elsewhere by torch's own operations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from parc_mdm.fused import Layer, Seeds, Shape, linear, pack, run_layer

__all__ = ["EncoderLayer"]


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward part, each with residual and normalisation after it (post-norm), GELU."""

    def __init__(self, width: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, feed_forward)
        self.down = nn.Linear(feed_forward, width)
        self.norm_attention = nn.LayerNorm(width)
        self.norm_feed_forward = nn.LayerNorm(width)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        x: Tensor,
        visible: Tensor,
        num_queries: int,
        seeds: Seeds,
        qkv: Tensor | None = None,
        packed: list[Any] | None = None,
    ) -> Tensor:
        """The last `num_queries` tokens ``[N, Q, W]``, having attended to the visible ones of all x ``[N, K, W]``.

        Args:
            qkv: what `project` gives for x, where it is known; only without gradients, and for all tokens.
            packed: what `pack` gives for so many queries and tokens; only without gradients.
        """
        if x.device.type != "cpu":
            return self.plain(x, visible, num_queries, seeds.rate)
        learns = torch.is_grad_enabled() and (x.requires_grad or self.qkv.weight.requires_grad)
        shape = Shape(heads=self.heads, rate=seeds.rate, num_queries=num_queries, learns=learns)
        numbers = seeds.take(Layer.NUM_SEEDS)
        if learns:
            return Layer.apply(x, visible, shape, numbers, *self._weights(x.dtype))
        return run_layer(x, visible, shape, numbers, packed or self._weights(x.dtype), qkv)[0]

    def _weights(self, dtype: torch.dtype) -> list[Tensor]:
        """The parameters in the order of `Layer`."""
        products = (self.qkv, self.out, self.up, self.down)
        weights = [p.to(dtype) for part in products for p in (part.weight, part.bias)]
        return weights + [
            p for part in (self.norm_attention, self.norm_feed_forward) for p in (part.weight, part.bias)
        ]

    def pack(self, dtype: torch.dtype, num_rows: int, num_queries: int, num_tokens: int) -> list[Any]:
        """The parameters for many calls of `forward` on the CPU without gradients, while none of them changes.

        Args:
            num_rows: tokens of all samples of a call.
            num_queries: of `num_tokens` of a sample.
        """
        qkv, *rest = [p.detach() for p in self._weights(dtype)]
        width, few = qkv.shape[1], num_rows * num_queries // num_tokens
        if num_queries == num_tokens:
            first: Any = pack(qkv, num_rows)
        else:
            first = pack(qkv[:width], few), pack(qkv[width:], num_rows)
        for place in (1, 3, 5):  # between the biases
            rest[place] = pack(rest[place], few)
        return [first, *rest]

    def project(self, x: Tensor) -> Tensor:
        """Queries, keys and values of tokens ``[..., W]``, without gradients: ``[..., 3 W]``."""
        flat = x.reshape(-1, x.shape[-1])
        weight, bias = self.qkv.weight.detach().to(x.dtype), self.qkv.bias.detach().to(x.dtype)
        return linear(flat, weight, bias).view(*x.shape[:-1], -1)

    def plain(self, x: Tensor, visible: Tensor, num_queries: int, rate: float) -> Tensor:
        """The same by torch's own operations: for other devices, and to hold `parc_mdm.fused` against."""
        width, tail = x.shape[-1], x[:, -num_queries:]
        weight, offset = self.qkv.weight.to(x.dtype), self.qkv.bias.to(x.dtype)
        q = functional.linear(tail, weight[:width], offset[:width])
        k, v = functional.linear(x, weight[width:], offset[width:]).chunk(2, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        attended = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=visible[:, None, None], dropout_p=rate
        )
        attended = _linear(self.out, attended.transpose(1, 2).flatten(-2))
        x = _norm(self.norm_attention, tail + functional.dropout(attended, rate))
        hidden = functional.dropout(functional.gelu(_linear(self.up, x)), rate)
        return _norm(self.norm_feed_forward, x + functional.dropout(_linear(self.down, hidden), rate))


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return functional.linear(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype))


def _norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    return layer(x.float()).to(x.dtype)
