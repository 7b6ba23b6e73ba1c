"""One layer of the transformer."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["EncoderLayer"]


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward network, each followed by a residual connection and layer norm (post-norm).

    As `torch.nn.TransformerEncoderLayer` with ``norm_first=False`` and GELU, but it computes only the wanted tokens,
    and products in the type of its input (bfloat16 with float32 parameters).
    """

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, feed_forward)
        self.down = nn.Linear(feed_forward, width)
        self.norm_attention = nn.LayerNorm(width)
        self.norm_feed_forward = nn.LayerNorm(width)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, key_mask: Tensor, num_queries: int) -> Tensor:
        """The last `num_queries` tokens ``[N, Q, W]``, which attend to the tokens of x ``[N, K, W]``.

        Args:
            key_mask: which tokens may be attended to, ``[N, K]`` bool.
        """
        width, tail = x.shape[-1], x[:, -num_queries:]
        weight, bias = self.qkv.weight.to(x.dtype), self.qkv.bias.to(x.dtype)
        if num_queries == x.shape[1]:
            q, k, v = functional.linear(x, weight, bias).chunk(3, dim=-1)
        else:
            q = functional.linear(tail, weight[:width], bias[:width])
            k, v = functional.linear(x, weight[width:], bias[width:]).chunk(2, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        attended = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=key_mask[:, None, None], dropout_p=self.dropout if self.training else 0.0
        )
        attended = _linear(self.out, attended.transpose(1, 2).flatten(-2))
        x = _norm(self.norm_attention, tail + self._drop(attended))
        hidden = self._drop(functional.gelu(_linear(self.up, x)))
        return _norm(self.norm_feed_forward, x + self._drop(_linear(self.down, hidden)))

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return functional.linear(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype))


def _norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    # mean and variance of bfloat16 numbers are summed in float32 by torch, too; gain and offset stay float32
    return layer(x.float()).to(x.dtype)
