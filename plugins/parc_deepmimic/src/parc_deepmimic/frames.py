"""Builds the frames that reward, termination and observation terms see."""

from __future__ import annotations

import functools
from typing import Any

import attrs
import torch
from torch import Tensor

from parc_core.interfaces import BodyState, Reference, TrackingFrame
from parc_deepmimic.config import DeepMimicConfig
from parc_deepmimic.reference import MotionLibrary
from parc_motion.geometry import PackedTerrains
from parc_motion.skeletons import Skeleton

__all__ = ["FrameBuilder"]

Where = tuple[Tensor, Tensor, Tensor]  # motion ids, motion times (s) and terrain ids, [N] each


class FrameBuilder:
    """Frames of one environment."""

    def __init__(
        self, config: DeepMimicConfig, library: MotionLibrary, terrains: PackedTerrains, skeleton: Skeleton
    ) -> None:
        self._config, self._library, self._terrains = config, library, terrains
        self._skeleton = skeleton

    def of_step(
        self,
        state: BodyState,
        reference: Reference,
        actions: tuple[Tensor, Tensor],
        where: Where,
        training: bool,
    ) -> TrackingFrame:
        """The frame of a control step.

        Args:
            actions: of this step and of the step before, ``[N, A]`` each.
        """
        force = state.ground_force.norm(dim=-1)
        return TrackingFrame(
            state=state,
            reference=reference,
            ground_force=force,
            contacts=force > self._config.contact_threshold,
            action=actions[0],
            previous_action=actions[1],
            **self._facts(where, training),
        )

    def of_start(
        self, state: BodyState, env_ids: Tensor, reference: Reference, where: Where, training: bool
    ) -> TrackingFrame:
        """The frame of environments that have just been put on their start.

        Args:
            state: of all environments.
            env_ids: those that start, ``[E]``; `reference` and `where` are theirs.
        """
        rows = {field.name: getattr(state, field.name)[env_ids] for field in attrs.fields(BodyState)}
        none = torch.zeros(len(env_ids), self._skeleton.num_dofs, device=env_ids.device)
        return TrackingFrame(
            state=BodyState(**rows),
            reference=reference,
            ground_force=torch.zeros_like(reference.contacts),
            contacts=reference.contacts > 0.5,
            action=none,
            previous_action=none,
            **self._facts(where, training),
        )

    def _facts(self, where: Where, training: bool) -> dict[str, Any]:
        """The part of a frame that does not depend on whether it is one of a step or of a start."""
        motion_ids, times, terrain_ids = where

        def reference_ahead(seconds: float) -> Reference:
            return self._library.query(motion_ids, times + seconds)

        return {
            "motion_ids": motion_ids,
            "motion_times": times,
            "training": training,
            "limit_scale": self._config.termination.training_share if training else 1.0,
            "skeleton": self._skeleton,
            "control_hz": self._config.control_hz,
            "ground": functools.partial(self._terrains.height_at, terrain_ids),
            "lookup": reference_ahead,
        }
