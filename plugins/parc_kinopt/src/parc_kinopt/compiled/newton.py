"""Gauss-Newton with shrinking smoothing on one clip.

Each step factors the curvature once and searches along its direction; a stage ends when steps no longer pay, then the
kinks of the non-smooth terms are rounded less.

Source: banded Gauss-Newton with backtracking and a falling Huber width is the fastest method measured on this
objective; on raw kinks it stalls far above the minimum.
"""

from __future__ import annotations

import math

import attrs
import numpy as np

from parc_core.interfaces import stop_point
from parc_kinopt.compiled.cholesky import factor, solve_with
from parc_kinopt.compiled.curvature import fill_blocks
from parc_kinopt.compiled.goal import Goal, LimbArrays, LossDerivatives, make_derivatives
from parc_kinopt.compiled.ground import Ground
from parc_kinopt.compiled.terms import evaluate_loss
from parc_kinopt.compiled.tree import Pose, Tree, make_pose

__all__ = ["NewtonSettings", "Problem", "Solution", "solve"]

_ARMIJO = 1e-4
_RIDGE = 1e-7  # share of the mean diagonal that is added to it
_SHORTEST = 1e-3  # of a step
_EXACT = 1e-12  # m, the width that stands for none


@attrs.frozen(kw_only=True)
class NewtonSettings:
    """How far to go."""

    widths: tuple[float, ...]  # Huber widths of the stages, falling, m or rad
    tolerance: float = 1e-3  # a stage ends when a step lowers the loss by a smaller share
    max_steps: int = 200  # factorizations, all stages together
    firmness: float = 0.3  # see `parc_kinopt.compiled.terms`


@attrs.frozen(kw_only=True, eq=False)
class Problem:
    """One clip's loss."""

    tree: Tree
    ground: Ground
    goal: Goal
    limbs: LimbArrays
    weights: np.ndarray  # [13], order of `TERMS`

    def evaluate(
        self, x: np.ndarray, width: float = 0.0, firmness: float = 1.0, curved: bool = False
    ) -> LossDerivatives:
        """Values per term, gradient and, if asked for, curvature at the variables ``[T, V]``."""
        frames, size = x.shape
        pose, out = make_pose(frames, self.tree), make_derivatives(frames, len(self.tree.parent), size)
        evaluate_loss(
            np.ascontiguousarray(x, np.float64),
            self.tree,
            self.ground,
            self.goal,
            self.limbs,
            self.weights,
            max(width, _EXACT),
            firmness,
            curved,
            pose,
            out,
        )
        return out


@attrs.frozen(kw_only=True, eq=False)
class Solution:
    """Where the solver ended."""

    x: np.ndarray  # [T, V]
    total: float  # exact loss there
    steps: int  # factorizations
    looks: int  # evaluations of the loss
    converged: bool  # every stage ended by itself


def solve(problem: Problem, x: np.ndarray, settings: NewtonSettings) -> Solution:
    """Lower the loss from ``[T, V]``; the input is not changed. Other threads can work most of the time."""
    frames, size = x.shape
    bodies = len(problem.tree.parent)
    x = np.array(x, np.float64)
    total, steps, looks, converged = _descend(
        x,
        problem.tree,
        problem.ground,
        problem.goal,
        problem.limbs,
        problem.weights,
        np.array(settings.widths, np.float64),
        settings.tolerance,
        settings.max_steps,
        settings.firmness,
        make_pose(frames, problem.tree),
        make_derivatives(frames, bodies, size),
        make_derivatives(frames, bodies, size),
    )
    return Solution(x=x, total=total, steps=steps, looks=looks, converged=converged)


# Plain Python: as a kernel it would compile all others once more, 10 s, and a step costs milliseconds anyway.
def _descend(
    x: np.ndarray,
    tree: Tree,
    ground: Ground,
    goal: Goal,
    limbs: LimbArrays,
    weights: np.ndarray,
    widths: np.ndarray,
    tolerance: float,
    max_steps: int,
    firmness: float,
    pose: Pose,
    out: LossDerivatives,
    trial: LossDerivatives,
) -> tuple[float, int, int, bool]:
    """All stages, in place on `x`: exact total, factorizations, looks, whether all stages ended by themselves."""
    frames, size = x.shape
    blocks, inverses = np.zeros((frames, 4, size, size)), np.zeros((frames, size, size))
    steps, looks, converged = 0, 0, True
    for width in widths:
        total = evaluate_loss(x, tree, ground, goal, limbs, weights, width, firmness, True, pose, out)
        looks += 1
        while True:
            stop_point()
            if steps >= max_steps or not math.isfinite(total):
                converged = False
                break
            direction = _direction(tree, pose, out, blocks, inverses)
            steps += 1
            slope = (direction * out.grad).sum()
            step, found, value = 1.0, False, math.inf
            while step >= _SHORTEST:
                ahead = x + step * direction
                value = evaluate_loss(
                    ahead, tree, ground, goal, limbs, weights, width, firmness, False, pose, trial
                )
                looks += 1
                if value <= total + _ARMIJO * step * slope:
                    found = True
                    break
                step = max(_parabola(step, slope, value - total), 0.1 * step)
            if not found:
                break
            x[:] = ahead
            slow = total - value < tolerance * abs(total)
            total = evaluate_loss(x, tree, ground, goal, limbs, weights, width, firmness, True, pose, out)
            looks += 1
            if slow:
                break
    exact = evaluate_loss(x, tree, ground, goal, limbs, weights, _EXACT, firmness, False, pose, trial)
    return exact, steps, looks + 1, converged


def _direction(
    tree: Tree, pose: Pose, out: LossDerivatives, blocks: np.ndarray, inverses: np.ndarray
) -> np.ndarray:
    """Minus the inverse curvature times the gradient, ``[T, V]``; the diagonal grows until there is a factor."""
    fill_blocks(tree, pose, out, blocks)
    ridge = _RIDGE * np.trace(blocks[:, 0], axis1=1, axis2=2).mean() / blocks.shape[2]
    while not factor(blocks, ridge, inverses):
        fill_blocks(tree, pose, out, blocks)
        ridge *= 10.0
    direction = -out.grad
    solve_with(blocks, inverses, direction)
    return direction


def _parabola(step: float, slope: float, rise: float) -> float:
    """Where a parabola through value, slope and the refused value is lowest; half the step at most."""
    curve = 2.0 * (rise - step * slope)
    if not math.isfinite(curve) or curve <= 0.0:
        return 0.5 * step
    return min(-slope * step * step / curve, 0.5 * step)
