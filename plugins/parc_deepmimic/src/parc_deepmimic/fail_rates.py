"""Which motions and start frames are sampled: moving averages of failures, as pure functions and a class.

Source: adaptive motion weighting as described for PARC (weights proportional to fail rates, smoothing 0.01, floor
0.01). The bins of start frames are ours, from measurements on a CPU.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_core.interfaces import Parallel
from parc_deepmimic.config import StartConfig
from parc_deepmimic.reference import MotionLibrary

__all__ = ["StartCurriculum", "decayed", "start_probabilities"]


def decayed(rate: Tensor, ids: Tensor, failed: Tensor, decay: float) -> Tensor:
    """Moving averages after some episodes: ``rate <- decay * rate + (1 - decay) * failed`` for each.

    Several episodes of one entry count together (the decay to the power of their number, and their mean), so that the
    result does not depend on their order.

    Args:
        rate: ``[K]``.
        ids: entry of each finished episode, ``[E]``.
        failed: 1 where it failed, ``[E]``.
    """
    return _decayed(rate, _counts(len(rate), ids, failed), decay)


def _counts(size: int, ids: Tensor, failed: Tensor) -> Tensor:
    """Number of episodes, and of those that failed, of each of `size` entries: ``[2, K]``."""
    both = torch.stack([torch.ones_like(failed), failed])
    return failed.new_zeros(2, size).index_add_(1, ids, both)


def _decayed(rate: Tensor, counts: Tensor, decay: float) -> Tensor:
    count, fails = counts
    kept = decay**count
    return kept * rate + (1.0 - kept) * fails / count.clamp_min(1.0)


def start_probabilities(motion_weight: Tensor, bin_weight: Tensor, bin_motion: Tensor) -> Tensor:
    """Probability of each bin: that of its motion, divided among its bins by their weights; sums to 1, ``[K]``.

    Args:
        motion_weight: ``[M]``, any scale.
        bin_weight: ``[K]``, any scale.
        bin_motion: motion of each bin, ``[K]``.
    """
    total = torch.zeros_like(motion_weight).index_add(0, bin_motion, bin_weight)
    probability = motion_weight[bin_motion] * bin_weight / total[bin_motion]
    return probability / probability.sum()


@attrs.frozen(kw_only=True, eq=False)
class _Since:
    """Rates when the processes last agreed, and the episodes of this process since then."""

    motion_rate: Tensor  # [M]
    bin_rate: Tensor  # [K]
    motions: Tensor  # [2, M] episodes, failures
    bins: Tensor  # [2, K]


class StartCurriculum:
    """Samples motions and start frames, and updates their fail rates when episodes end."""

    def __init__(self, library: MotionLibrary, weights: np.ndarray, config: StartConfig) -> None:
        self._config, self._names = config, library.names
        device = library.lengths.device
        self._weights = torch.as_tensor(np.array(weights, dtype=np.float32), device=device)
        self.motion_rate = torch.ones(library.num_motions, device=device)  # [M]
        spare = (config.min_remaining_s * library.fps).ceil().long().clamp_min(1)
        startable = (library.num_frames - spare).clamp_min(1)  # [M] frames that an episode may start from
        bins = (startable + config.bin_frames - 1) // config.bin_frames
        self._first_bin = torch.cumsum(bins, dim=0) - bins  # [M]
        self._num_bins = bins
        self._bin_motion = torch.repeat_interleave(torch.arange(len(bins), device=device), bins)  # [K]
        index = torch.arange(len(self._bin_motion), device=device) - self._first_bin[self._bin_motion]
        self._bin_start = index * config.bin_frames  # [K] frame
        left = startable[self._bin_motion] - self._bin_start
        self._bin_size = left.clamp(max=config.bin_frames)  # [K] frames
        self.bin_rate = torch.ones(len(index), device=device)  # [K]
        self._since: _Since | None = None  # where several processes train together

    def sample(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Motions, start frames and bins of `count` episodes, ``[count]`` int64 each."""
        config = self._config
        motion_weight = self._weights * self.motion_rate.clamp_min(config.fail_rate_floor)
        bin_weight = self._bin_size.to(motion_weight.dtype)
        if config.sampling == "failure":
            bin_weight = bin_weight * (config.bin_floor + self.bin_rate)
        probability = start_probabilities(motion_weight, bin_weight, self._bin_motion)
        bins = torch.multinomial(probability, count, replacement=True, generator=rng)
        motions = self._bin_motion[bins]
        place, forced = torch.rand(2, count, generator=rng, device=motion_weight.device)
        frame = self._bin_start[bins] + (place * self._bin_size[bins]).long().minimum(
            self._bin_size[bins] - 1
        )
        first = forced < (1.0 if config.sampling == "first" else config.first_frame_frac)
        bins = torch.where(first, self._first_bin[motions], bins)
        return motions, torch.where(first, 0, frame), bins

    def update(self, motion_ids: Tensor, bin_ids: Tensor, failed: Tensor) -> None:
        """Add finished episodes ``[E]``: their motions, the bins that they started in, whether they failed (bool)."""
        failed = failed.to(self.motion_rate.dtype)
        if self._since is not None:
            self._since.motions.add_(_counts(len(self.motion_rate), motion_ids, failed))
            self._since.bins.add_(_counts(len(self.bin_rate), bin_ids, failed))
        self.motion_rate = decayed(self.motion_rate, motion_ids, failed, self._config.fail_rate_decay)
        self.bin_rate = decayed(self.bin_rate, bin_ids, failed, self._config.bin_decay)

    def synchronize(self, parallel: Parallel) -> None:
        """Rates after the episodes of all processes since the last call; see `TrackerEnv.synchronize`."""
        if parallel.size == 1:
            return
        since, config = self._since, self._config
        if since is not None:
            parallel.sum_([since.motions, since.bins])
            self.motion_rate = _decayed(since.motion_rate, since.motions, config.fail_rate_decay)
            self.bin_rate = _decayed(since.bin_rate, since.bins, config.bin_decay)
        self._since = _Since(
            motion_rate=self.motion_rate.clone(),
            bin_rate=self.bin_rate.clone(),
            motions=self.motion_rate.new_zeros(2, len(self.motion_rate)),
            bins=self.bin_rate.new_zeros(2, len(self.bin_rate)),
        )

    def state(self) -> dict[str, Any]:
        """Rates by motion name, JSON values."""
        bins = self.bin_rate.split(self._num_bins.tolist())
        return {
            "fail_rates": dict(zip(self._names, self.motion_rate.tolist())),
            "bin_rates": {name: rates.tolist() for name, rates in zip(self._names, bins)},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Load the rates of motions of equal names (those of bins only where their number is equal)."""
        self._since = None
        rates, bins = state["fail_rates"], state["bin_rates"]
        for m, name in enumerate(self._names):
            if name in rates:
                self.motion_rate[m] = rates[name]
            first, count = int(self._first_bin[m]), int(self._num_bins[m])
            if len(bins.get(name, ())) == count:
                self.bin_rate[first : first + count] = torch.tensor(bins[name], device=self.bin_rate.device)
