"""Motions of AMP, ASE and Isaac Gym's poselib (.npy with one pickled dict): `amp`.

A file is a skeleton motion (rotations of all bodies over time, local or global, positions of the root, frame rate) or a
skeleton state: a single pose, mostly the T-pose that retargeting starts from. Quaternions are xyzw, z is up.

Source: files of isaac-sim/IsaacGymEnvs and the README of its poselib.
"""

from __future__ import annotations

import pathlib
from typing import Any

import attrs
import numpy as np
import torch

from parc_data.formats.fields import (
    array_of,
    dict_of,
    frame_rate,
    humanoid,
    naming,
    number_of,
    turn_world,
    unit_quaternions,
)  # fmt: skip
from parc_data.formats.format import MAX_BODIES, Format, ReadOptions
from parc_data.formats.pickles import read_pickle_tree
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError
from parc_motion.kinematics import rotations as rot

__all__ = ["FORMAT", "read"]

_STILL_FPS = 30.0  # assumed for a single pose, which has no frame rate
# meters per unit of files that are not in meters: centimeters, millimeters, inches, and the unit of the CMU database
_UNITS = (1.0, 0.01, 0.001, 0.0254, 0.0254 / 0.45)
_LONGEST_LIMB_M = (0.8, 1.4)  # from the root of a grown human to the tip of a foot, along the bones


def read(path: pathlib.Path, options: ReadOptions) -> list[SourceMotion]:
    """The motion or the still pose in a poselib file.

    Raises:
        DataError: it holds neither, or cannot be read.
    """
    tree = read_pickle_tree(path)
    with naming(path):
        tree = dict_of(tree, "the file")
        motion = (
            _still(path.stem, tree)
            if "fps" not in tree and _is_state(tree)
            else _moving(path.stem, tree, options)
        )
        return [turn_world(_in_meters(motion, options.scale), options.up)]


def _recognizes(path: pathlib.Path, head: bytes) -> bool:
    return head.startswith(b"\x93NUMPY") and b"rotation" in head and b"'|O'" in head


FORMAT = Format(
    name="amp",
    summary="skeleton motions and poses of AMP, ASE and poselib, .npy",
    suffixes=(".npy",),
    recognizes=_recognizes,
    read=read,
)


def _is_state(tree: dict[Any, Any]) -> bool:
    return _values(tree, "root_translation", None).ndim == 1


def _moving(name: str, tree: dict[Any, Any], options: ReadOptions) -> SourceMotion:
    root_pos = _values(tree, "root_translation", (None, 3))
    names, parents, offsets = _skeleton(tree)
    rotation = _values(tree, "rotation", (len(root_pos), len(names), 4))
    fps = options.fps if tree.get("fps") is None else number_of(tree, "fps")
    if fps is None:
        raise DataError("fps is missing. Give the frames per second as --source-fps.")
    return SourceMotion(
        name=name,
        format="amp",
        fps=frame_rate(fps),
        body_names=names,
        parents=parents,
        root_pos=root_pos,
        offsets=offsets,
        local_rot=_local(tree, unit_quaternions(rotation, "rotation"), parents),
    )


def _still(name: str, tree: dict[Any, Any]) -> SourceMotion:
    """One frame. On another skeleton than the built-in humanoid the pose becomes the rest pose.

    With zero rotations such skeletons are not in a meaningful pose (all bones of the CMU one then lie on one line); the
    stored pose is the one to retarget from.
    """
    names, parents, offsets = _skeleton(tree)
    rotation = unit_quaternions(_values(tree, "rotation", (len(names), 4)), "rotation")[None]
    motion = SourceMotion(
        name=name,
        format="amp",
        fps=_STILL_FPS,
        body_names=names,
        parents=parents,
        root_pos=_values(tree, "root_translation", (3,))[None],
        offsets=offsets,
        local_rot=_local(tree, rotation, parents),
        notes={"still_pose": True},
    )
    if names == humanoid().body_names:
        return motion
    return _as_rest_pose(motion)


