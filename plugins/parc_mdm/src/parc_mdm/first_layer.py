"""What the first layer computes from a condition alone, and the weights of all layers as products are fastest with:
kept from one diffusion step to the next.

Before tokens look at each other, only those of the time and of the noised frames depend on the step. And where a batch
holds the same samples with and without their history, its copies share the ground, the target and the noised frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from parc_mdm.features import NUM_HISTORY

if TYPE_CHECKING:
    from parc_mdm.transformer import Condition, Denoiser

__all__ = ["FirstLayer"]


class FirstLayer:
    """Tokens of one condition, their queries, keys and values in the first layer, and weights."""

    def __init__(self, copies: int = 1) -> None:
        """Nothing yet; the first call of `at` fills it.

        Args:
            copies: the batch is so many times the same samples, which differ in what is known of their history.
        """
        self.copies = copies
        self.num_moving = 0  # frames at a window's end that the noise changes
        self.tokens = self.qkv = torch.empty(0)
        self.weights: list[list[Any]] = []  # of the layers, by `Denoiser.pack`

    def at(self, denoiser: Denoiser, xt: Tensor, t: Tensor, cond: Condition) -> tuple[Tensor, Tensor]:
        """Tokens ``[N, tokens, W]`` and their queries, keys and values ``[N, tokens, 3 W]`` for noised samples.

        Both are written over by the next call.
        """
        if not self.num_moving:
            self._begin(denoiser, xt, t, cond)
        copies = self.copies if self.num_moving < xt.shape[1] else 1
        count, moving = len(xt) // copies, slice(-self.num_moving, None)
        if copies == 1:
            frames = denoiser.motion_tokens(xt, cond)[:, moving]
        else:
            frames = denoiser.motion_in(xt[:count, moving])
        rows = torch.cat([denoiser.time_tokens(t[:count]), frames], dim=1)
        places = denoiser.place_table
        rows = (rows + torch.cat([places[:1], places[moving]])).to(denoiser.dtype)
        for kept, new in ((self.tokens, rows), (self.qkv, denoiser.layers[0].project(rows))):
            kept = kept.view(copies, count, *kept.shape[1:])
            kept[:, :, :1], kept[:, :, moving] = new[:, :1], new[:, 1:]
        return self.tokens, self.qkv

    def _begin(self, denoiser: Denoiser, xt: Tensor, t: Tensor, cond: Condition) -> None:
        is_fixed = bool((cond.history_clean | ~cond.see_history).all())
        self.num_moving = xt.shape[1] - NUM_HISTORY * is_fixed
        self.weights = denoiser.pack(len(xt))
        self.tokens = denoiser.tokens(xt, t, cond).to(denoiser.dtype)
        num_tokens, width = self.tokens.shape[1:]
        self.qkv = self.tokens.new_empty(len(xt), num_tokens, 3 * width)
        count, project = len(xt) // self.copies, denoiser.layers[0].project
        shared = slice(1, 2 + denoiser.num_heights)  # ground and target
        own = slice(shared.stop, num_tokens - self.num_moving)
        self.qkv.view(self.copies, count, num_tokens, -1)[:, :, shared] = project(self.tokens[:count, shared])
        self.qkv[:, own] = project(self.tokens[:, own])
