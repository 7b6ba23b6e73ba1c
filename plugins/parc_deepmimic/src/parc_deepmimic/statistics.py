"""Statistics of training episodes: sums per motion, kept on the device until they are read.

Source: `parc_motion.published` for what is reported of fail rates (quantiles, the hardest motions, per class).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from parc_deepmimic.errors import ERROR_UNITS

__all__ = ["EpisodeStatistics", "fail_rate_summary"]

_QUANTILES = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_HARDEST = 40
_HEAD = ("episodes", "failed", "steps", "return")


class EpisodeStatistics:
    """Sums over the episodes that ended since the last `take`, by motion."""

    def __init__(self, num_envs: int, motion_names: Sequence[str], control_hz: float, device: str) -> None:
        self._names, self._hz = tuple(motion_names), control_hz
        # sums over the unfinished episodes: steps, return, errors
        self._running = torch.zeros(2 + len(ERROR_UNITS), num_envs, device=device)
        self._ended = torch.zeros(len(self._names), len(_HEAD) + len(ERROR_UNITS), device=device)

    def restart(self) -> None:
        """Discard unfinished episodes, because all environments start new ones."""
        self._running.zero_()

    def add(self, reward: Tensor, errors: dict[str, Tensor]) -> None:
        """One control step of every env: its reward ``[N]`` and errors by name, ``[N]`` each."""
        self._running += torch.stack([torch.ones_like(reward), reward, *errors.values()])

    def end(self, env_ids: Tensor, motion_ids: Tensor, lost: Tensor) -> None:
        """Add the episodes of envs ``[E]``, which followed these motions and have ended; `lost` ``[E]`` bool."""
        sums = self._running[:, env_ids]
        rows = torch.cat([torch.ones_like(sums[:1]), lost[None].to(sums.dtype), sums]).T
        self._ended.index_add_(0, motion_ids, rows)
        self._running[:, env_ids] = 0.0

    def take(self) -> dict[str, Any]:
        """Means over the episodes that ended since the last call, and per motion; empty where no episode ended."""
        table = self._ended.double().cpu()
        self._ended.zero_()
        total = table.sum(dim=0)
        if total[0] == 0:
            return {}
        motions = {
            name: self._means(row) for name, row in zip(self._names, table) if row[0] > 0
        }  # motions without a finished episode are left out
        return {**self._means(total), "motions": motions}

    def _means(self, row: Tensor) -> dict[str, Any]:
        episodes, failed, steps, total = row[: len(_HEAD)].tolist()
        errors = (row[len(_HEAD) :] / max(steps, 1.0)).tolist()
        return {
            "episodes": int(episodes),
            "fail_frac": failed / episodes,
            "length_s": steps / episodes / self._hz,
            "return": total / episodes,
            "errors": dict(zip(ERROR_UNITS, errors)),
        }


def fail_rate_summary(rates: Tensor, names: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    """Quantiles of fail rates ``[M]`` by name ("q50"), the hardest motions, and mean and largest of each class."""
    rates = rates.detach().double().cpu()
    quantiles = torch.quantile(rates, torch.tensor(_QUANTILES, dtype=torch.float64)).tolist()
    order = rates.argsort(descending=True, stable=True)[:_HARDEST].tolist()
    by_class: dict[str, list[float]] = {}
    for name, rate in zip(classes, rates.tolist()):
        by_class.setdefault(name, []).append(rate)
    return {
        "quantiles": {f"q{round(100 * q)}": value for q, value in zip(_QUANTILES, quantiles)},
        "hardest": {names[m]: float(rates[m]) for m in order},
        "classes": {
            name or "unclassified": {"mean": sum(values) / len(values), "max": max(values)}
            for name, values in sorted(by_class.items())
        },
    }
