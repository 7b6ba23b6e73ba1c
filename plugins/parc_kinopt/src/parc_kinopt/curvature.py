"""Gauss-Newton curvature of the loss: a block-banded matrix over time, and its inverse for the solver.

Every term is a function of where bodies are in one frame or in up to four consecutive ones. So the Hessian is about
J_t^T G_k[t] J_{t+k} for k = 0..3, with the bodies' Jacobians J_t and block-diagonal weights G_k (6 by 6 per body: its
position and its rotation in the world). The rounded non-smooth terms weigh as slope / size (iteratively reweighted
least squares), which is never below their true curvature.

Source: banded Gauss-Newton is the fastest method measured on this objective; here it preconditions L-BFGS, which
repairs what the approximation leaves out, so that it need not be exact and is made anew only now and then.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded
from torch import Tensor

from parc_core.data.skeleton import Skeleton
from parc_core.geometry.distance import signed_distance
from parc_core.kinematics.rotations import quat_to_matrix
from parc_kinopt import kernels
from parc_kinopt.batch import split
from parc_kinopt.objective import MotionLoss

__all__ = ["BandedCurvature", "body_jacobian", "left_jacobian", "weight_of_excess"]

_THIRD = (-1.0, 3.0, -3.0, 1.0)
_SECOND = (1.0, -2.0, 1.0)


def left_jacobian(v: Tensor) -> Tensor:
    """Rotation in the parent frame per change of an exponential map, ``[..., 3, 3]`` for ``[..., 3]``."""
    square = v.square().sum(-1)[..., None, None]
    small = square < 1e-6
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    first = torch.where(small, 0.5 - square / 24.0, (1.0 - torch.cos(angle)) / safe)
    second = torch.where(small, 1.0 / 6.0 - square / 120.0, (angle - torch.sin(angle)) / (safe * angle))
    k = cross_matrix(v)
    return torch.eye(3, dtype=v.dtype, device=v.device) + first * k + second * (k @ k)


def cross_matrix(v: Tensor) -> Tensor:
    """Matrix of the cross product with v, ``[..., 3, 3]``."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], dim=-1).unflatten(-1, (3, 3))


def weight_of_excess(r: Tensor, width: Tensor) -> Tensor:
    """slope / size of `kernels.excess`, 0 where r <= 0: ``[...]``."""
    return torch.where(r > 0, 1.0 / torch.maximum(r, width), torch.zeros_like(r))


def body_jacobian(x: Tensor, body_pos: Tensor, matrix: Tensor, skeleton: Skeleton) -> Tensor:
    """Change of each body's position and rotation (world) per variable: ``[..., B, 6, 6 + D]``.

    Args:
        x: variables, ``[..., 6 + D]``.
        body_pos: ``[..., B, 3]`` m.
        matrix: ``[..., B, 3, 3]``.
    """
    axes, moved, centres = [left_jacobian(x[..., 3:6]).mT], [0] * 3, [0] * 3
    for i, (joint, where) in enumerate(zip(skeleton.joints, skeleton.dof_slices)):
        body, count = i + 1, where.stop - where.start
        if count == 0:
            continue
        parent = matrix[..., skeleton.parents[body], :, :]
        v = x[..., 6 + where.start : 6 + where.stop]
        axis = (
            left_jacobian(v) if count == 3 else v.new_tensor(joint.axis)[:, None].expand(*v.shape[:-1], 3, 1)
        )
        axes.append((parent @ axis).mT)
        moved += [body] * count
        centres += [body] * count
    axis = torch.cat(axes, dim=-2)[..., None, :, :]  # [..., 1, 3 + D, 3]
    inside = _descendants(skeleton)[:, moved].to(x)[:, :, None]  # [B, 3 + D, 1]
    lever = body_pos[..., :, None, :] - body_pos[..., centres, :][..., None, :, :]
    shape = lever.shape
    turn = (axis * inside).expand(shape)
    linear = torch.linalg.cross(turn, lever, dim=-1)
    rotational = torch.cat([linear, turn], dim=-1).mT  # [..., B, 6, 3 + D]
    shift = torch.cat([torch.eye(3), torch.zeros(3, 3)]).to(x).expand(*shape[:-2], 6, 3)
    return torch.cat([shift, rotational], dim=-1)


