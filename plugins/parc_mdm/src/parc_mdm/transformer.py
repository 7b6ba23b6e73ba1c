"""The denoiser: a transformer over tokens of time, ground, target, noise indicator and motion frames.

Source: tokens, sizes and order of the published PARC implementation; with `preset: paper` the humanoid's network has
its 2,177,307 parameters. Only the motion frames' results are used, so the last layer computes no others.
"""

from __future__ import annotations

import math

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from parc_mdm.config import MdmConfig
from parc_mdm.features import NUM_HISTORY

__all__ = ["Condition", "Denoiser"]

PATCH_HEIGHT = 3.0  # m over and under the root; heights beyond are cut


@attrs.frozen(kw_only=True, eq=False)
class Condition:
    """What a prediction depends on besides the noised sample. Flags are 1 where a condition may be seen."""

    height_tokens: Tensor  # [N, K, W], from `Denoiser.encode_heights`
    target: Tensor  # [N, 2] unit vector in the anchor's frame, or zero
    history: Tensor  # [N, 2, D] standardised features of the first frames
    history_clean: Tensor  # [N] bool: the noised first frames are replaced by the history
    see_history: Tensor  # [N] bool
    see_target: Tensor  # [N] bool
    see_heights: Tensor  # [N] bool

    def without_history(self) -> Condition:
        """The same, with nothing known of the first frames."""
        hidden = torch.zeros_like(self.history_clean)
        return attrs.evolve(self, history_clean=hidden, see_history=hidden)

    @staticmethod
    def cat(parts: list[Condition]) -> Condition:
        """The conditions of all parts, one after the other."""
        return Condition(
            **{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in attrs.fields(Condition)}
        )


class Denoiser(nn.Module):
    """Predicts the clean sample x0 from a noised one."""

    def __init__(self, config: MdmConfig, num_features: int, num_frames: int) -> None:
        super().__init__()
        width = config.width
        self.num_frames = num_frames
        self.time = _mlp(width, width, width)
        self.height_cnn, self.height_out, num_heights = _height_net(config)
        self.height_unfold, self.height_scale = config.height_unfold, config.height_scale
        self.target = _mlp(2, config.target_hidden, width)
        self.indicator = nn.Embedding(2, width)
        self.motion_in = _mlp(num_features, width, width)
        self.motion_out = _mlp(width, width, num_features)
        sizes = (width, config.heads, config.feed_forward, config.dropout)
        self.layers = nn.ModuleList([EncoderLayer(*sizes) for _ in range(config.layers)])
        self.dropout = nn.Dropout(config.dropout)
        self.num_heights = num_heights
        places = 1 + num_heights + 2 + num_frames
        self.register_buffer("time_table", _sinusoids(config.diffusion_timesteps, width), persistent=False)
        self.register_buffer("place_table", _sinusoids(places, width), persistent=False)

    def encode_heights(self, patch: Tensor) -> Tensor:
        """Tokens of height patches: ``[N, K, W]`` for heights over the reference root ``[N, 31, 31]`` m.

        They do not depend on the diffusion step: one call serves a whole generation.
        """
        scaled = patch.clamp(-PATCH_HEIGHT, PATCH_HEIGHT)[:, None] / self.height_scale
        features = self.height_cnn(scaled)
        tokens = functional.unfold(features, self.height_unfold, stride=self.height_unfold)
        return self.height_out(tokens.transpose(1, 2))

    def forward(self, xt: Tensor, t: Tensor, cond: Condition) -> Tensor:
        """Predicted clean samples ``[N, S, D]`` for noised ones ``[N, S, D]`` at steps t ``[N]``."""
        clean = cond.history_clean[:, None, None]
        first = torch.where(clean, cond.history, xt[:, :NUM_HISTORY])
        motion = self.motion_in(torch.cat([first, xt[:, NUM_HISTORY:]], dim=1))
        motion = torch.cat(
            [motion[:, :NUM_HISTORY] * cond.see_history[:, None, None], motion[:, NUM_HISTORY:]], dim=1
        )
        tokens = torch.cat(
            [
                self.time(self.time_table[t])[:, None],
                cond.height_tokens * cond.see_heights[:, None, None],
                (self.target(cond.target) * cond.see_target[:, None])[:, None],
                self.indicator(cond.history_clean.long())[:, None],
                motion,
            ],
            dim=1,
        )
        x = self.dropout(tokens + self.place_table)
        bias = self._key_bias(cond, x)
        for layer in self.layers[:-1]:
            x = layer(x, bias, x.shape[1])
        return self.motion_out(self.layers[-1](x, bias, self.num_frames))

    def _key_bias(self, cond: Condition, x: Tensor) -> Tensor:
        """0 where a token may be attended to, minus infinity where not: ``[N, 1, 1, tokens]``."""
        count = len(x)
        one = torch.ones(count, 1, dtype=torch.bool, device=x.device)
        visible = torch.cat(
            [
                one,
                cond.see_heights[:, None].expand(count, self.num_heights),
                cond.see_target[:, None],
                one,
                cond.see_history[:, None].expand(count, NUM_HISTORY),
                one.expand(count, self.num_frames - NUM_HISTORY),
            ],
            dim=1,
        )
        return torch.zeros_like(visible, dtype=x.dtype).masked_fill(~visible, -torch.inf)[:, None, None]


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward part, each with residual and normalisation after it (post-norm), GELU."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, feed_forward)
        self.down = nn.Linear(feed_forward, width)
        self.norm_attention = nn.LayerNorm(width)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, bias: Tensor, num_queries: int) -> Tensor:
        """The last `num_queries` tokens ``[N, Q, W]``, having attended to all of x ``[N, K, W]``."""
        width = x.shape[-1]
        if num_queries == x.shape[1]:
            q, k, v = self.qkv(x).chunk(3, dim=-1)
        else:
            weight, offset = self.qkv.weight, self.qkv.bias
            q = functional.linear(x[:, -num_queries:], weight[:width], offset[:width])
            k, v = functional.linear(x, weight[width:], offset[width:]).chunk(2, dim=-1)
            x = x[:, -num_queries:]
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        rate = self.rate if self.training else 0.0
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=rate)
        attended = self.out(attended.transpose(1, 2).flatten(-2))
        x = self.norm_attention(x + self.dropout(attended))
        hidden = self.dropout(functional.gelu(self.up(x)))
        return self.norm_feed_forward(x + self.dropout(self.down(hidden)))


def _mlp(size: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, hidden), nn.SiLU(), nn.Linear(hidden, out))


def _height_net(config: MdmConfig) -> tuple[nn.Module, nn.Module, int]:
    """Convolutions, the layer that makes tokens of their result, and the number of tokens."""
    layers: list[nn.Module] = []
    channels = 1
    for out, kernel, stride in zip(config.height_channels, config.height_kernels, config.height_strides):
        layers += [nn.Conv2d(channels, out, kernel, stride), nn.LeakyReLU()]
        channels = out
    token = channels * config.height_unfold**2
    return nn.Sequential(*layers), nn.Linear(token, config.width), config.height_tokens_per_side**2


def _sinusoids(count: int, width: int) -> Tensor:
    """Sine and cosine of each place at wavelengths from 2 pi to 10000 * 2 pi, alternating: ``[count, width]``."""
    place = torch.arange(count)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=-1).flatten(-2)