def _as_rest_pose(motion: SourceMotion) -> SourceMotion:
    """The same pose, with a rest pose that is equal to it but faces x."""
    pos = motion.body_pos[0]
    names = motion.body_names
    pairs = [(i, names.index(name.replace("Left", "Right"))) for i, name in enumerate(names)
             if "Left" in name and name.replace("Left", "Right") in names]  # fmt: skip
    left = sum((pos[i, :2] - pos[j, :2] for i, j in pairs), start=np.zeros(2))
    yaw = float(np.arctan2(left[1], left[0]) - 0.5 * np.pi) if left.any() else 0.0
    root_rot = rot.yaw_quat(torch.tensor([yaw], dtype=torch.float64))
    steps = torch.from_numpy(pos - pos[[max(parent, 0) for parent in motion.parents]])
    local_rot = np.tile([0.0, 0.0, 0.0, 1.0], (1, len(names), 1))
    local_rot[:, 0] = root_rot.numpy()
    return attrs.evolve(
        motion,
        offsets=rot.rotate_inverse(root_rot.expand(len(names), 4), steps).numpy(),
        local_rot=local_rot,
        notes={**motion.notes, "rest_pose": "the pose itself"},
    )


def _skeleton(tree: dict[Any, Any]) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray]:
    skeleton = dict_of(tree.get("skeleton_tree"), "skeleton_tree")
    names = skeleton.get("node_names")
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise DataError("skeleton_tree.node_names is not a list of names.")
    if not 1 <= len(names) <= MAX_BODIES:
        raise DataError(f"skeleton_tree.node_names holds {len(names)} names, expected 1 to {MAX_BODIES}.")
    parents = _values(skeleton, "parent_indices", (len(names),), "skeleton_tree")
    if parents.dtype.kind not in "iu":
        raise DataError(f"skeleton_tree.parent_indices holds {parents.dtype}, expected whole numbers.")
    offsets = _values(skeleton, "local_translation", (len(names), 3), "skeleton_tree")
    return tuple(names), tuple(int(parent) for parent in parents), offsets


def _values(
    tree: dict[Any, Any], name: str, shape: tuple[int | None, ...] | None, what: str = ""
) -> np.ndarray:
    # an array is stored as a dict with the numbers and their type
    stored = tree.get(name)
    inner = stored.get("arr") if isinstance(stored, dict) else stored
    return array_of({**tree, name: inner}, name, shape, what)


def _local(tree: dict[Any, Any], rotation: np.ndarray, parents: tuple[int, ...]) -> np.ndarray:
    is_local = tree.get("is_local")
    if not isinstance(is_local, bool):
        raise DataError(f"is_local is {str(is_local)[:20]}, expected True or False.")
    if is_local:
        return rotation
    world = torch.from_numpy(rotation)
    local = [world[:, 0]]
    for body, parent in enumerate(parents[1:], start=1):
        local.append(rot.multiply(rot.inverse(world[:, parent]), world[:, body]))
    return torch.stack(local, dim=1).numpy()


def _in_meters(motion: SourceMotion, scale: float | None) -> SourceMotion:
    offsets = motion.offsets
    assert offsets is not None  # every poselib file has rotations
    reach = np.zeros(len(motion.parents))
    for body, parent in enumerate(motion.parents[1:], start=1):
        reach[body] = reach[parent] + np.linalg.norm(offsets[body])
    fitting = [unit for unit in _UNITS if _LONGEST_LIMB_M[0] <= reach.max() * unit <= _LONGEST_LIMB_M[1]]
    if scale is None and not fitting:
        raise DataError(
            f"the longest limb of its skeleton measures {reach.max():.4g} units, which is not that of a person "
            f"in any known unit ({_LONGEST_LIMB_M[0]} to {_LONGEST_LIMB_M[1]} m). Give the meters per unit as --scale."
        )
    unit = scale if scale is not None else fitting[0]
    if unit == 1.0:
        return motion
    return attrs.evolve(
        motion,
        root_pos=motion.root_pos * unit,
        offsets=offsets * unit,
        notes={**motion.notes, "meters_per_unit": unit},
    )
