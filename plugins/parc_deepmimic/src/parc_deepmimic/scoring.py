"""Reward, termination and further observation groups: the terms of a configuration, made once for a character."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from parc_core.config import Use
from parc_core.errors import ConfigError
from parc_core.interfaces import ObservationGroup, TrackingFrame, group_of, reward_range_of
from parc_deepmimic.config import RewardConfig, TerminationConfig
from parc_deepmimic.terms.contacts import PublishedContactConfig, PublishedContactTerm
from parc_motion.errors import ShapeError
from parc_motion.skeletons import Skeleton

__all__ = ["ExtraObservations", "RewardModel", "TerminationModel"]

Term = Callable[[TrackingFrame], Tensor]


class RewardModel:
    """The reward of a frame: the weighted mean of its terms, and the terms by name.

    Terms of weight 0 are neither computed nor reported.
    """

    def __init__(self, config: RewardConfig, skeleton: Skeleton, device: str | torch.device) -> None:
        uses = {name: use.complete() for name, use in config.terms.items()}
        weights = {name: _weight(name, use) for name, use in uses.items()}
        self._published: PublishedContactTerm | None = None
        self._published_weight = config.published_contact_weight
        if config.contact == "published":
            weights.pop("contact", None)
            self._published = PublishedContactTerm(PublishedContactConfig(), skeleton=skeleton, device=device)
        total = sum(weights.values())
        if total <= 0.0:
            raise ConfigError(
                "reward: all weights are 0; give at least one of reward.terms a weight above 0."
            )
        #: weight of each term that counts; they sum to 1
        self.weights = {name: weight / total for name, weight in weights.items() if weight > 0.0}
        self._terms = _create({name: uses[name] for name in self.weights}, skeleton, device)

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Smallest and largest reward; None where a term does not declare its range."""
        lows, highs = [], []
        for name, weight in self.weights.items():
            found = reward_range_of(self._terms[name])
            if found is None:
                return None
            lows.append(weight * found[0])
            highs.append(weight * found[1])
        added = abs(self._published_weight) if self._published is not None else 0.0
        # weights sum to 1 except for rounding, which must not move the bounds
        return round(math.fsum(lows) - added, 12), round(math.fsum(highs) + added, 12)

    def __call__(self, frame: TrackingFrame) -> tuple[Tensor, dict[str, Tensor]]:
        """Reward ``[N]`` and the terms before weighting, ``[N]`` each (the published contact term as it is added)."""
        terms = {
            name: _checked(f"reward.terms.{name}", term(frame), frame) for name, term in self._terms.items()
        }
        names = iter(self.weights.items())
        name, weight = next(names)
        reward = weight * terms[name]
        for name, weight in names:
            reward = reward + weight * terms[name]
        if self._published is not None:
            terms["contact"] = self._published_weight * self._published(frame)
            reward = reward + terms["contact"]
        return reward, terms


class TerminationModel:
    """Which characters have lost their reference: those for which any term holds."""

    def __init__(self, config: TerminationConfig, skeleton: Skeleton, device: str | torch.device) -> None:
        self._terms = _create(config.terms, skeleton, device)

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N]`` bool."""
        lost = torch.zeros(frame.num_envs, dtype=torch.bool, device=frame.motion_ids.device)
        for name, term in self._terms.items():
            value = _checked(f"termination.terms.{name}", term(frame), frame)
            if value.dtype != torch.bool:
                raise ShapeError(
                    f"termination.terms.{name}: the term returns {value.dtype}, expected bool, True where an episode "
                    "is lost. Compare with a limit, e.g. `distance > 0.5`."
                )
            lost = lost | value
        return lost


class ExtraObservations:
    """The observation groups that `observation.terms` appends."""

    def __init__(self, uses: Mapping[str, Use], skeleton: Skeleton, device: str | torch.device) -> None:
        self._terms = _create(uses, skeleton, device)
        self.groups = tuple(group_of(name, term) for name, term in self._terms.items())

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """The numbers of all groups, one after the other: ``[N, X]``."""
        values = [_group_values(group, self._terms[group.name](frame), frame) for group in self.groups]
        return torch.cat(values, dim=1) if values else frame.ground_force.new_empty(frame.num_envs, 0)


def _create(uses: Mapping[str, Use], skeleton: Skeleton, device: str | torch.device) -> dict[str, Term]:
    return {name: use.create(skeleton=skeleton, device=device) for name, use in uses.items()}


def _weight(name: str, use: Use) -> float:
    weight = float(use.config.weight)
    if not 0.0 <= weight < math.inf:
        raise ConfigError(f"reward.terms.{name}.weight is {weight:g}; give a finite number >= 0.")
    return weight


def _checked(name: str, value: Tensor, frame: TrackingFrame) -> Tensor:
    if value.shape != (frame.num_envs,):
        raise ShapeError(
            f"{name}: the term returns shape {list(value.shape)} for {frame.num_envs} environments, expected "
            f"[{frame.num_envs}]. Reduce the axes after the first, e.g. with .mean(dim=-1)."
        )
    return value


def _group_values(group: ObservationGroup, value: Tensor, frame: TrackingFrame) -> Tensor:
    if value.shape != (frame.num_envs, group.size):
        raise ShapeError(
            f"observation.terms.{group.name}: the term returns shape {list(value.shape)}, expected "
            f"[{frame.num_envs}, {group.size}] as it declares. Change what it declares or flatten what it returns."
        )
    return value.to(frame.ground_force.dtype)
