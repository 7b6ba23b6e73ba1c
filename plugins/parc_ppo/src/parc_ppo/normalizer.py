"""Observation normaliser: running mean and standard deviation by sample count."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from parc_core.interfaces import ObservationGroup

__all__ = ["Normalizer"]

_MIN_STD = 1e-4


class Normalizer(nn.Module):
    """Maps observations to mean 0 and deviation 1, clipped; groups with ``normalize=False`` pass untouched.

    What `record` saw counts from the next `apply` on, so that all samples of one rollout are treated alike.
    Statistics are kept in double precision: after 1e8 samples a float cannot take up another one.
    """

    def __init__(self, groups: Sequence[ObservationGroup], clip: float, max_samples: int) -> None:
        super().__init__()
        active = torch.cat([torch.full((group.size,), group.normalize) for group in groups])
        size = len(active)
        self.max_samples, self.clip = max_samples, clip
        self.register_buffer("active", active)
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("total_mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("total_dev", torch.zeros(size, dtype=torch.float64))  # summed squared deviations
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))
        limit = torch.where(active, clip, torch.inf)
        self.register_buffer("limit", limit, persistent=False)

    @property
    def is_frozen(self) -> bool:
        """Whether it has seen as many samples as it may learn from."""
        return int(self.count) >= self.max_samples

    def forward(self, obs: Tensor) -> Tensor:
        """Normalised observations, ``[..., O]``."""
        return self.write_into(torch.empty_like(obs), obs)

    @torch.no_grad()
    def write_into(self, out: Tensor, obs: Tensor) -> Tensor:
        """Normalised observations, written into `out`; returns it."""
        return torch.sub(obs, self.mean, out=out).div_(self.std).clamp_(-self.limit, self.limit)

    @torch.no_grad()
    def record(self, obs: Tensor) -> None:
        """Take up observations ``[..., O]``; nothing happens once frozen."""
        if self.is_frozen:
            return
        rows = obs.reshape(-1, obs.shape[-1])
        mean = rows.mean(dim=0)
        var = (rows - mean).square_().mean(dim=0)  # torch.var_mean takes seven times as long
        old, new = self.count.double(), float(len(rows))
        total = old + new
        shift = mean.double() - self.total_mean
        self.total_dev += var.double() * new + shift.square() * (old * new / total)
        self.total_mean += shift * (new / total)
        self.count += len(rows)

    @torch.no_grad()
    def apply_recorded(self) -> None:
        """Use what was recorded so far from now on."""
        if int(self.count) == 0:
            return
        std = (self.total_dev / self.count).sqrt().clamp_min(_MIN_STD)
        self.mean.copy_(torch.where(self.active, self.total_mean, 0.0))
        self.std.copy_(torch.where(self.active, std, 1.0))
