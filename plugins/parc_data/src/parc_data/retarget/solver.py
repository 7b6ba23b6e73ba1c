"""Gauss-Newton over all frames of a motion at once, inside joint limits.

The coordinates of all frames are one vector; what couples frames is the second difference over time, so the normal
equations are a band that a banded Cholesky factorization solves in time linear in the number of frames. Limits are
bounds of the coordinates: a coordinate that sits on a bound and is pushed outwards is held there, and every step is
clipped. A ball joint's exponential map also keeps an angle below pi, so it reads back as it was written.

Source: Levenberg-Marquardt with an active set (Nocedal and Wright, Numerical Optimization, chapters 10 and 16).
"""

from __future__ import annotations

import attrs
import numpy as np
import torch
from scipy.linalg import LinAlgError, solveh_banded
from torch import Tensor

from parc_core.interfaces import stop_point
from parc_data.retarget.barrier import Barrier, Sunk
from parc_data.retarget.body_tree import BodyTree, Posed
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import JointKind, Skeleton

__all__ = ["Goals", "Limits", "limits_of", "solve"]

_MARGIN = 1e-4  # rad inside each limit: files hold float32
_ENOUGH = 1e-3  # relative gain of a step below which the next is not worth its time
_MAX_ANGLE = 3.1  # rad of a ball joint's exponential map
_WINDOW, _AHEAD = 512, 24  # frames solved at once, and how many of them the next window solves again


@attrs.frozen(kw_only=True, eq=False)
class Goals:
    """What a motion should do; every weight is per squared meter or radian, 0 where there is no goal."""

    point_body: Tensor  # [P]
    point_local: Tensor  # [P, 3] m
    point_pos: Tensor  # [T, P, 3] m
    point_weight: Tensor  # [T, P, 3]
    turn_body: Tensor  # [O]
    turn_rot: Tensor  # [T, O, 3, 3]
    turn_weight: Tensor  # [T, O]
    smooth: Tensor  # [N], weight of the squared second difference
    near: Tensor  # [N], weight of the squared distance from the start
    barrier: Barrier  # keeps the body out of the ground
    keeps_bends: bool = False  # second differences are compared with those of the start, not with none

    def frames(self, first: int, stop: int) -> Goals:
        """Frames first .. stop - 1."""
        parts = ("point_pos", "point_weight", "turn_rot", "turn_weight")
        return attrs.evolve(self, **{name: getattr(self, name)[first:stop] for name in parts})


@attrs.frozen(kw_only=True, eq=False)
class Limits:
    """Bounds of all coordinates, and the places of ball joints."""

    lower: Tensor  # [N]
    upper: Tensor  # [N]
    balls: Tensor  # [K, 3] int64

    def clip(self, x: Tensor) -> Tensor:
        """The coordinates moved inside, ``[T, N]``."""
        x = x.clone()
        x[:, self.balls] *= _MAX_ANGLE / x[:, self.balls].norm(dim=-1, keepdim=True).clamp_min(_MAX_ANGLE)
        return torch.minimum(torch.maximum(x, self.lower), self.upper)


def limits_of(skeleton: Skeleton) -> Limits:
    """The skeleton's joint limits, a hair narrower; the root is free."""
    free = np.full(6, np.inf)
    lower, upper = skeleton.dof_lower.astype(float), skeleton.dof_upper.astype(float)
    margin = np.minimum(_MARGIN, 0.5 * (upper - lower))
    balls = [
        [6 + place.start + i for i in range(3)]
        for joint, place in zip(skeleton.joints, skeleton.dof_slices)
        if joint.kind is JointKind.BALL
    ]
    return Limits(
        lower=torch.tensor(np.concatenate([-free, lower + margin])),
        upper=torch.tensor(np.concatenate([free, upper - margin])),
        balls=torch.tensor(balls, dtype=torch.long).reshape(-1, 3),
    )


def solve(
    tree: BodyTree, goals: Goals, start: Tensor, root_pos: Tensor, root_rot: Tensor, iterations: int
) -> Tensor:
    """Coordinates ``[T, N]`` that meet the goals best, from `start`; see `BodyTree.forward` for the root.

    Long motions are solved in windows; the last two frames of one are fixed in the next.
    """
    limits = limits_of(tree.skeleton)
    x = limits.clip(start)
    first, frames = 0, len(x)
    while first < frames:
        lead = min(first, 2)
        begin, stop = first - lead, min(first + _WINDOW + _AHEAD, frames)
        stop = frames if frames - stop < _AHEAD else stop
        part = slice(begin, stop)
        problem = _Problem(tree, goals.frames(begin, stop), limits, root_pos[part], root_rot[part], lead)
        x[part] = problem.minimize(x[part], iterations)
        first = frames if stop == frames else first + _WINDOW
    return x


