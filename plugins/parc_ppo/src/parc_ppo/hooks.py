"""What an agent adds to the training loop."""

from __future__ import annotations

import pathlib
from typing import Any, Protocol

from parc_core.interfaces import StageContext, TrackerEnv
from parc_ppo.extras import ExperienceExtras

__all__ = ["Hooks"]


class Hooks(Protocol):
    """Methods that `Trainer` calls; `PpoAgent` has them."""

    def evaluate(self, env: TrackerEnv, start_fractions: tuple[float, ...] = (0.0,)) -> dict[str, Any]:
        """Follow every motion with the present policy."""

    def robustness(self, env: TrackerEnv, every: int, tries: int) -> dict[str, Any]:
        """``survival`` of every k-th start frame and ``perturbed`` starts per motion; 0 leaves either out."""

    def select_metrics(self, values: dict[str, float], env: TrackerEnv) -> dict[str, float]:
        """The metrics to write, of those that the trainer has, and additional ones."""

    def select_test(self, found: dict[str, float]) -> dict[str, float]:
        """The results to write, of those that test episodes gave."""

    def on_checkpoint(self, env: TrackerEnv, ctx: StageContext, samples: int) -> None:
        """A checkpoint is about to be written."""

    def write_policy(self, folder: pathlib.Path) -> None:
        """Write the policy that would be kept if the training ended now."""

    def make_extras(self, env: TrackerEnv) -> ExperienceExtras | None:
        """Storage for additional data of every step of a rollout; None: none is kept."""
