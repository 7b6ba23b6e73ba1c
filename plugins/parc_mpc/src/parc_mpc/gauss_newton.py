"""One Gauss-Newton step within the plans that were sampled.

The cost of a plan is the squared length of a vector of deviations. Where the deviations depend on the plan almost
linearly, a combination of sampled plans deviates by the same combination of what the samples deviate by; the
combination of the least squared length is a small linear system. A sample so tells as many numbers as the vector has
and not only its cost, which is why a few dozen samples suffice for more than a hundred unknowns.

Source: the idea is that of ensemble Kalman inversion (Iglesias, Law and Stuart 2013), here with the damping of
Levenberg and Marquardt in place of its noise model.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["best_combination", "costs"]


def costs(deviations: Tensor, finite: Tensor) -> Tensor:
    """Squared lengths of the deviations ``[M, K, N]``, infinite where a candidate diverged: ``[M, K]``."""
    return torch.where(finite, deviations.square().sum(dim=-1), torch.inf)


def best_combination(
    plans: Tensor, deviations: Tensor, cost: Tensor, damping: float, outlier: float, max_step: float
) -> Tensor:
    """The plan that should deviate least, next to the cheapest of the candidates: ``[M, P, D]``.

    Args:
        plans: ``[M, K, P, D]`` rad.
        deviations: of the plans, ``[M, K, N]``.
        cost: of the plans, ``[M, K]``; infinite for plans that are not to be looked at.
        damping: of the combination's weights, relative to the mean squared change of the deviations.
        outlier: candidates whose cost exceeds that multiple of the median are left out; they are far from linear.
        max_step: longest root-mean-square step from the cheapest plan, rad.
    """
    base = cost.argmin(dim=1)
    every = torch.arange(len(plans), device=plans.device)
    finite = torch.isfinite(cost)
    used = finite & (cost <= outlier * cost.median(dim=1, keepdim=True).values)
    used[every, base] = False
    # what is left out may hold NaN, so it is replaced, not multiplied by zero
    least = torch.where(finite[every, base][:, None], deviations[every, base], 0.0)
    change = torch.where(used[..., None], deviations - least[:, None], 0.0)
    gram = change @ change.mT
    # not a product with a matrix: its rounding would depend on the number of environments
    slope = (change * least[:, None]).sum(dim=-1)
    size = gram.diagonal(dim1=1, dim2=2)
    ridge = damping * size.sum(dim=1, keepdim=True) / used.sum(dim=1, keepdim=True).clamp(min=1)
    diagonal = torch.where(used & (ridge > 0.0), ridge, 1.0)
    factor = torch.linalg.cholesky_ex(gram + torch.diag_embed(diagonal)).L
    weights = -torch.cholesky_solve(slope[..., None], factor)
    step = (weights[..., None] * (plans - plans[every, base][:, None])).sum(dim=1)
    length = step.square().mean(dim=(1, 2), keepdim=True).sqrt()
    return plans[every, base] + step * (max_step / length.clamp(min=1e-9)).clamp(max=1.0)
