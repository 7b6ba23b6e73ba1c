"""Plans: a few knots of servo residuals, linearly interpolated over the horizon; pure functions.

Letters: M environments, K candidates, P knots, H control steps, D dofs.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["interpolation", "sample_plans", "shift_matrix"]


def interpolation(knots: int, horizon: int) -> Tensor:
    """Weights ``[H, P]`` that turn knots into values at the steps of the horizon; knots lie at both ends."""
    return _hats(torch.arange(horizon) * (knots - 1) / (horizon - 1), knots)


def shift_matrix(knots: int, horizon: int) -> Tensor:
    """Weights ``[P, P]`` that shift a plan by one control step; beyond its end the last value is kept."""
    return _hats(torch.arange(knots) + (knots - 1) / (horizon - 1), knots)


def sample_plans(plan: Tensor, noise: Tensor) -> Tensor:
    """Candidates around each plan, the plan itself first: ``[M, K, P, D]``.

    Args:
        plan: ``[M, P, D]`` rad.
        noise: ``[K - 1, P, D]`` rad, the same for all plans: candidates of an environment then do not depend on which
            others are planned for.
    """
    return torch.cat([plan[:, None], plan[:, None] + noise], dim=1)


def _hats(at: Tensor, knots: int) -> Tensor:
    distance = at.clamp(max=float(knots - 1))[:, None] - torch.arange(knots)
    return (1.0 - distance.abs()).clamp(min=0.0)
