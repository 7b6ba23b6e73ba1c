"""Which joint each column of a file of positions is, and how the joints are connected."""

from __future__ import annotations

import pathlib

import attrs
import numpy as np
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from parc_motion.errors import DataError

__all__ = ["LAYOUTS", "Layout", "find_layout", "tree_of"]

_ROOTS = ("hips", "pelvis", "root", "hip")
_SAMPLES = 60  # frames that are looked at
_SAME_LENGTH = 0.05  # relative std of a bone's length over time
_SAME_SIDES = 0.10  # relative difference of a left and a right bone


@attrs.frozen(kw_only=True)
class Layout:
    """Joints of a file in the order of its columns."""

    title: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    fps: float | None = None  # where all files of the layout have the same

    def side_pairs(self) -> list[tuple[int, int]]:
        """Left and right joint of each pair."""
        index = {name: i for i, name in enumerate(self.names)}
        pairs = (("left", "right"), ("Left", "Right"))
        return [
            (i, index[name.replace(left, right)])
            for name, i in index.items()
            for left, right in pairs
            if left in name and name.replace(left, right) in index
        ]


def _chain(*joints: tuple[str, str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    names = tuple(name for name, _ in joints)
    return names, tuple(-1 if parent == "" else names.index(parent) for _, parent in joints)


def _arm(side: str) -> list[tuple[str, str]]:
    arm = [("Shoulder", "Spine1"), ("Arm", "Shoulder"), ("ForeArm", "Arm"), ("Hand", "ForeArm")]
    joints = [(side + name, parent if parent == "Spine1" else side + parent) for name, parent in arm]
    for finger in ("Thumb", "Index", "Middle", "Ring", "Pinky"):
        for number in (1, 2, 3):
            parent = f"{side}Hand" if number == 1 else f"{side}Hand{finger}{number - 1}"
            joints.append((f"{side}Hand{finger}{number}", parent))
    return joints


def _leg(side: str) -> list[tuple[str, str]]:
    leg = [("UpLeg", "Hips"), ("Leg", "UpLeg"), ("Foot", "Leg"), ("ToeBase", "Foot")]
    return [(side + name, parent if parent == "Hips" else side + parent) for name, parent in leg]


def _mocap_53() -> Layout:
    names, parents = _chain(
        ("Hips", ""),
        ("Spine", "Hips"),
        ("Spine1", "Spine"),
        ("Neck", "Spine1"),
        ("Head", "Neck"),
        *_arm("Left"),
        *_arm("Right"),
        *_leg("Left"),
        *_leg("Right"),
        ("LeftFootMod", "LeftFoot"),
        ("RightFootMod", "RightFoot"),
    )
    return Layout(title="mocap with fingers, 53 joints", names=names, parents=parents, fps=120.0)


def _smpl(joints: int) -> Layout:
    names, parents = _chain(
        ("pelvis", ""),
        ("left_hip", "pelvis"),
        ("right_hip", "pelvis"),
        ("spine1", "pelvis"),
        ("left_knee", "left_hip"),
        ("right_knee", "right_hip"),
        ("spine2", "spine1"),
        ("left_ankle", "left_knee"),
        ("right_ankle", "right_knee"),
        ("spine3", "spine2"),
        ("left_foot", "left_ankle"),
        ("right_foot", "right_ankle"),
        ("neck", "spine3"),
        ("left_collar", "spine3"),
        ("right_collar", "spine3"),
        ("head", "neck"),
        ("left_shoulder", "left_collar"),
        ("right_shoulder", "right_collar"),
        ("left_elbow", "left_shoulder"),
        ("right_elbow", "right_shoulder"),
        ("left_wrist", "left_elbow"),
        ("right_wrist", "right_elbow"),
        ("left_hand", "left_wrist"),
        ("right_hand", "right_wrist"),
    )
    return Layout(title=f"SMPL, {joints} joints", names=names[:joints], parents=parents[:joints])


def _lafan() -> Layout:
    def leg(side: str) -> list[tuple[str, str]]:
        return [(name.replace("ToeBase", "Toe"), parent) for name, parent in _leg(side)]

    def arm(side: str) -> list[tuple[str, str]]:
        return [(name, parent.replace("Spine1", "Spine2")) for name, parent in _arm(side)[:4]]

    names, parents = _chain(
        ("Hips", ""), *leg("Left"), *leg("Right"), ("Spine", "Hips"), ("Spine1", "Spine"), ("Spine2", "Spine1"),
        ("Neck", "Spine2"), ("Head", "Neck"), *arm("Left"), *arm("Right"),
    )  # fmt: skip
    return Layout(title="LAFAN1, 22 joints", names=names, parents=parents)


LAYOUTS: tuple[Layout, ...] = (_mocap_53(), _smpl(24), _smpl(22), _lafan())
"""Layouts that are known without names.

Source: 53 joints: looked at in a published climb (rigid distances give the bones; 120 Hz after its publisher); SMPL:
its body model; LAFAN1: the order of its BVH files.
"""


def find_layout(positions: np.ndarray) -> Layout | None:
    """The known layout that positions ``[T, J, 3]`` fit, None for none or several."""
    some = positions[:: max(len(positions) // _SAMPLES, 1)].astype(np.float64)
    fitting = [one for one in LAYOUTS if len(one.names) == positions.shape[1] and _fits(one, some)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(layout: Layout, positions: np.ndarray) -> bool:
    child = np.arange(1, len(layout.names))
    bones = np.linalg.norm(positions[:, child] - positions[:, list(layout.parents[1:])], axis=-1)
    size = float(bones.mean(axis=0).sum())
    mean = np.concatenate([[0.0], bones.mean(axis=0)])
    allowance = 1e-4 * size  # for bones of length zero
    if not size > 0 or (bones.std(axis=0) > _SAME_LENGTH * mean[1:] + allowance).any():
        return False
    return all(
        abs(mean[a] - mean[b]) <= _SAME_SIDES * max(mean[a], mean[b]) + allowance
        for a, b in layout.side_pairs()
    )


def tree_of(
    path: pathlib.Path, positions: np.ndarray, names: tuple[str, ...], parents: tuple[int, ...] | None
) -> tuple[Layout, np.ndarray]:
    """Layout of named columns, parents first, and the columns in that order.

    Without parents the root is the joint called hips, pelvis or root (else the first), and bones are the pairs whose
    distance changes least, the shorter ones first.

    Raises:
        DataError: the parents are not a tree.
    """
    if parents is not None:
        root = _root_of(path, parents, len(names))
        links = np.zeros((len(names), len(names)))
        for joint, parent in enumerate(parents):
            if joint != root:
                links[joint, parent] = 1.0
    else:
        plain = [name.lower().split(":")[-1] for name in names]
        root = next((plain.index(name) for name in _ROOTS if name in plain), 0)
        links = minimum_spanning_tree(_edge_costs(positions)).toarray()
    order, before = breadth_first_order(links, root, directed=False)
    if len(order) != len(names):
        raise DataError(f"{path}: parents: joints form a cycle; every joint has to descend from the root.")
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(order))
    return (
        Layout(
            title="named by the file",
            names=tuple(names[i] for i in order),
            parents=tuple(-1 if i == root else int(place[before[i]]) for i in order),
        ),
        order.astype(np.int64),
    )


def _root_of(path: pathlib.Path, parents: tuple[int, ...], joints: int) -> int:
    if len(parents) != joints:
        raise DataError(f"{path}: parents: {len(parents)} for {joints} joints; give one for each.")
    roots = [i for i, parent in enumerate(parents) if parent < 0 or parent == i]
    if len(roots) != 1 or max(parents) >= joints:
        raise DataError(
            f"{path}: parents: {len(roots)} roots and the largest index {max(parents)}, expected one root (-1) and "
            f"indices below {joints}."
        )
    return roots[0]


def _edge_costs(positions: np.ndarray) -> np.ndarray:
    """Edge costs of the spanning tree, ``[J, J]``: std of the distance of two joints plus 1 % of the distance."""
    some = positions[:: max(len(positions) // _SAMPLES, 1)].astype(np.float64)
    cost = np.empty((some.shape[1], some.shape[1]))
    for joint in range(some.shape[1]):
        distance = np.linalg.norm(some - some[:, joint : joint + 1], axis=-1)
        cost[joint] = distance.std(axis=0) + 0.01 * distance.mean(axis=0)
    return cost + 1e-9  # joints at the same position are still connected
