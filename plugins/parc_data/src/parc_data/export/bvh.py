"""A clip as BVH text for Blender, MotionBuilder, Maya and other animation programs.

Y is up, the character looks along z in its rest pose and lengths are centimeters: what MotionBuilder, Maya and Mixamo
expect, and what Blender's importer turns upright by its default axes (there, take 0.01 as its scale). BVH
cannot store contacts and terrain.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from parc_data.formats.euler import matrix_to_euler, quat_to_matrix
from parc_data.source_motion import up_to_z
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.skeletons import Geom, Skeleton

__all__ = ["clip_to_bvh"]

_ROTATIONS = "Zrotation Yrotation Xrotation"


def clip_to_bvh(
    clip: MotionClip, skeleton: Skeleton, *, up: Literal["y", "z"] = "y", scale: float = 0.01
) -> bytes:
    """The clip as the bytes of a BVH file.

    Lengths have 6 digits after the point in the unit of the file, angles 6 in degrees; in centimeters that moves a
    body by less than a micrometer. Angles continue past 180 degrees instead of jumping, so that they can be
    interpolated.

    Args:
        clip: what to write.
        skeleton: its character.
        up: axis of the file that points up.
        scale: meters per unit of the file.

    Raises:
        DataError: the scale is not above 0, or the clip belongs to another character.
    """
    if not (np.isfinite(scale) and scale > 0):
        raise DataError(f"clip '{clip.name}': scale is {scale} m per unit, expected more than 0.")
    clip.require_skeleton(skeleton.id, skeleton.num_joints)
    turn = up_to_z(up).T
    lines = ["HIERARCHY", *_hierarchy(skeleton, turn / scale)]
    lines += ["MOTION", f"Frames: {clip.num_frames}", f"Frame Time: {1.0 / clip.fps:.10f}"]
    table = _table(clip, turn, scale)
    row = " ".join(["%.6f"] * table.shape[1])
    lines += [row % tuple(values) for values in table.tolist()]
    return ("\n".join(lines) + "\n").encode()


def _hierarchy(skeleton: Skeleton, turn: np.ndarray) -> list[str]:
    lines: list[str] = []
    children: dict[int, list[int]] = {}
    for body, parent in enumerate(skeleton.parents):
        children.setdefault(parent, []).append(body)

    def block(body: int, indent: str) -> None:
        offset = turn @ skeleton.offsets[body] if body else np.zeros(3)
        channels = "3 " + _ROTATIONS if body else "6 Xposition Yposition Zposition " + _ROTATIONS
        name = re.sub(r"[\s{}]", "_", skeleton.body_names[body])
        lines.extend([f"{indent}{'JOINT' if body else 'ROOT'} {name}", indent + "{"])
        lines.extend([f"{indent}\tOFFSET {_numbers(offset)}", f"{indent}\tCHANNELS {channels}"])
        for child in children.get(body, []):
            block(child, indent + "\t")
        if body not in children:
            end = f"{indent}\t\tOFFSET {_numbers(turn @ _tip(skeleton, body))}"
            lines.extend([f"{indent}\tEnd Site", indent + "\t{", end, indent + "\t}"])
        lines.append(indent + "}")

    block(0, "")
    return lines


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values + 0.0)  # + 0.0 makes -0 a 0


def _table(clip: MotionClip, turn: np.ndarray, scale: float) -> np.ndarray:
    """Numbers of all frames: root position, then z, y, x angles of every body in degrees."""
    local_rot = np.concatenate([clip.root_rot[:, None], clip.joint_rot], axis=1).astype(np.float64)
    local_rot /= np.linalg.norm(local_rot, axis=-1, keepdims=True)
    turned = np.concatenate([local_rot[..., :3] @ turn.T, local_rot[..., 3:]], axis=-1)
    angles = np.unwrap(matrix_to_euler(quat_to_matrix(turned)), axis=0)
    root_pos = clip.root_pos.astype(np.float64) @ turn.T / scale
    return np.concatenate([root_pos, np.degrees(angles).reshape(clip.num_frames, -1)], axis=1) + 0.0


def _tip(skeleton: Skeleton, body: int) -> np.ndarray:
    """Where a body without children ends: the far end of its geoms, or half its own offset further, m."""
    tips = [
        tip for geom in skeleton.geoms if geom.body == body for tip in _ends(geom, skeleton.offsets[body])
    ]
    if not tips:
        return 0.5 * skeleton.offsets[body].astype(np.float64)
    return max(tips, key=lambda tip: float(np.linalg.norm(tip)))


def _ends(geom: Geom, offset: np.ndarray) -> list[np.ndarray]:
    pos, turn = geom.pos.astype(np.float64), quat_to_matrix(geom.rot.astype(np.float64))
    if geom.kind == "sphere":
        axis = pos if np.linalg.norm(pos) > 1e-6 else offset.astype(np.float64)
        length = float(np.linalg.norm(axis))
        return [pos + axis / length * float(geom.size[0])] if length > 0 else [pos]
    half = geom.size.astype(np.float64)
    if geom.kind == "box":
        reach = np.diag(half)
    else:
        reach = np.array([[0.0, 0.0, half[1] + (half[0] if geom.kind == "capsule" else 0.0)]])
    return [pos + sign * turn @ axis for axis in reach for sign in (1.0, -1.0)]
