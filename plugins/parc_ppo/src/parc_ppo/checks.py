"""Looks for numbers that are not finite in experience, losses and weights, and says what a training does about them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from parc_core.errors import SimulationDiverged, TrainingDiverged
from parc_ppo.actor_critic import ActorCritic
from parc_ppo.buffer import RolloutBuffer
from parc_ppo.training_state import TrainingState

__all__ = ["Elsewhere", "fault_of_experience", "fault_of_weights"]


class Elsewhere(TrainingDiverged):
    """What another process of the training has found."""


def fault_of_experience(
    buffer: RolloutBuffer, state: TrainingState
) -> SimulationDiverged | TrainingDiverged | None:
    """What is wrong with a rollout: observations, actions and rewards have to be finite."""
    # in the order of their causes
    for what, values, error in (
        ("an observation of the environment", buffer.obs, SimulationDiverged),
        ("an action of the policy", buffer.action, TrainingDiverged),
        ("a reward of the environment", buffer.reward, SimulationDiverged),
    ):
        if (env := _first_bad(values)) is not None:
            return error(f"{_where(state)}: {what} is not finite, first in environment {env}")
    return None


def fault_of_weights(
    network: ActorCritic, losses: Mapping[str, float], state: TrainingState
) -> TrainingDiverged | None:
    """What is wrong after an update: losses, weights and the normalizer's statistics have to be finite."""
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        return TrainingDiverged(f"{_where(state)}: {', '.join(bad)} not finite")
    for name, value in network.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            return TrainingDiverged(f"{_where(state)}: the weights '{name}' are not finite")
    return None


def _first_bad(values: Tensor) -> int | None:
    """The environment of the first number ``[T, N, ...]`` that is not finite."""
    if bool(torch.isfinite(values.sum())):  # of finite numbers it may overflow
        return None
    bad = (~torch.isfinite(values)).nonzero()
    return int(bad[0, 1]) if len(bad) else None


def _where(state: TrainingState) -> str:
    return f"iteration {state.iteration + 1} ({state.samples} samples)"
