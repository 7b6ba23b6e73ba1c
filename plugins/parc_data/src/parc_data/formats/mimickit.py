"""Motions of MimicKit (.pkl) and the older files of the published PARC: `mimickit`.

A file is a pickled dict with fps, loop_mode and frames ``[N, 34]``: position of the root, its exponential map, then the
28 coordinates of the humanoid's joints. That humanoid has the bodies and joints of the built-in one.

Source: xbpeng/MimicKit, mimickit/anim/motion.py and data/assets/humanoid/humanoid.xml; the older files add contacts.
"""

from __future__ import annotations

import pathlib
from typing import Any, Literal

import numpy as np
import torch

from parc_data.formats.fields import array_of, dict_of, frame_rate, humanoid, naming, number_of, turn_world
from parc_data.formats.format import Format, ReadOptions
from parc_data.formats.pickles import read_pickle_tree
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot

__all__ = ["FORMAT", "read"]

_LOOPS: dict[Any, Literal["clamp", "wrap"]] = {0: "clamp", 1: "wrap", "CLAMP": "clamp", "WRAP": "wrap"}
_ROOT_NUMBERS = 6  # position and exponential map
_MAX_ANGLE_RAD = 100.0  # exponential maps may exceed pi, but not by far


def read(path: pathlib.Path, options: ReadOptions) -> list[SourceMotion]:
    """The motion of a file, on the built-in humanoid.

    Raises:
        DataError: the file cannot be read, or its frames are those of another character.
    """
    tree = read_pickle_tree(path)
    with naming(path):
        return [turn_world(_assemble(path.stem, dict_of(tree, "the file")), options.up)]


def _recognizes(path: pathlib.Path, head: bytes) -> bool:
    keys = (b"frames", b"fps", b"loop_mode")
    return head[:1] == b"\x80" and b"motion_data" not in head[:200] and sum(key in head for key in keys) >= 2


FORMAT = Format(
    name="mimickit",
    summary="motions of MimicKit for the humanoid, .pkl",
    suffixes=(".pkl",),
    recognizes=_recognizes,
    read=read,
)


def _assemble(name: str, tree: dict[Any, Any]) -> SourceMotion:
    skeleton = humanoid()
    frames = array_of(tree, "frames", (None, None)).astype(np.float64)
    width = _ROOT_NUMBERS + skeleton.num_dofs
    if frames.shape[1] != width:
        raise DataError(
            f"frames holds {frames.shape[1]} numbers a frame, expected {width} ({_ROOT_NUMBERS} of the root, "
            f"{skeleton.num_dofs} joint coordinates of the character 'humanoid'). It was made for another character; "
            "give world joint positions of it (--format joints) instead."
        )
    if frames.size and np.abs(frames[:, 3:]).max() > _MAX_ANGLE_RAD:
        raise DataError(f"frames holds an angle of {np.abs(frames[:, 3:]).max():.4g} rad. Are these radians?")
    loop = tree.get("loop_mode", 0)
    if not isinstance(loop, int | str) or loop not in _LOOPS:
        raise DataError(f"loop_mode is '{str(loop)[:40]}', expected 0 (clamp) or 1 (wrap).")
    numbers = torch.from_numpy(frames)
    joint_rot = Kinematics(skeleton, dtype=torch.float64).dof_to_joint_rot(numbers[:, _ROOT_NUMBERS:])
    root_rot = rot.expmap_to_quat(numbers[:, 3:6])
    contacts = None
    if tree.get("contacts") is not None:
        contacts = array_of(tree, "contacts", (len(frames), skeleton.num_bodies))
    return SourceMotion(
        name=name,
        format="mimickit",
        fps=frame_rate(number_of(tree, "fps")),
        body_names=skeleton.body_names,
        parents=skeleton.parents,
        root_pos=frames[:, :3],
        offsets=skeleton.offsets,
        local_rot=torch.cat([root_rot[:, None], joint_rot], dim=1).numpy(),
        contacts=contacts,
        loop=_LOOPS[loop],
    )