def _descendants(skeleton: Skeleton) -> Tensor:
    """1 where row's body is column's body or hangs from it, ``[B, B]`` bool."""
    inside = torch.eye(skeleton.num_bodies, dtype=torch.bool)
    for body in range(1, skeleton.num_bodies):
        inside[body] |= inside[skeleton.parents[body]]
    return inside


class BandedCurvature:
    """Preconditioner of `solver.minimize`: about the inverse Hessian at the point where each clip was last updated."""

    def __init__(self, loss: MotionLoss, skeleton: Skeleton) -> None:
        self.loss, self.skeleton = loss, skeleton
        self._factors: dict[int, np.ndarray] = {}
        size = 6 + skeleton.num_dofs
        k, a, b = np.meshgrid(np.arange(4), np.arange(size), np.arange(size), indexing="ij")
        self._row, self._keep = size * k + a - b, (size * k + a - b) >= 0
        self._column = b

    def __call__(self, ids: Tensor, g: Tensor, width: Tensor) -> Tensor:
        """About the inverse Hessian times gradients ``[R, n]`` of clips ``[R]``."""
        values = g.double().cpu().numpy()
        solved = np.empty_like(values)
        for clip in np.unique(ids.cpu().numpy()).tolist():  # LAPACK solves one clip at a time
            rows = np.flatnonzero(ids.cpu().numpy() == clip)
            factor = self._factors[clip]
            solved[rows] = cho_solve_banded((factor, True), values[rows].T, check_finite=False).T
        return torch.as_tensor(solved, device=g.device).to(g.dtype)

    def update(self, ids: Tensor, x: Tensor, width: Tensor) -> None:
        """Take the curvature of clips ``[A]`` at points ``[A, n]``."""
        blocks = self.blocks(ids, x, width).double().cpu().numpy()  # [A, 4, T, V, V]
        frames, size = blocks.shape[2:4]
        for clip, block in zip(ids.tolist(), blocks):
            band = np.zeros((4 * size, frames, size))
            for k in range(4):
                keep = self._keep[k]
                rows, columns = self._row[k][keep], self._column[k][keep]
                # entry (t + k, a), (t, b) of the matrix; blocks hold (t, a), (t + k, b)
                band[rows, :, columns] = block[k].transpose(2, 1, 0)[keep]
            band = band.reshape(4 * size, frames * size)
            self._factors[clip] = _factor(band)

    def blocks(self, ids: Tensor, x: Tensor, width: Tensor) -> Tensor:
        """Blocks (t, t + k) of the curvature, ``[A, 4, T, V, V]``; those beyond the last frame are 0."""
        with torch.no_grad():
            loss = self.loss
            loss.focus(ids)
            x = x.unflatten(-1, (loss.targets.num_frames, -1))
            body_pos, body_rot = loss.body.kin.forward(*split(x, loss.body.kin))
            matrix = quat_to_matrix(body_rot)
            jacobian = (
                body_jacobian(x, body_pos, matrix, self.skeleton) * loss.masks[0][..., None, None, None]
            )
            weights = _BodyWeights(loss, body_pos, matrix, width)
            flat = jacobian.flatten(2, 3)  # [A, T, 6 B, V]
            result = x.new_zeros((len(x), 4, x.shape[1], x.shape[2], x.shape[2]))
            for k in range(min(4, x.shape[1])):
                stop = x.shape[1] - k
                weighted = (weights.body[k][:, :stop] @ jacobian[:, k:]).flatten(2, 3)
                result[:, k, :stop] = flat[:, :stop].mT @ weighted
            self._add_mass(result, weights, jacobian, matrix)
            result[:, 0].diagonal(dim1=-2, dim2=-1).add_(self._diagonal(x, width))
        return result

    def _add_mass(self, result: Tensor, weights: _BodyWeights, jacobian: Tensor, matrix: Tensor) -> None:
        """Terms in the acceleration of the centre of mass couple all bodies."""
        body = self.loss.body
        if not weights.fall.any():
            return
        lever = cross_matrix((matrix @ body.com[:, :, None]).squeeze(-1))
        com = (jacobian[..., :3, :] - lever @ jacobian[..., 3:, :]) * body.mass[:, None, None]
        com = com.sum(dim=2)  # [A, T, 3, V]
        frames = com.shape[1]
        for i, a in enumerate(_SECOND):
            for j in range(i, 3):
                at = slice(i, frames - 2 + i)
                other = com[:, j : frames - 2 + j]
                block = com[:, at].mT @ (other * (a * _SECOND[j] * weights.fall)[..., None, None])
                result[:, j - i, at] += block

    def _diagonal(self, x: Tensor, width: Tensor) -> Tensor:
        """Terms that act on single variables, ``[A, T, V]``; 1 in the padding."""
        weights, mask = self.loss.weights, self.loss.masks[0][..., None]
        own = [weights.get("root_pos", 0.0)] * 3 + [weights.get("root_rot", 0.0)] * 3
        own += [weights.get("joint_rot", 0.0)] * (x.shape[-1] - 6)
        diagonal = 2.0 * x.new_tensor(own).expand_as(x) + 1e-3
        if "joint_limit" in weights:
            kin = self.loss.body.kin
            over = torch.maximum(kin.dof_lower - x[..., 6:], x[..., 6:] - kin.dof_upper)
            limit = weights["joint_limit"] * weight_of_excess(over, width[:, None, None])
            diagonal = torch.cat([diagonal[..., :6], diagonal[..., 6:] + limit], dim=-1)
        return diagonal * mask + (1.0 - mask)


