"""The cross-entropy method on plans: a few knots of residuals, linearly interpolated; pure functions.

Letters: M environments, K candidates, P knots, H control steps, D dofs.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["elite_mean", "interpolation", "sample_plans", "shift_plan"]

_MIN_ELITES = 4


def interpolation(knots: int, horizon: int, ahead: float = 0.0) -> Tensor:
    """Weights ``[H, P]`` that turn knots into values at steps ahead, 1 + ahead, ...; past the last knot it holds."""
    at = (torch.arange(horizon) + ahead) * (knots - 1) / (horizon - 1)
    at = at.clamp(max=float(knots - 1))
    return (1.0 - (at[:, None] - torch.arange(knots)).abs()).clamp(min=0.0)


def shift_plan(plan: Tensor, horizon: int) -> Tensor:
    """The same plan one control step later: ``[M, P, D]`` for ``[M, P, D]``."""
    knots = plan.shape[1]
    at = torch.arange(knots) + (knots - 1) / (horizon - 1)
    weights = (1.0 - (at.clamp(max=knots - 1.0)[:, None] - torch.arange(knots)).abs()).clamp(min=0.0)
    return weights.to(plan) @ plan


def sample_plans(plan: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """Candidates around each plan: ``[M, K, P, D]``; the first is the plan itself, the second no residual at all.

    Args:
        plan: ``[M, P, D]`` rad.
        noise: ``[K, P, D]``, standard normal, shared by all plans: an environment's candidates then do not depend
            on who else is planned for.
    """
    plans = plan[:, None] + sigma * noise
    plans[:, 0] = plan
    plans[:, 1] = 0.0
    return plans


def elite_mean(plans: Tensor, cost: Tensor, share: float) -> Tensor:
    """Mean of the cheapest candidates of each environment: ``[M, P, D]`` for ``[M, K, P, D]`` and ``[M, K]``."""
    count = min(max(_MIN_ELITES, round(share * cost.shape[1])), cost.shape[1])
    best = torch.sort(cost, dim=1, stable=True).indices[:, :count]
    chosen = plans.gather(1, best[:, :, None, None].expand(-1, -1, *plans.shape[2:]))
    finite = torch.isfinite(cost.gather(1, best)).to(plans)[:, :, None, None]
    return (chosen * finite).sum(dim=1) / finite.sum(dim=1).clamp(min=1.0)
