"""A reward term and an observation group of the tracking task."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.config import setting
from parc_core.interfaces import TrackingFrame
from parc_motion.skeletons import Skeleton

__all__ = ["PreviousAction", "PreviousActionConfig", "smooth_actions"]


def smooth_actions(frame: TrackingFrame, *, k: float = 0.5) -> Tensor:
    """exp(-k * mean squared change of the action), ``[N]``.

    Args:
        k: Sharpness of the reward; larger values punish changes harder.
    """
    change = frame.action - frame.previous_action
    return torch.exp(-k * change.square().mean(dim=-1))


@attrs.frozen(kw_only=True)
class PreviousActionConfig:
    """Settings of `previous_action`."""

    scale: float = setting(1.0, gt=0, help="Factor of the numbers that are shown.")


class PreviousAction:
    """The action of the step before; a class and not a function, because its size depends on the character."""

    normalize = True
    shape: tuple[int, ...] = ()
    description = "action of the step before, as a fraction of its range"

    def __init__(self, config: PreviousActionConfig, *, skeleton: Skeleton, device: str) -> None:
        self.config, self.size = config, skeleton.num_dofs

    def __call__(self, frame: TrackingFrame) -> Tensor:
        """``[N, D]``."""
        return self.config.scale * frame.action
