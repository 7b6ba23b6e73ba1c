"""Limited-memory BFGS for many independent problems at once.

Every problem has its own step length, curvature history, smoothing width and convergence test; one evaluation serves
one trial point of each. A problem whose trial is refused tries a shorter step in the next evaluation, while the others
go on: nobody waits. Problems that have converged leave the batch.

Source: the two-loop recursion is the textbook one (Nocedal and Wright, "Numerical Optimization", algorithm 7.4).
Shrinking the Huber width of the non-smooth terms from stage to stage is what makes it work on this objective
(measured: on the raw kinks it stalls at three times the total).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
import torch
from torch import Tensor

__all__ = ["LbfgsSettings", "Objective", "minimize"]

#: called with (indices of problems [A], points [A, n], smoothing widths [A]); gives losses [A] and gradients [A, n]
Objective = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class Preconditioner(Protocol):
    """About the inverse Hessian of each problem."""

    def update(self, ids: Tensor, x: Tensor, width: Tensor) -> None:
        """Take the curvature of problems ``[A]`` at ``[A, n]``; called when a stage begins and now and then."""

    def __call__(self, ids: Tensor, g: Tensor, width: Tensor) -> Tensor:
        """About the inverse Hessian times gradients ``[R, n]`` of problems ``[R]``, which may repeat."""


class _Identity:
    def update(self, ids: Tensor, x: Tensor, width: Tensor) -> None:
        pass

    def __call__(self, ids: Tensor, g: Tensor, width: Tensor) -> Tensor:
        return g


@attrs.frozen(kw_only=True)
class LbfgsSettings:
    """How far to go."""

    widths: tuple[float, ...]  # Huber widths of the stages, falling
    history: int = 2  # pairs of the curvature history
    max_evals: int = 500  # evaluations per problem, all stages together
    tolerance: float = 5e-3  # a stage ends when the relative decrease over `patience` evaluations is below
    patience: int = 4
    refresh: int = 1  # evaluations after which the preconditioner looks again
    regrow: float = (
        4.0  # after an accepted step the next trial is this much longer, at most the whole direction
    )
    longest_first: float = 0.1  # largest change of any coordinate in the first step of a stage
    min_move: float = 1e-7  # a stage ends when the next trial moves no coordinate by more


class _State:
    """Everything that belongs to the problems still in the batch, row by row."""

    def __init__(self, x: Tensor, settings: LbfgsSettings) -> None:
        count, size = x.shape
        self.ids = torch.arange(count, device=x.device)
        self.x, self.direction = x.clone(), torch.zeros_like(x)
        self.grad = torch.zeros_like(x)
        self.loss = x.new_full((count,), torch.inf)
        self.slope, self.step = x.new_zeros(count), x.new_zeros(count)
        self.age = torch.zeros(count, dtype=torch.long, device=x.device)  # evaluations since the last update
        self.fresh = torch.ones(count, dtype=torch.bool, device=x.device)  # stage just begun: no loss yet
        self.stage = torch.zeros(count, dtype=torch.long, device=x.device)
        self.marks = x.new_full(
            (count, settings.patience), torch.inf
        )  # accepted losses of the last evaluations
        self.s, self.y = (
            x.new_zeros(settings.history, count, size),
            x.new_zeros(settings.history, count, size),
        )
        self.rho = x.new_zeros(settings.history, count)  # 0: no pair in this place
        self.slot = 0

    def keep(self, rows: Tensor) -> None:
        """Drop all problems but these."""
        for name in (
            "ids",
            "x",
            "direction",
            "grad",
            "loss",
            "slope",
            "step",
            "age",
            "fresh",
            "stage",
            "marks",
        ):
            setattr(self, name, getattr(self, name)[rows])
        self.s, self.y, self.rho = self.s[:, rows], self.y[:, rows], self.rho[:, rows]


def minimize(
    x: Tensor,
    objective: Objective,
    settings: LbfgsSettings,
    precondition: Preconditioner | None = None,
    report: Callable[[float], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Points that minimise each problem's objective, at the last smoothing width.

    Args:
        x: starting points, ``[C, n]``.
        report: called with the share of the work done, 0..1.

    Returns:
        Points ``[C, n]`` and the evaluations that each problem took ``[C]`` (int64).
    """
    result = x.clone()
    evals = torch.zeros(len(x), dtype=torch.long, device=x.device)
    widths = torch.tensor(settings.widths, device=x.device, dtype=x.dtype)
    precondition = precondition or _Identity()
    state = _State(x, settings)
    for count in range(settings.max_evals):
        width = widths[state.stage]
        trial = state.x + state.step[:, None] * state.direction
        loss, grad = objective(state.ids, trial, width)
        evals[state.ids] += 1
        accepted = _advance(state, trial, loss, grad, width, precondition, settings)
        state.marks = torch.cat([state.marks[:, 1:], state.loss[:, None]], dim=1)
        stalled = state.step * state.direction.abs().amax(dim=-1) < settings.min_move
        slow = (state.marks[:, 0] - state.loss) < settings.tolerance * state.loss.abs()
        over = ~state.fresh & torch.isfinite(state.marks[:, 0]) & slow & accepted | (stalled & ~state.fresh)
        state.fresh = over.clone()  # what goes on to the next width begins anew
        state.stage = state.stage + over
        done = state.stage == len(widths)
        _restart(state, over)
        if done.any():
            result[state.ids[done]] = state.x[done]
            state.keep(~done)
        if report is not None and count % 10 == 0:
            report(max(count / settings.max_evals, 1 - float(len(state.ids)) / len(x)))
        if len(state.ids) == 0:
            break
    result[state.ids] = state.x
    return result, evals


