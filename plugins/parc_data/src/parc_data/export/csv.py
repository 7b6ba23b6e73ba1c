"""A clip as a table for spreadsheets, notebooks and plotting programs: comma separated, a header, one row per frame.

| columns | unit |
| --- | --- |
| `frame`, `time_s` | from 0; s |
| `root_pos_x`, `_y`, `_z` | m, world, z up |
| `root_rot_x`, `_y`, `_z`, `_w` | quaternion |
| quaternions: `<body>_rot_x`, `_y`, `_z`, `_w` for every body but the root | in the frame of its parent |
| dofs: `<joint>` for a hinge, `<joint>_x`, `_y`, `_z` for a ball joint | rad; exponential map in the parent's frame |
| `contact_<body>` for every body | 0 to 1 |

Numbers have 9 digits, which give the stored 32-bit numbers back exactly. Terrain is not written.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import JointKind, Skeleton

__all__ = ["clip_to_csv"]


def clip_to_csv(
    clip: MotionClip, skeleton: Skeleton, *, joints: Literal["quaternions", "dofs"] = "quaternions"
) -> bytes:
    """The clip as the bytes of a CSV file.

    Args:
        clip: what to write.
        skeleton: its character.
        joints: how joint rotations are written; "dofs" drops what a hinge cannot do.

    Raises:
        DataError: the clip belongs to another character, or `joints` is unknown.
    """
    clip.require_skeleton(skeleton.id, skeleton.num_joints)
    if joints == "quaternions":
        names = [f"{body}_rot_{axis}" for body in skeleton.body_names[1:] for axis in "xyzw"]
        pose = clip.joint_rot.reshape(clip.num_frames, -1)
    elif joints == "dofs":
        names = _dof_names(skeleton)
        pose = Kinematics(skeleton).joint_rot_to_dof(torch.from_numpy(clip.joint_rot.copy())).numpy()
    else:
        raise DataError(f"clip '{clip.name}': joints is '{joints}', expected quaternions or dofs.")
    header = ["frame", "time_s", *(f"root_pos_{axis}" for axis in "xyz"), *(f"root_rot_{a}" for a in "xyzw")]
    header += [*names, *(f"contact_{body}" for body in skeleton.body_names)]
    table = np.concatenate([clip.root_pos, clip.root_rot, pose, clip.contacts], axis=1) + 0.0
    row = "%d," + ",".join(["%.9g"] * (1 + table.shape[1]))
    lines = [row % (t, t / clip.fps, *values) for t, values in enumerate(table.tolist())]
    return ("\n".join([",".join(map(_quoted, header)), *lines]) + "\n").encode()


def _dof_names(skeleton: Skeleton) -> list[str]:
    names = []
    for joint in skeleton.joints:
        if joint.kind is JointKind.BALL:
            names += [f"{joint.name}_{axis}" for axis in "xyz"]
        elif joint.kind is JointKind.HINGE:
            names.append(joint.name)
    return names


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"' if any(sign in name for sign in ',"\n\r') else name
