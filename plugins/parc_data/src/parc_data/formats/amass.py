"""Motions of AMASS and other SMPL parameters (.npz): `amass`.

A file holds rotations of SMPL (24 joints), SMPL-H or SMPL-X (22 joints of the body, then face and fingers) as
exponential maps, and the position of the model's origin. No body model is needed: the skeleton is that of the
average body, whatever the shape coefficients are, and fingers and face are left out. z is up in AMASS;
rotations and offsets are in the frame of the model, with y up, z forward and x to the left.

Source: rest joints of the average SMPL body, to a tenth of a millimeter, from data/assets/mjcf/smpl_humanoid.xml of
ZhengyiLuo/PHC (BSD-3) and those of SMPL-X from its smplx_humanoid.xml; names and order from SMPL's documentation.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import torch

from parc_data.formats.fields import array_of, frame_rate, naming, number_of
from parc_data.formats.format import Format, ReadOptions
from parc_data.source_motion import SourceMotion, up_to_z
from parc_motion.errors import DataError
from parc_motion.kinematics import rotations as rot
from parc_motion.storage import read_npz

__all__ = ["FORMAT", "read"]

_NAMES = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand",
)  # fmt: skip
_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
_BODY_JOINTS = 22  # those that all models share; SMPL adds two hands
# offset of each joint from its parent, of the pelvis from the model's origin: m, x left, y up, z forward
_SMPL = (
    (-0.0018, -0.2233, 0.0282), (0.0695, -0.0914, -0.0068), (-0.0677, -0.0905, -0.0043), (-0.0025, 0.1090, -0.0267),
    (0.0343, -0.3752, -0.0045), (-0.0383, -0.3826, -0.0089), (0.0055, 0.1352, 0.0011), (-0.0136, -0.3980, -0.0437),
    (0.0158, -0.3984, -0.0423), (0.0015, 0.0529, 0.0254), (0.0264, -0.0558, 0.1193), (-0.0254, -0.0481, 0.1233),
    (-0.0028, 0.2139, -0.0429), (0.0788, 0.1217, -0.0341), (-0.0818, 0.1188, -0.0386), (0.0052, 0.0650, 0.0513),
    (0.0910, 0.0305, -0.0089), (-0.0960, 0.0326, -0.0091), (0.2596, -0.0128, -0.0275), (-0.2537, -0.0133, -0.0214),
    (0.2492, 0.0090, -0.0012), (-0.2553, 0.0078, -0.0056), (0.0840, -0.0082, -0.0149), (-0.0846, -0.0061, -0.0103),
)  # fmt: skip
_SMPLX = (
    (0.0031, -0.3514, 0.0120), (0.0582, -0.0928, -0.0260), (-0.0633, -0.1039, -0.0213), (-0.0028, 0.1099, -0.0276),
    (0.0547, -0.3788, -0.0094), (-0.0442, -0.3624, -0.0168), (0.0094, 0.1319, -0.0059), (-0.0435, -0.4031, -0.0319),
    (0.0154, -0.4107, -0.0202), (-0.0113, 0.0522, 0.0284), (0.0473, -0.0580, 0.1182), (-0.0388, -0.0583, 0.1190),
    (-0.0122, 0.1652, -0.0316), (0.0464, 0.0849, -0.0072), (-0.0477, 0.0843, -0.0134), (0.0248, 0.1605, 0.0207),
    (0.1192, 0.0577, -0.0155), (-0.1026, 0.0535, -0.0127), (0.2541, -0.0722, -0.0425), (-0.2711, -0.0365, -0.0265),
    (0.2520, 0.0232, -0.0025), (-0.2493, -0.0045, -0.0153),
)  # fmt: skip
_MODELS = {72: "SMPL", 66: "SMPL", 156: "SMPL-H", 165: "SMPL-X"}  # by numbers a frame of `poses`
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")
_FIELDS = ("poses", "root_orient", "pose_body", "trans", "betas", "surface_model_type", *_RATES)
_MAX_ANGLE_RAD = 100.0


def read(path: pathlib.Path, options: ReadOptions) -> list[SourceMotion]:
    """The motion of a file, on the average skeleton of its body model.

    Raises:
        DataError: a field is missing, pickled or of the wrong shape.
    """
    fields = read_npz(path, _FIELDS)
    with naming(path):
        return [_assemble(path.stem, fields, options)]


def _recognizes(path: pathlib.Path, head: bytes) -> bool:
    members = ("trans", "poses", "root_orient", "pose_body", "surface_model_type", *_RATES[:2])
    return head.startswith(b"PK\x03\x04") and any(f"{name}.npy".encode() in head for name in members)


FORMAT = Format(
    name="amass",
    summary="SMPL, SMPL-H and SMPL-X parameters as in AMASS, .npz",
    suffixes=(".npz",),
    recognizes=_recognizes,
    read=read,
)


def _assemble(name: str, fields: dict[str, np.ndarray], options: ReadOptions) -> SourceMotion:
    trans = array_of(fields, "trans", (None, 3)).astype(np.float64)
    expmap, model = _poses(fields, len(trans))
    if expmap.size and np.abs(expmap).max() > _MAX_ANGLE_RAD:
        raise DataError(f"poses holds {np.abs(expmap).max():.4g} rad. Are these exponential maps in radians?")
    count = expmap.shape[1]
    rest = np.array((_SMPLX if model == "SMPL-X" else _SMPL)[:count])
    local_rot = rot.expmap_to_quat(torch.from_numpy(expmap))
    # x, y, z of the model become y, z, x: its rest pose then faces x with z up
    to_z = up_to_z("y")
    local_rot = torch.cat([local_rot[..., :3] @ torch.from_numpy(to_z.T), local_rot[..., 3:]], dim=-1)
    root_pos = (trans + rest[0]) @ _world(options.up).T
    notes: dict[str, Any] = {
        "body_model": model,
        "skeleton": "average body; shape coefficients are not applied",
    }
    betas = fields.get("betas")
    if betas is not None and betas.dtype.kind == "f" and betas.size and np.isfinite(betas).all():
        notes["largest_shape_coefficient"] = round(float(np.abs(betas).max()), 3)
    return SourceMotion(
        name=name,
        format="amass",
        fps=_rate(fields, options),
        body_names=_NAMES[:count],
        parents=_PARENTS[:count],
        root_pos=root_pos,
        offsets=rest @ to_z.T,
        local_rot=_turn_root(local_rot, options.up).numpy(),
        notes=notes,
    )


def _poses(fields: dict[str, np.ndarray], frames: int) -> tuple[np.ndarray, str]:
    """Exponential maps of the joints that are kept ``[T, K, 3]``, and which model they are of."""
    kind = str(fields.get("surface_model_type", ""))[:20].lower()
    if "poses" in fields:
        poses = array_of(fields, "poses", (frames, None))
        if poses.shape[1] not in _MODELS:
            widths = ", ".join(f"{width} ({model})" for width, model in _MODELS.items())
            raise DataError(f"poses holds {poses.shape[1]} numbers a frame, expected one of {widths}.")
        model = "SMPL-X" if kind.startswith("smplx") else _MODELS[poses.shape[1]]
        count = len(_NAMES) if poses.shape[1] == 72 and model == "SMPL" else _BODY_JOINTS
        return poses[:, : 3 * count].reshape(frames, count, 3).astype(np.float64), model
    root = array_of(fields, "root_orient", (frames, 3))
    body = array_of(fields, "pose_body", (frames, 3 * (_BODY_JOINTS - 1)))
    model = "SMPL-H" if kind.startswith("smplh") else "SMPL-X"
    return np.concatenate([root, body], axis=1).reshape(frames, _BODY_JOINTS, 3).astype(np.float64), model


def _rate(fields: dict[str, np.ndarray], options: ReadOptions) -> float:
    stored = next((name for name in _RATES if name in fields), None)
    if stored is not None:
        return frame_rate(number_of(fields, stored), stored)
    if options.fps is None:
        raise DataError(f"{_RATES[0]} is missing. Give the frames per second as --source-fps.")
    return frame_rate(options.fps)


def _world(up: str) -> np.ndarray:
    return up_to_z("z" if up == "auto" else up)


def _turn_root(local_rot: torch.Tensor, up: str) -> torch.Tensor:
    # the converted root rotates a model with z up in a world with y up; the world of the file has z up already
    back = torch.from_numpy(_world(up) @ up_to_z("y").T)
    quat = rot.rot6d_to_quat(torch.cat([back[:, 0], back[:, 2]]))
    root = rot.multiply(quat.expand(len(local_rot), 4), local_rot[:, 0])
    return torch.cat([root[:, None], local_rot[:, 1:]], dim=1)
