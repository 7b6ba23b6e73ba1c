"""Observation normalizer: running mean and standard deviation of all samples."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from parc_core.interfaces import ObservationGroup, Parallel

__all__ = ["Normalizer"]

_MIN_STD = 1e-4


class Normalizer(nn.Module):
    """Maps observations to mean 0 and standard deviation 1, clipped; groups with ``normalize=False`` are unchanged.

    Statistics that `record` collects are used from the next `apply_recorded` on, so that all samples of one rollout
    are normalized alike. They are in double precision: after 1e8 samples a float would not change any more.
    """

    active: Tensor  # [O] bool, is normalized
    count: Tensor  # [] int64, samples
    total_mean: Tensor  # [O] float64, of all samples
    total_dev: Tensor  # [O] float64, sum of squared deviations from the mean
    mean: Tensor  # [O], in use
    std: Tensor  # [O], in use
    limit: Tensor  # [O], normalized observations are clipped to +- this

    def __init__(self, groups: Sequence[ObservationGroup], clip: float, max_samples: int) -> None:
        super().__init__()
        active = torch.cat([torch.full((group.size,), group.normalize) for group in groups])
        size = len(active)
        self.max_samples, self.clip = max_samples, clip
        self.register_buffer("active", active)
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("total_mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("total_dev", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))
        limit = torch.where(active, clip, torch.inf)
        self.register_buffer("limit", limit, persistent=False)

    @property
    def is_frozen(self) -> bool:
        """Whether it has recorded `max_samples`."""
        return int(self.count) >= self.max_samples

    def forward(self, obs: Tensor) -> Tensor:
        """Normalized observations, ``[..., O]``."""
        return self.write_into(torch.empty_like(obs), obs)

    @torch.no_grad()
    def write_into(self, out: Tensor, obs: Tensor) -> Tensor:
        """Normalized observations, written into `out`; returns it."""
        return torch.sub(obs, self.mean, out=out).div_(self.std).clamp_(-self.limit, self.limit)

    @torch.no_grad()
    def record(self, obs: Tensor, parallel: Parallel | None = None) -> None:
        """Add observations ``[..., O]`` to the statistics, unless frozen.

        Args:
            parallel: add those of all processes, which give equally many; None: of this one only.

        Source: Chan et al. 1979, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances".
        """
        if self.is_frozen:
            return
        rows = obs.reshape(-1, obs.shape[-1])
        mean = rows.mean(dim=0)
        var = (rows - mean).square_().mean(dim=0)  # torch.var_mean takes seven times as long
        size = 1 if parallel is None else parallel.size
        if parallel is not None and size > 1:
            mean, var = _of_all(mean.double(), var.double(), parallel)
        old, new = self.count.double(), float(len(rows) * size)
        total = old + new
        shift = mean.double() - self.total_mean
        self.total_dev += var.double() * new + shift.square() * (old * new / total)
        self.total_mean += shift * (new / total)
        self.count += len(rows) * size  # in place: it stays a buffer

    @torch.no_grad()
    def apply_recorded(self) -> None:
        """Normalize with the recorded statistics from now on."""
        if int(self.count) == 0:
            return
        std = (self.total_dev / self.count).sqrt().clamp_min(_MIN_STD)
        self.mean.copy_(torch.where(self.active, self.total_mean, 0.0))
        self.std.copy_(torch.where(self.active, std, 1.0))


def _of_all(mean: Tensor, var: Tensor, parallel: Parallel) -> tuple[Tensor, Tensor]:
    """Mean and variance of the rows of all processes, from those of equally many rows of each."""
    whole = mean.clone()
    parallel.sum_([whole])
    whole /= parallel.size
    spread = var + (mean - whole).square()
    parallel.sum_([spread])
    return whole, spread / parallel.size