def _advance(
    state: _State,
    trial: Tensor,
    loss: Tensor,
    grad: Tensor,
    width: Tensor,
    precondition: Preconditioner,
    settings: LbfgsSettings,
) -> Tensor:
    """Accept or refuse each trial, and set up the next one; which were accepted, ``[A]``."""
    armijo = loss <= state.loss + 1e-4 * state.step * state.slope
    accepted = (armijo | state.fresh) & torch.isfinite(loss)
    s, y = trial - state.x, grad - state.grad
    sy = (s * y).sum(-1)
    usable = accepted & ~state.fresh & (sy > 1e-8 * s.norm(dim=-1) * y.norm(dim=-1))
    refused_step = _shorter(state.step, state.slope, loss - state.loss)
    state.s[state.slot], state.y[state.slot] = s, y
    state.rho[state.slot] = torch.where(
        usable, 1.0 / torch.where(usable, sy, torch.ones_like(sy)), torch.zeros_like(sy)
    )
    state.slot = (state.slot + 1) % len(state.s)
    take = accepted[:, None]
    state.x, state.grad = torch.where(take, trial, state.x), torch.where(take, grad, state.grad)
    state.loss = torch.where(accepted, loss, state.loss)
    state.age += 1
    stale = accepted & (state.fresh | (state.age >= settings.refresh))
    if stale.any():
        precondition.update(state.ids[stale], state.x[stale], width[stale])
        state.age[stale] = 0
    direction = _two_loop(state, width, precondition)
    slope = (direction * state.grad).sum(-1)
    uphill = slope >= 0
    if uphill.any():
        direction = torch.where(uphill[:, None], -precondition(state.ids, state.grad, width), direction)
        slope = (direction * state.grad).sum(-1)
    state.direction = torch.where(take, direction, state.direction)
    state.slope = torch.where(accepted, slope, state.slope)
    first = accepted & (state.rho == 0).all(dim=0)
    # without curvature pairs the length of the direction is not to be trusted far
    careful = (settings.longest_first / state.direction.abs().amax(dim=-1).clamp_min(1e-12)).clamp(max=1.0)
    step = torch.where(first, careful, (settings.regrow * state.step).clamp(max=1.0))
    state.step = torch.where(accepted, step, refused_step)
    return accepted


def _shorter(step: Tensor, slope: Tensor, rise: Tensor) -> Tensor:
    """Where a parabola through value, slope and the refused value has its minimum, between 0.1 and 0.5 of the step."""
    curve = 2.0 * (rise - step * slope)
    best = -slope * step * step / torch.where(curve > 0, curve, torch.ones_like(curve))
    best = torch.where(torch.isfinite(best) & (curve > 0), best, 0.5 * step)
    return torch.minimum(torch.maximum(best, 0.1 * step), 0.5 * step)


def _two_loop(state: _State, width: Tensor, precondition: Preconditioner) -> Tensor:
    order = [(state.slot - 1 - k) % len(state.s) for k in range(len(state.s))]  # newest first
    q, alphas = state.grad.clone(), {}
    for k in order:
        alphas[k] = state.rho[k] * (state.s[k] * q).sum(-1)
        q = q - alphas[k][:, None] * state.y[k]
    found, sy, y = _newest(state, order)
    # one call for both: its cost is reading the matrices
    both = precondition(state.ids.repeat(2), torch.cat([q, y]), width.repeat(2))
    r, hy = both[: len(q)], both[len(q) :]
    scale = torch.where(found, sy / (y * hy).sum(-1).clamp_min(1e-30), torch.ones_like(sy))
    r = r * scale[:, None]
    for k in reversed(order):
        beta = state.rho[k] * (state.y[k] * r).sum(-1)
        r = r + (alphas[k] - beta)[:, None] * state.s[k]
    return -r


def _newest(state: _State, order: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Whether each problem has a pair ``[A]``, and s.y ``[A]`` and y ``[A, n]`` of its newest."""
    rho = state.rho[order]  # [m, A]
    found, newest = (rho > 0).max(dim=0)
    slot = torch.tensor(order, device=rho.device)[newest]
    y = state.y[slot, torch.arange(len(slot), device=rho.device)]
    sy = 1.0 / torch.where(found, rho.gather(0, newest[None])[0], torch.ones_like(rho[0]))
    return found, sy, y


def _restart(state: _State, rows: Tensor) -> None:
    state.rho = torch.where(rows, torch.zeros_like(state.rho), state.rho)
    state.marks = torch.where(rows[:, None], torch.full_like(state.marks, torch.inf), state.marks)
    state.step = torch.where(rows, torch.zeros_like(state.step), state.step)
    state.loss = torch.where(rows, torch.full_like(state.loss, torch.inf), state.loss)
