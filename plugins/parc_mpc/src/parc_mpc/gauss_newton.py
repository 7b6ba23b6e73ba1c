"""One damped Gauss-Newton step within the space that the sampled plans span.

The cost of a plan is the squared norm of a vector of deviations ``e(plan)``. With the cheapest candidate ``p0`` as the
base, a step is a combination of the other candidates' differences to it, ``p = p0 + sum_k w_k (p_k - p0)``. Where
deviations are almost linear in the plan, ``e(p) = e0 + sum_k w_k (e_k - e0)``, so the best weights solve a linear
least-squares problem with as many unknowns as candidates. A rollout thus contributes its whole vector of deviations and
not only its cost, which is why a few dozen samples suffice for more than a hundred unknowns.

Source: the idea is that of ensemble Kalman inversion (Iglesias, Law and Stuart 2013, "Ensemble Kalman methods for
inverse problems"), here with the damping of Levenberg and Marquardt instead of a noise model.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["best_combination", "costs"]


def costs(deviations: Tensor, finite: Tensor) -> Tensor:
    """Squared norms of the deviations ``[M, K, N]``, infinite where a candidate diverged: ``[M, K]``."""
    return torch.where(finite, deviations.square().sum(dim=-1), torch.inf)


def best_combination(
    plans: Tensor, deviations: Tensor, cost: Tensor, damping: float, outlier: float, max_step: float
) -> Tensor:
    """The plan with the smallest predicted cost near the cheapest candidate: ``[M, P, D]``.

    Args:
        plans: ``[M, K, P, D]`` rad.
        deviations: of the plans, ``[M, K, N]``.
        cost: of the plans, ``[M, K]``; infinite for plans to leave out.
        damping: Levenberg-Marquardt damping, relative to the mean squared change of the deviations.
        outlier: candidates whose cost exceeds this multiple of the median are left out; they are far from linear.
        max_step: upper bound of the root-mean-square step from the cheapest plan, rad.
    """
    base = cost.argmin(dim=1)  # [M], p0
    every = torch.arange(len(plans), device=plans.device)
    finite = torch.isfinite(cost)
    used = finite & (cost <= outlier * cost.median(dim=1, keepdim=True).values)
    used[every, base] = False
    # e0 and e_k - e0; excluded candidates may hold NaN, so they are replaced and not multiplied by 0
    base_deviation = torch.where(finite[every, base][:, None], deviations[every, base], 0.0)
    change = torch.where(used[..., None], deviations - base_deviation[:, None], 0.0)
    # normal equations: Gram matrix G_kl = (e_k - e0) . (e_l - e0), gradient g_k = (e_k - e0) . e0
    gram = change @ change.mT
    # a sum and not a matrix product, whose rounding would depend on the number of environments
    gradient = (change * base_deviation[:, None]).sum(dim=-1)
    # damping: lambda = damping * mean_k |e_k - e0|^2; excluded candidates get a diagonal of 1 and thereby weight 0
    squared_change = gram.diagonal(dim1=1, dim2=2)
    ridge = damping * squared_change.sum(dim=1, keepdim=True) / used.sum(dim=1, keepdim=True).clamp(min=1)
    diagonal = torch.where(used & (ridge > 0.0), ridge, 1.0)
    # w = -(G + lambda I)^-1 g
    factor = torch.linalg.cholesky_ex(gram + torch.diag_embed(diagonal)).L
    weights = -torch.cholesky_solve(gradient[..., None], factor)
    # p0 + sum_k w_k (p_k - p0), the step scaled down to max_step where it is longer
    step = (weights[..., None] * (plans - plans[every, base][:, None])).sum(dim=1)
    length = step.square().mean(dim=(1, 2), keepdim=True).sqrt()
    return plans[every, base] + step * (max_step / length.clamp(min=1e-9)).clamp(max=1.0)