class _Problem:
    def __init__(
        self, tree: BodyTree, goals: Goals, limits: Limits, root_pos: Tensor, root_rot: Tensor, lead: int
    ) -> None:
        self.tree, self.goals, self.limits = tree, goals, limits
        self.root_pos, self.root_rot, self.lead = root_pos, root_rot, lead
        self.start = self.bend = torch.zeros(0)

    def minimize(self, x: Tensor, iterations: int) -> Tensor:
        damping = 1e-3
        self.start = x.clone()
        bend = x.diff(n=2, dim=0)
        self.bend = bend if self.goals.keeps_bends else torch.zeros_like(bend)
        cost, posed, sunk = self._cost(x)
        for _ in range(iterations):
            stop_point()
            gradient, blocks = self._normal(x, posed, sunk)
            held = ((x <= self.limits.lower) & (gradient > 0)) | ((x >= self.limits.upper) & (gradient < 0))
            held[: self.lead] = True
            for _ in range(6):
                step = self._step(gradient, blocks, held, damping)
                trial = self.limits.clip(x - step)
                trial[: self.lead] = x[: self.lead]
                trial_cost, trial_posed, trial_sunk = self._cost(trial)
                if trial_cost < cost:
                    break
                damping *= 10.0
            else:
                return x
            gain = 1.0 - trial_cost / cost
            x, cost, posed, sunk = trial, trial_cost, trial_posed, trial_sunk
            damping /= 5.0
            if gain < _ENOUGH:
                break
        return x

    def _residuals(self, posed: Posed) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Points, their residuals and weights, and the residuals of turned bodies."""
        goals = self.goals
        points = self.tree.points(posed, goals.point_body, goals.point_local)
        offset, weight = points - goals.point_pos, goals.point_weight
        turned = posed.rot[:, goals.turn_body] @ goals.turn_rot.transpose(-1, -2)
        turn = rot.quat_to_expmap(rot.matrix_to_quat(turned))
        return points, offset, weight, turn

    def _cost(self, x: Tensor) -> tuple[float, Posed, Sunk]:
        posed = self.tree.forward(x, self.root_pos, self.root_rot)
        _, offset, weight, turn = self._residuals(posed)
        sunk = self.goals.barrier.sunk(self.tree, posed)
        total = (
            (weight * offset.square()).sum()
            + self.goals.barrier.cost(sunk)
            + (self.goals.turn_weight[..., None] * turn.square()).sum()
        )
        total = total + (self.goals.near * (x - self.start).square()).sum()
        if len(self.bend):
            total = total + (self.goals.smooth * (x.diff(n=2, dim=0) - self.bend).square()).sum()
        return float(total), posed, sunk

    def _normal(self, x: Tensor, posed: Posed, sunk: Sunk) -> tuple[Tensor, Tensor]:
        """Gradient ``[T, N]`` and diagonal blocks ``[T, N, N]`` of the normal equations, without smoothing's."""
        goals = self.goals
        points, offset, weight, turn = self._residuals(posed)
        jac = torch.cat(
            [
                self.tree.point_jacobian(posed, goals.point_body, points).flatten(1, 2),
                self.tree.turn_jacobian(posed, goals.turn_body).flatten(1, 2),
            ],
            dim=1,
        )
        weights = torch.cat([weight.flatten(1), goals.turn_weight.repeat_interleave(3, dim=1)], dim=1)
        residual = torch.cat([offset.flatten(1), turn.flatten(1)], dim=1)
        weighted = (jac * weights[..., None]).transpose(1, 2)
        gradient = (weighted @ residual[..., None]).squeeze(-1) + goals.near * (x - self.start)
        if len(self.bend):
            bend = goals.smooth * (x.diff(n=2, dim=0) - self.bend)
            gradient[:-2] += bend
            gradient[1:-1] -= 2.0 * bend
            gradient[2:] += bend
        blocks = weighted @ jac + torch.diag(goals.near)
        goals.barrier.add_to(gradient, blocks, sunk, self.tree, posed)
        return gradient, blocks

    def _step(self, gradient: Tensor, blocks: Tensor, held: Tensor, damping: float) -> Tensor:
        """Solution of the damped normal equations with held coordinates at zero, ``[T, N]``."""
        frames, size = gradient.shape
        free = (~held).to(torch.float64)
        band = np.zeros((2 * size + 1, frames * size))
        rows = band.reshape(2 * size + 1, frames, size)
        h = (blocks * free[:, :, None] * free[:, None, :]).numpy()
        for d in range(size):
            rows[d, :, : size - d] = np.diagonal(h, offset=-d, axis1=1, axis2=2)
        smooth, f = self.goals.smooth.numpy(), free.numpy()
        if frames > 2:
            ends = np.full((frames, 1), 6.0)
            ends[[0, -1]], ends[[1, -2]] = 1.0, 5.0
            if frames == 3:
                ends[1] = 4.0
            next_one = np.full((frames - 1, 1), -4.0)
            next_one[[0, -1]] = -2.0
            rows[0] += ends * smooth * f
            rows[size, :-1] = next_one * smooth * f[:-1] * f[1:]
            rows[2 * size, :-2] = smooth * f[:-2] * f[2:]
        rows[0] += np.where(f > 0, damping * (1.0 + rows[0]), 1.0)
        try:
            step = solveh_banded(
                band, (gradient * free).numpy().ravel(), overwrite_ab=True, lower=True, check_finite=False
            )
        except LinAlgError:
            return torch.zeros_like(
                gradient
            )  # not positive definite by rounding: the caller raises the damping
        return torch.from_numpy(step.reshape(frames, size))
