"""Inverse kinematics of a whole motion: weights of the goals, and the solution as root and joint rotations."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from parc_data.retarget.barrier import Barrier
from parc_data.retarget.body_plan import BodyPlan
from parc_data.retarget.body_tree import BodyTree
from parc_data.retarget.landmarks import SIDES
from parc_data.retarget.pose_guess import coordinates_of
from parc_data.retarget.solver import Goals, solve
from parc_data.retarget.targets import Targets
from parc_motion.kinematics import rotations as rot
from parc_motion.terrains import Terrain

__all__ = ["Solution", "fit", "head_point"]

# size of an error that counts as much as 1 cm of a hand: m for points, rad for turns
_HAND, _FOOT, _HEAD, _ROOT, _MIDDLE = 0.01, 0.01, 0.01, 0.05, 0.04
_PIN, _HELD_HAND = 0.002, 0.004
_SUNK, _SUNK_TERRAIN = 0.006, 0.012  # cells show a slanted box by steps, which are not worth a wild pose
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
    root_rot = torch.from_numpy(Rotation.from_matrix(targets.body_rot[:, 0]).as_quat())
    goals = attrs.evolve(_goals(plan, targets, terrain, ground), keeps_bends=keeps_bends)
    x = solve(tree, goals, start, root_pos, root_rot, iterations)
    return Solution(
        root_pos=(root_pos + x[:, :3]).numpy(),
        root_rot=rot.multiply(rot.expmap_to_quat(x[:, 3:6]), root_rot).numpy(),
        dof=x[:, 6:].numpy(),
    )


def head_point(plan: BodyPlan) -> tuple[int, np.ndarray]:
    """The head's body and the middle of its shapes in its frame."""
    head = plan.landmarks.first("head", "neck")
    geoms = [geom.pos for geom in plan.skeleton.geoms if geom.body == head]
    return int(head or 0), np.mean(geoms, axis=0).astype(float) if geoms else np.zeros(3)


def _goals(plan: BodyPlan, targets: Targets, terrain: Terrain | None, ground: float) -> Goals:
    points = _points(plan, targets)
    marks, frames = plan.landmarks, len(targets.body_pos)
    turns = [(0, _TRUNK), (marks.first("chest", "spine"), _TRUNK), (marks.first("head", "neck"), _LOOK)]
    turns += [(marks[f"{side}_ankle"], _SOLE) for side in SIDES]
    turned = [body for body, _ in turns if body is not None]
    turn_weight = [1.0 / size**2 for body, size in turns if body is not None]
    sunk = _SUNK if terrain is None else _SUNK_TERRAIN
    return Goals(
        point_body=torch.tensor([point.body for point in points]),
        point_local=torch.from_numpy(np.stack([point.local for point in points])),
        point_pos=torch.from_numpy(np.stack([point.pos for point in points], axis=1)),
        point_weight=torch.from_numpy(np.stack([point.weight for point in points], axis=1))[..., None].expand(
            -1, -1, 3
        ),
        turn_body=torch.tensor(turned),
        turn_rot=torch.from_numpy(np.ascontiguousarray(targets.body_rot[:, turned])),
        turn_weight=torch.tensor(turn_weight, dtype=torch.float64).expand(frames, -1),
        smooth=_weights([_ROOT_BEND] * 3 + [_ROOT_SWAY] * 3 + [_BEND] * plan.skeleton.num_dofs),
        near=_weights([np.inf] * 6 + [_GUESS] * plan.skeleton.num_dofs),
        barrier=Barrier(plan.skeleton, terrain, ground, 1.0 / sunk**2),
    )


@attrs.frozen(kw_only=True, eq=False)
class _Point:
    """A point of a body and where it should be."""

    body: int
    local: np.ndarray  # [3] m
    pos: np.ndarray  # [T, 3] m
    weight: np.ndarray  # [T]


def _points(plan: BodyPlan, targets: Targets) -> list[_Point]:
    marks, frames = plan.landmarks, len(targets.body_pos)
    head, middle = head_point(plan)
    rows = [(0, np.zeros(3), _ROOT), (head, middle, _HEAD), (head, np.zeros(3), _HEAD)]
    for side in SIDES:
        for part, size in (("wrist", _HAND), ("ankle", _FOOT), ("knee", _MIDDLE), ("elbow", _MIDDLE)):
            rows.append((marks[f"{side}_{part}"], np.zeros(3), size))
    points = [
        _Point(
            body=body,
            local=local,
            pos=targets.body_pos[:, body] + targets.body_rot[:, body] @ local,
            weight=np.full(frames, 1.0 / size**2),
        )
        for body, local, size in rows
    ]
    return points + _pinned(plan, targets)


def _pinned(plan: BodyPlan, targets: Targets) -> list[_Point]:
    """Points that stand or hold on: one for each place on a body, without weight while it is free."""
    frames = len(targets.body_pos)
    feet = {plan.landmarks[f"{side}_ankle"] for side in SIDES}
    found: dict[tuple[float, ...], _Point] = {}
    for pin in targets.pins:
        key = (pin.body, *pin.local)
        if key not in found:
            found[key] = _Point(
                body=pin.body, local=pin.local, pos=np.zeros((frames, 3)), weight=np.zeros(frames)
            )
        found[key].pos[pin.frames] = pin.pos
        found[key].weight[pin.frames] = 1.0 / (_PIN if pin.body in feet else _HELD_HAND) ** 2
    return list(found.values())


def _weights(sizes: list[float]) -> Tensor:
    return 1.0 / torch.tensor(sizes, dtype=torch.float64).square()
