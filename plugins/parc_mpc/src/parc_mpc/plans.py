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
    """Weights ``[P, P]`` that make of a plan the same plan one control step later; past the last knot it holds."""
    return _hats(torch.arange(knots) + (knots - 1) / (horizon - 1), knots)


def sample_plans(plan: Tensor, noise: Tensor) -> Tensor:
    """Candidates around each plan, the plan itself first: ``[M, K, P, D]``.

    Args:
        plan: ``[M, P, D]`` rad.
        noise: ``[K - 1, P, D]`` rad, shared by all plans: an environment's candidates then do not depend on who else
            is planned for.
    """
    return torch.cat([plan[:, None], plan[:, None] + noise], dim=1)


def _hats(at: Tensor, knots: int) -> Tensor:
    distance = at.clamp(max=float(knots - 1))[:, None] - torch.arange(knots)
    return (1.0 - distance.abs()).clamp(min=0.0)
