"""Inverse kinematics of a whole motion: weights of the goals, and the solution as root and joint rotations."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from parc_core.data.terrain import Terrain
from parc_data.retarget.barrier import Barrier
from parc_data.retarget.body_plan import BodyPlan
from parc_data.retarget.body_tree import BodyTree
from parc_data.retarget.landmarks import SIDES
from parc_data.retarget.pose_guess import coordinates_of
from parc_data.retarget.solver import Goals, solve
from parc_data.retarget.targets import Targets

__all__ = ["Solution", "fit", "head_point"]

# size of an error that counts as much as 1 cm of a hand: m for points, rad for turns
_HAND, _FOOT, _HEAD, _ROOT, _MIDDLE = 0.01, 0.01, 0.01, 0.05, 0.04
_PIN, _HELD_HAND = 0.002, 0.004
_SUNK, _SUNK_TERRAIN = 0.006, 0.015  # cells show a slanted box by steps, which are not worth a wild pose
_TRUNK, _LOOK, _SOLE = 0.15, 0.15, 0.15
_BEND, _GUESS = 0.6, 2.0  # rad of second difference per frame^2; rad away from the guess
_ROOT_BEND, _ROOT_SWAY = 0.004, 0.05  # the same for the root's deviation: m, rad


@attrs.frozen(kw_only=True, eq=False)
class Solution:
    """A fitted motion in float64."""

    root_pos: np.ndarray  # [T, 3] m
    root_rot: np.ndarray  # [T, 4] xyzw
    dof: np.ndarray  # [T, D] rad


def fit(
    plan: BodyPlan,
    targets: Targets,
    terrain: Terrain | None,
    ground: float,
    iterations: int,
    keeps_bends: bool = False,
) -> Solution:
    """The motion that meets the targets best within the joint limits.

    Args:
        ground: level ground where there is no terrain, m; -inf for none.
        keeps_bends: the joints bend over time as in the targets, rather than as smoothly as can be.
    """
    tree = BodyTree(plan.skeleton)
    dof = torch.from_numpy(coordinates_of(targets.body_rot, plan.skeleton))
    start = torch.cat([torch.zeros(len(dof), 6, dtype=torch.float64), dof], dim=1)
    root_pos = torch.from_numpy(np.ascontiguousarray(targets.body_pos[:, 0]))
    root_rot = torch.from_numpy(np.ascontiguousarray(targets.body_rot[:, 0]))
    goals = attrs.evolve(_goals(plan, targets, terrain, ground), keeps_bends=keeps_bends)
    x = solve(tree, goals, start, root_pos, root_rot, iterations)
    turned = Rotation.from_rotvec(x[:, 3:6].numpy()).as_matrix() @ targets.body_rot[:, 0]
    return Solution(
        root_pos=(root_pos + x[:, :3]).numpy(),
        root_rot=Rotation.from_matrix(turned).as_quat(),
        dof=x[:, 6:].numpy(),
    )


def head_point(plan: BodyPlan) -> tuple[int, np.ndarray]:
    """The head's body and the middle of its shapes in its frame."""
    head = plan.landmarks.first("head", "neck")
    geoms = [geom.pos for geom in plan.skeleton.geoms if geom.body == head]
    return int(head or 0), np.mean(geoms, axis=0).astype(float) if geoms else np.zeros(3)


def _goals(plan: BodyPlan, targets: Targets, terrain: Terrain | None, ground: float) -> Goals:
    marks, frames = plan.landmarks, len(targets.body_pos)
    head, middle = head_point(plan)
    rows: list[tuple[int, np.ndarray, float]] = [(0, np.zeros(3), _ROOT), (head, middle, _HEAD), (head, np.zeros(3), _HEAD)]
    for side in SIDES:
        for part, size in (("wrist", _HAND), ("ankle", _FOOT), ("knee", _MIDDLE), ("elbow", _MIDDLE)):
            rows.append((marks[f"{side}_{part}"], np.zeros(3), size))
    body = [row[0] for row in rows]
    local = [row[1] for row in rows]
    wanted = [targets.body_pos[:, b] + targets.body_rot[:, b] @ p for b, p, _ in rows]
    weight = [np.full(frames, 1.0 / size**2) for _, _, size in rows]
    for pin in targets.pins:
        b, p = pin.body, pin.local
        same = [i for i in range(len(rows), len(body)) if body[i] == b and np.array_equal(local[i], p)]
        if not same:
            body.append(b)
            local.append(p)
            wanted.append(np.zeros((frames, 3)))
            weight.append(np.zeros(frames))
            same = [len(body) - 1]
        wanted[same[0]][pin.frames] = pin.pos
        is_foot = any(b == marks[f"{side}_ankle"] for side in SIDES)
        weight[same[0]][pin.frames] = 1.0 / (_PIN if is_foot else _HELD_HAND) ** 2
    pos = np.stack(wanted, axis=1)
    turn_body = [0, marks.first("chest", "spine"), head, *(marks[f"{side}_ankle"] for side in SIDES)]
    sizes = [_TRUNK, _TRUNK, _LOOK, _SOLE, _SOLE]
    keep = [i for i, b in enumerate(turn_body) if b is not None]
    turn_body, sizes = [turn_body[i] for i in keep], [sizes[i] for i in keep]
    return Goals(
        point_body=torch.tensor(body),
        point_local=torch.from_numpy(np.stack(local)),
        point_pos=torch.from_numpy(pos),
        point_weight=torch.from_numpy(np.stack(weight, axis=1))[..., None].expand(-1, -1, 3),
        turn_body=torch.tensor(turn_body),
        turn_rot=torch.from_numpy(np.ascontiguousarray(targets.body_rot[:, turn_body])),
        turn_weight=torch.tensor([1.0 / size**2 for size in sizes], dtype=torch.float64).expand(frames, -1),
        smooth=_smoothness(plan),
        near=_nearness(plan),
        barrier=Barrier(plan.skeleton, terrain, ground, 1.0 / (_SUNK if terrain is None else _SUNK_TERRAIN) ** 2),
    )


def _smoothness(plan: BodyPlan) -> Tensor:
    sizes = [_ROOT_BEND] * 3 + [_ROOT_SWAY] * 3 + [_BEND] * plan.skeleton.num_dofs
    return 1.0 / torch.tensor(sizes, dtype=torch.float64).square()


def _nearness(plan: BodyPlan) -> Tensor:
    sizes = [np.inf] * 6 + [_GUESS] * plan.skeleton.num_dofs
    return 1.0 / torch.tensor(sizes, dtype=torch.float64).square()
