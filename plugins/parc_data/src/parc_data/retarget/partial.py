"""What can be known of a motion whose skeleton is not human: where the root goes and how the trunk turns."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from parc_data.retarget.landmarks import Landmarks, find_landmarks
from parc_data.retarget.solver import limits_of
from parc_data.source_motion import SourceMotion
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import JointKind, Skeleton

__all__ = ["Partial", "partial_motion"]

_TRUNK = ("chest", "head")


@attrs.frozen(kw_only=True, eq=False)
class Partial:
    """Root and trunk of a motion; every other joint keeps its rest pose."""

    root_pos: np.ndarray  # [T, 3] m
    root_rot: np.ndarray  # [T, 4]
    joint_rot: np.ndarray  # [T, J, 4]
    moved: tuple[str, ...]  # joints that follow the source


def partial_motion(motion: SourceMotion, skeleton: Skeleton, marks: Landmarks) -> Partial:
    """The part of a motion that its few bodies tell; the source's rest pose is taken to stand upright along x."""
    frames = motion.num_frames
    dof = np.zeros((frames, 6 + skeleton.num_dofs))
    root_rot = np.tile([0.0, 0.0, 0.0, 1.0], (frames, 1))
    moved = []
    if motion.has_rotations:
        root_rot = np.array(motion.body_rot[:, 0])
        ours = find_landmarks(skeleton.body_names, skeleton.parents, f"character '{skeleton.id}'")
        above = Rotation.from_quat(root_rot)
        for name in _TRUNK:
            joint = ours[name] - 1 if name in ours else -1
            if name not in marks or marks[name] == 0 or joint < 0:
                continue
            if skeleton.joints[joint].kind is not JointKind.BALL:
                continue
            turned = Rotation.from_quat(motion.body_rot[:, marks[name]])
            place = skeleton.dof_slices[joint]
            dof[:, 6 + place.start : 6 + place.stop] = (above.inv() * turned).as_rotvec()
            above = turned
            moved.append(skeleton.joints[joint].name)
    inside = limits_of(skeleton).clip(torch.from_numpy(dof))[:, 6:]
    joint_rot = Kinematics(skeleton, dtype=torch.float64).dof_to_joint_rot(inside).numpy()
    return Partial(
        root_pos=np.array(motion.root_pos), root_rot=root_rot, joint_rot=joint_rot, moved=tuple(moved)
    )
