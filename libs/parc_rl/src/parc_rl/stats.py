"""Sums over control steps, for means in the metrics; they stay on the device until they are read."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.interfaces import Done, Parallel, Step

__all__ = ["EpisodeStats"]


class EpisodeStats:
    """Rewards, tracking errors and ends of episodes since the last `means`.

    With several processes, the main one has the sums over all of them after each `merge`.
    """

    def __init__(self, num_envs: int, device: str, parallel: Parallel) -> None:
        self._parallel = parallel
        self._return = torch.zeros(num_envs, device=device)
        self._length = torch.zeros(num_envs, device=device)
        self._sums: dict[str, Tensor] = {}
        self._steps = 0

    def restart(self) -> None:
        """All episodes restart: the unfinished ones do not count."""
        self._return.zero_()
        self._length.zero_()

    def add(self, step: Step) -> None:
        """Add one control step of every environment."""
        self._steps += 1
        self._return += step.reward
        self._length += 1.0
        ended = step.done != Done.NULL
        size = (
            self._parallel.size
        )  # means over environments: a process has so many times fewer than all together
        self._sum("reward/mean", step.reward.mean() / size)
        for name, value in step.reward_terms.items():
            self._sum(f"reward/{name}", value.mean() / size)
        for name, value in step.errors.items():
            self._sum(f"error/{name}", value.mean() / size)
        self._sum("ends", ended.sum())
        self._sum("fails", (step.done == Done.FAIL).sum())
        self._sum("return", (self._return * ended).sum())
        self._sum("length", (self._length * ended).sum())
        self._return *= ~ended
        self._length *= ~ended

    def merge(self) -> None:
        """Move the sums of all processes to the main one; collective."""
        # by name: what was read from a checkpoint has another order in each process
        self._parallel.sum_([self._sums[name] for name in sorted(self._sums)])
        if not self._parallel.is_main:
            for value in self._sums.values():
                value.zero_()

    def means(self) -> dict[str, float]:
        """Means by name, `reward/...`, `error/...`, `episode/...`; restarts the sums. Empty without steps.

        Collective; processes other than the main one get no meaningful numbers.
        """
        if not self._steps:
            return {}
        self.merge()
        sums = {name: float(value) for name, value in self._sums.items()}
        ends = sums.pop("ends")
        episode = {
            "fail_fraction": sums.pop("fails"),
            "return": sums.pop("return"),
            "length": sums.pop("length"),
        }
        found = {name: value / self._steps for name, value in sums.items()}
        found["episode/count"] = ends
        if ends:
            found.update({f"episode/{name}": value / ends for name, value in episode.items()})
        self._sums = {}
        self._steps = 0
        return found

    def tensors(self) -> dict[str, Tensor]:
        """The sums so far, for a checkpoint."""
        steps = torch.tensor(self._steps, dtype=torch.int64)
        return {**self._sums, "steps": steps} if self._steps else {}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore sums that `tensors` returned."""
        self._sums = {name: value.to(self._return.device) for name, value in tensors.items()}
        self._steps = int(self._sums.pop("steps", torch.zeros(())))
        if not self._parallel.is_main:
            for value in self._sums.values():
                value.zero_()

    def _sum(self, name: str, value: Tensor) -> None:
        before = self._sums.get(name)
        self._sums[name] = value.clone() if before is None else before + value
