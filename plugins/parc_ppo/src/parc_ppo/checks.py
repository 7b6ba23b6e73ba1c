"""Refuses experience and weights that are not finite, and says where the training can be resumed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from parc_core.errors import SimulationDiverged, StageFailed
from parc_ppo.actor_critic import ActorCritic
from parc_ppo.buffer import RolloutBuffer
from parc_ppo.training_state import TrainingState

__all__ = ["check_experience", "check_weights"]


def check_experience(buffer: RolloutBuffer, state: TrainingState, checkpoints: list[int]) -> None:
    """Accept a rollout whose observations and rewards are finite.

    Args:
        checkpoints: numbers of samples at which checkpoints were written, for the message.

    Raises:
        SimulationDiverged: one of them is not.
    """
    for what, values in (("an observation", buffer.obs), ("a reward", buffer.reward)):
        if not bool(torch.isfinite(values.sum())):
            where = (~torch.isfinite(values.flatten(2) if values.dim() > 2 else values)).nonzero()
            at = f", first in environment {int(where[0, 1])}" if len(where) else ""
            raise SimulationDiverged(
                f"{_where(state)}: {what} of the environment is not finite{at}. Environments "
                f"replace a diverged simulation; check its time step and limits. {_advice(checkpoints)}"
            )


def check_weights(
    network: ActorCritic, losses: Mapping[str, float], state: TrainingState, checkpoints: list[int]
) -> None:
    """Accept an update after which losses and weights are finite.

    Raises:
        StageFailed: they are not.
    """
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    finite = all(bool(torch.isfinite(parameter).all()) for parameter in network.parameters())
    if bad or not finite:
        what = f"{', '.join(bad)} not finite" if bad else "a weight is not finite"
        raise StageFailed(
            f"{_where(state)}: {what}. A smaller optimizer.learning_rate or max_grad_norm helps. "
            f"{_advice(checkpoints)}"
        )


def _where(state: TrainingState) -> str:
    return f"tracker training, iteration {state.iteration + 1} ({state.samples} samples)"


def _advice(checkpoints: list[int]) -> str:
    if not checkpoints:
        return ""
    return f"The checkpoint at {checkpoints[-1]} samples is whole; run again to continue from it."