class _BodyWeights:
    """G_k[t] per body: ``body[k]`` ``[A, T, B, 6, 6]``, and the weight of free fall ``fall`` ``[A, T - 2]``."""

    def __init__(self, loss: MotionLoss, body_pos: Tensor, matrix: Tensor, width: Tensor) -> None:
        self.loss, self.width = loss, width
        shape = (*body_pos.shape[:3], 6, 6)
        self.body = [body_pos.new_zeros(shape) for _ in range(4)]
        self._points(body_pos, matrix)
        self._steps(body_pos, matrix)
        self._jerk(body_pos)
        get = loss.weights.get
        self.fall = 2.0 * (
            get("ballistic", 0.0) * loss.targets.airborne + get("steadiness", 0.0) * loss.supported
        )

    def _between(self, weight: Tensor) -> None:
        """Add a term in the difference of two frames, ``[A, T - 1, B, 6, 6]``."""
        self.body[0][:, :-1] += weight
        self.body[0][:, 1:] += weight
        self.body[1][:, :-1] -= weight

    def _steps(self, body_pos: Tensor, matrix: Tensor) -> None:
        weights, targets = self.loss.weights, self.loss.targets
        if "sliding" in weights:
            grip = weights["sliding"] * self.loss.grip / kernels.SLIDE_WIDTH
            eye = torch.eye(6, dtype=body_pos.dtype, device=body_pos.device)
            self._between(grip[..., None, None] * eye)
        if "smoothness" in weights:
            both = 2.0 * weights["smoothness"] * self.loss.masks[1]
            eye = torch.eye(6, dtype=body_pos.dtype, device=body_pos.device)
            self._between(both[..., None, None, None] * eye.expand(*both.shape, body_pos.shape[2], 6, 6))
        if "foot_lock" not in weights:
            return
        feet = self.loss.body.feet
        bodies = [foot.body for foot in feet]
        local = torch.stack([self.loss.body.cloud.points[list(foot.corners)] for foot in feet])
        lever = local @ matrix[:, :, bodies].mT  # [A, T, F, 4, 3]
        corner = body_pos[:, :, bodies, None] + lever
        w = self.width[:, None, None, None]
        size = (corner[:, 1:] - corner[:, :-1]).norm(dim=-1)
        slide = weights["foot_lock"] * targets.lock_pair * weight_of_excess(size + 1e-9, w)
        reach = _reach(lever)  # [A, T, F, 4, 3, 6]
        add = torch.zeros_like(self.body[0][:, 1:])
        add[:, :, bodies] = ((reach[:, :-1].mT @ reach[:, :-1]) * slide[..., None, None]).sum(dim=3)
        self._between(add)
        rise = (corner[..., 2] - targets.lock_height[..., None]).abs()
        height = weights["foot_lock"] * targets.lock * weight_of_excess(rise + 1e-9, w)
        row = reach[..., 2, :]
        self.body[0][:, :, bodies] += (row[..., :, None] * row[..., None, :] * height[..., None, None]).sum(
            dim=3
        )

    def _jerk(self, body_pos: Tensor) -> None:
        weights, targets = self.loss.weights, self.loss.targets
        if "jerk" not in weights or body_pos.shape[1] < 4:
            return
        size = kernels.third_difference(body_pos).norm(dim=-1)
        over = size - targets.jerk_limit[:, None, None]
        weight = (
            weights["jerk"]
            * weight_of_excess(over, self.width[:, None, None])
            * self.loss.masks[3][..., None]
        )
        frames = body_pos.shape[1]
        for i, a in enumerate(_THIRD):
            for j in range(i, 4):
                block = (a * _THIRD[j] * weight)[..., None]
                self.body[j - i][:, i : frames - 3 + i].diagonal(dim1=-2, dim2=-1)[..., :3].add_(block)

    def _points(self, body_pos: Tensor, matrix: Tensor) -> None:
        """Penetration, contact and body constraints: single points pushed along one direction."""
        loss, frames = self.loss, body_pos.shape[1]
        flat_pos, flat_matrix = body_pos.flatten(0, 1), matrix.flatten(0, 1)
        for name, frame, body, place, weight in loss.pushes(flat_pos, flat_matrix):
            place = place.clone().requires_grad_()
            with torch.enable_grad():
                distance = signed_distance(loss.terrains, loss.frame_terrain[frame], place, None)
                (normal,) = torch.autograd.grad(distance.sum(), place)
            weight = (
                loss.weights[name]
                * weight
                * weight_of_excess(distance.detach().abs(), self.width[frame // frames])
            )
            self._push(frame, body, place.detach() - flat_pos[frame, body], normal, weight)
        for limb, clip, frame, lever, offset, weight, across in loss.pulls(body_pos, matrix, self.width):
            index = clip * frames + frame
            body, scale = torch.full_like(index, limb.body), loss.weights["body_constraint"]
            self._push(index, body, lever, offset, scale * (weight - across))
            for axis in torch.eye(3, dtype=offset.dtype, device=offset.device):
                self._push(index, body, lever, axis.expand_as(offset), scale * across)

    def _push(self, frame: Tensor, body: Tensor, lever: Tensor, normal: Tensor, weight: Tensor) -> None:
        row = (normal[:, None] @ _reach(lever)).squeeze(1)  # [R, 6]
        flat = self.body[0].flatten(0, 2)
        index = frame * self.body[0].shape[2] + body
        flat.index_add_(0, index, row[:, :, None] * row[:, None, :] * weight[:, None, None])


def _reach(lever: Tensor) -> Tensor:
    """Movement of a point per movement and rotation of its body, ``[..., 3, 6]`` for levers ``[..., 3]``."""
    eye = torch.eye(3, dtype=lever.dtype, device=lever.device).expand(*lever.shape, 3)
    return torch.cat([eye, -cross_matrix(lever)], dim=-1)


def _factor(band: np.ndarray) -> np.ndarray:
    """Banded Cholesky factor; the diagonal grows until there is one."""
    ridge = 1e-6 * float(band[0].mean())
    for _ in range(20):
        lifted = band.copy()
        lifted[0] += ridge
        try:
            return cholesky_banded(lifted, lower=True, check_finite=False)
        except LinAlgError:
            ridge *= 10.0
    raise LinAlgError("the curvature of the loss has no Cholesky factor even with its diagonal raised")
