"""The denoiser: a transformer over tokens of time, ground, target, noise indicator and motion frames.

Source: tokens, sizes and order of `parc_motion.published`; with `preset: paper` the humanoid's network has
its 2,177,307 parameters. Only the motion frames' results are used, so the last layer computes no others.
"""

from __future__ import annotations

import math

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from parc_core.interfaces import Condition
from parc_mdm.config import MdmConfig
from parc_mdm.encoder_layer import EncoderLayer
from parc_mdm.features import NUM_HISTORY

__all__ = ["Denoiser"]

PATCH_HEIGHT = 3.0  # m over and under the root; heights beyond are cut


class Denoiser(nn.Module):
    """Predicts the clean sample x0 from a noised one."""

    time_table: Tensor  # [T, W], sinusoids of the diffusion steps
    place_table: Tensor  # [tokens, W], sinusoids of the places of tokens

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
        sizes = (width, config.heads, config.feed_forward)
        self.layers = nn.ModuleList([EncoderLayer(*sizes, config.dropout) for _ in range(config.layers)])
        self.dropout = nn.Dropout(config.dropout)
        self.dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
        self.num_heights = num_heights
        places = 1 + num_heights + 2 + num_frames
        self.register_buffer("time_table", _sinusoids(config.diffusion_timesteps, width), persistent=False)
        self.register_buffer("place_table", _sinusoids(places, width), persistent=False)

    def encode_heights(self, patch: Tensor) -> Tensor:
        """Tokens of height patches: ``[N, K, W]`` for heights over the reference root ``[N, 31, 31]`` m.

        They do not depend on the diffusion step: one call serves a whole generation.
        """
        scaled = patch.clamp(-PATCH_HEIGHT, PATCH_HEIGHT)[:, None] / self.height_scale
        x = self._channels_last(scaled)
        for part in self.height_cnn:
            x = self._convolve(x, part) if isinstance(part, nn.Conv2d) else part(x)
        # a linear layer on each square of features is one more convolution
        side = self.height_unfold
        weight = self.height_out.weight.unflatten(1, (x.shape[1], side, side))
        x = functional.conv2d(
            x, self._channels_last(weight), self.height_out.bias.to(self.dtype), stride=side
        )
        return x.flatten(2).transpose(1, 2)

    def _convolve(self, x: Tensor, part: nn.Conv2d) -> Tensor:
        bias = None if part.bias is None else part.bias.to(self.dtype)
        return functional.conv2d(x, self._channels_last(part.weight), bias, stride=part.stride)

    def _channels_last(self, x: Tensor) -> Tensor:
        """In the type and the order in memory that convolutions are fastest with."""
        return x.to(self.dtype, memory_format=torch.channels_last)

    def forward(self, xt: Tensor, t: Tensor, cond: Condition) -> Tensor:
        """Predicted clean samples ``[N, S, D]`` for noised ones ``[N, S, D]`` at steps t ``[N]``."""
        mask = self._key_mask(cond)
        x = self.dropout(self.tokens(xt, t, cond)).to(self.dtype)
        *inner, last = self.layers
        for layer in inner:
            x = layer(x, mask, x.shape[1])
        return self.motion_out(last(x, mask, self.num_frames).float())

    def prepare(self, cond: Condition) -> Condition:
        """The condition with everything computed that is the same in all diffusion steps of a window."""
        return attrs.evolve(cond, context=self.context_tokens(cond))

    def tokens(self, xt: Tensor, t: Tensor, cond: Condition) -> Tensor:
        """Tokens with their position encoding, those of hidden conditions zero before that: ``[N, tokens, W]``."""
        time = self.time(self.time_table[t])[:, None]
        context = self.context_tokens(cond) if cond.context is None else cond.context
        return torch.cat([time, context, self.motion_tokens(xt, cond)], dim=1) + self.place_table

    def context_tokens(self, cond: Condition) -> Tensor:
        """Tokens of ground, target and noise indicator: ``[N, K + 2, W]``."""
        parts = [
            (cond.height_tokens * cond.see_heights[:, None, None]).float(),
            (self.target(cond.target) * cond.see_target[:, None])[:, None],
            self.indicator(cond.history_clean.long())[:, None],
        ]
        return torch.cat(parts, dim=1)

    def motion_tokens(self, xt: Tensor, cond: Condition) -> Tensor:
        """Tokens of the frames, the first of them those of the history: ``[N, S, W]``."""
        clean = cond.history_clean[:, None, None]
        history = torch.where(clean, cond.history, xt[:, :NUM_HISTORY])
        motion = self.motion_in(torch.cat([history, xt[:, NUM_HISTORY:]], dim=1))
        seen = motion[:, :NUM_HISTORY] * cond.see_history[:, None, None]
        return torch.cat([seen, motion[:, NUM_HISTORY:]], dim=1)

    def _key_mask(self, cond: Condition) -> Tensor:
        """Whether a token may be attended to, ``[N, tokens]`` bool."""
        count = len(cond.target)
        one = torch.ones(count, 1, dtype=torch.bool, device=cond.target.device)
        return torch.cat(
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


def _mlp(size: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, hidden), nn.SiLU(), nn.Linear(hidden, out))


def _height_net(config: MdmConfig) -> tuple[nn.Sequential, nn.Linear, int]:
    """Convolutions, the layer that makes tokens of their result, and the number of tokens."""
    layers: list[nn.Module] = []
    channels = 1
    for out, kernel, stride in zip(config.height_channels, config.height_kernels, config.height_strides):
        layers += [nn.Conv2d(channels, out, kernel, stride), nn.LeakyReLU(inplace=True)]
        channels = out
    token = channels * config.height_unfold**2
    return nn.Sequential(*layers), nn.Linear(token, config.width), config.height_tokens_per_side**2


def _sinusoids(count: int, width: int) -> Tensor:
    """Sine and cosine of each place at wavelengths from 2 pi to 10000 * 2 pi, alternating: ``[count, width]``."""
    place = torch.arange(count)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=-1).flatten(-2)
