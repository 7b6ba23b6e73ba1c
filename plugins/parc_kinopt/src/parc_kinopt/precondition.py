"""An inverse Hessian to begin with: stiff in fast movements of heavy branches, soft in slow ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from parc_core.data.skeleton import Skeleton

__all__ = ["TimePreconditioner"]


class TimePreconditioner:
    """Per variable a matrix over time, reg + smoothness + jerk, inverted once.

    The quadratic part of the loss couples a variable mostly with itself at neighbouring frames. How strongly, depends
    on how far it moves the bodies: `lever` is the sum of squared distances of the bodies that it turns, 1 per body for
    the root's position.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        num_frames: int,
        weights: dict[str, float],
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
        jerk_share: float = 0.01,
    ) -> None:
        self.num_frames = num_frames
        reg, lever, turns = _coefficients(skeleton, weights)
        eye = np.eye(num_frames)
        d1 = np.diff(eye, n=1, axis=0)
        d3 = np.diff(eye, n=min(3, num_frames - 1), axis=0) if num_frames > 1 else d1
        smooth = 2.0 * weights.get("smoothness", 0.0) * (lever + turns)
        jerk = jerk_share * weights.get("jerk", 0.0) / 1e-2 * lever
        matrix = (
            reg[:, None, None] * eye + smooth[:, None, None] * (d1.T @ d1) + jerk[:, None, None] * (d3.T @ d3)
        )
        self.inverse = torch.as_tensor(np.linalg.inv(matrix), dtype=dtype, device=device)  # [V, T, T]

    def __call__(self, ids: Tensor, g: Tensor, width: Tensor) -> Tensor:
        """About the inverse Hessian times gradients ``[A, T * V]``."""
        by_variable = g.unflatten(-1, (self.num_frames, -1)).permute(2, 1, 0)  # [V, T, A]
        return torch.bmm(self.inverse, by_variable).permute(2, 1, 0).flatten(1)


def _coefficients(skeleton: Skeleton, weights: dict[str, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Regularisation, lever and number of turned bodies of each variable, ``[6 + D]``."""
    place = np.zeros((skeleton.num_bodies, 3))
    for body, parent in enumerate(skeleton.parents):
        if parent >= 0:
            place[body] = place[parent] + skeleton.offsets[body]
    members = np.eye(skeleton.num_bodies, dtype=bool)
    for body in reversed(range(1, skeleton.num_bodies)):
        members[skeleton.parents[body]] |= members[body]
    distance = ((place[None] - place[:, None]) ** 2).sum(-1)
    lever, turns = (distance * members).sum(-1), members.sum(-1)
    per_dof = np.concatenate([[i + 1] * joint.kind.num_dofs for i, joint in enumerate(skeleton.joints)]).astype(int)
    count = skeleton.num_bodies
    base = 1e-3  # keeps the matrix invertible without any regularising term
    return (
        base + 2.0 * np.repeat([weights.get(k, 0.0) for k in ("root_pos", "root_rot", "joint_rot")], [3, 3, len(per_dof)]),
        np.concatenate([[count] * 3, [lever[0]] * 3, lever[per_dof]]) + 1e-3,
        np.concatenate([[0.0] * 3, [turns[0]] * 3, turns[per_dof]]).astype(float),
    )
