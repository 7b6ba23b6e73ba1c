"""Acclaim motions: an .amc with its skeleton, the .asf beside it.

A bone rotates about its start. With C the rotation of its own axes and M that of its angles, its rotation against its
parent is C M C^-1 in the axes of the rest pose, so all bodies have world axes there. The body "lfemur" lies at the left
hip; "ltoes_end" is where the last bone ends. Limits are not read.

Source: file format notes of mocap.cs.cmu.edu; a length in them times 1/0.45 is inches.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from parc_data.formats.amc_text import parse_amc
from parc_data.formats.asf_text import AsfBone, AsfSkeleton, parse_asf
from parc_data.formats.euler import euler_to_quat, quat_to_matrix
from parc_data.formats.format import Format, ReadOptions, read_file_bytes
from parc_data.formats.world import RawMotion, standardize
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError

__all__ = ["FORMAT", "find_asf"]

_CMU_FPS = 120.0
_MAX_BYTES = 128 << 20  # a quarter of an hour at 120 Hz
_MAX_ASF_BYTES = 512 << 10  # those of the CMU recordings take 10 kB
_INCH = 0.0254


def read(path: pathlib.Path, options: ReadOptions) -> list[SourceMotion]:
    """The motion of an .amc file.

    Raises:
        DataError: there is no .asf for it, one of them is damaged, or they do not belong together.
    """
    asf_path = find_asf(path)
    skeleton = parse_asf(read_file_bytes(asf_path, _MAX_ASF_BYTES), str(asf_path))
    values, degrees = parse_amc(read_file_bytes(path, _MAX_BYTES), skeleton, str(path))
    notes: dict[str, Any] = {"skeleton_file": asf_path.name}
    if options.fps is None:
        notes["fps"] = "120, the rate of the CMU recordings; the file does not say it"
    names, parents, offsets = _bodies(skeleton, asf_path)
    frames = len(next(iter(values.values()))) if values else 0
    if "root" not in values:
        raise DataError(f"{asf_path}: root: order is empty, so the character cannot be placed.")
    local_rot = np.zeros((frames, len(names), 4))
    local_rot[..., 3] = 1.0
    for bone in skeleton.bones:
        if bone.name in values:
            local_rot[:, names.index(bone.name)] = _rotation(bone, values[bone.name], skeleton, degrees)
    raw = RawMotion(
        path=path,
        format="asf_amc",
        fps=options.fps or _CMU_FPS,
        names=names,
        parents=parents,
        offsets=offsets,
        root_pos=_root_pos(skeleton.bones[0], values["root"]),
        local_rot=local_rot,
        first_unit=(f"inch / {skeleton.length_unit:g} (asf)", _INCH / skeleton.length_unit),
        notes=notes,
    )
    return [standardize(raw, options)]


def recognizes(path: pathlib.Path, head: bytes) -> bool:
    """Whether the file is called .amc or has an .amc's keyword."""
    return path.suffix.lower() == ".amc" or any(
        line.strip().upper() == b":FULLY-SPECIFIED" for line in head.split(b"\n")
    )


def find_asf(path: pathlib.Path) -> pathlib.Path:
    """The skeleton of an .amc: same stem, the stem before "_", or the only .asf of the folder.

    Raises:
        DataError: there is none, or several of which none is called so.
    """
    try:
        present = sorted(p for p in path.resolve().parent.iterdir() if p.suffix.lower() == ".asf")
    except OSError as err:
        raise DataError(f"{path}: cannot list its folder: {err.strerror}.") from err
    stems = dict.fromkeys([path.stem, path.stem.split("_")[0]])
    for stem in stems:
        for candidate in present:
            if candidate.stem.lower() == stem.lower():
                return path.parent / candidate.name
    if len(present) == 1:
        return path.parent / present[0].name
    wanted = " or ".join(f"'{stem}.asf'" for stem in stems)
    there = ", ".join(p.name for p in present[:5]) or "no .asf at all"
    raise DataError(
        f"{path}: its skeleton is missing: looked for {wanted} beside it, found {there}. Put the .asf there."
    )


def _bodies(
    skeleton: AsfSkeleton, where: pathlib.Path
) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray]:
    """Names, parents and offsets of the bones' starts, and an end after every last bone."""
    names: list[str] = []
    parents: list[int] = []
    offsets: list[np.ndarray] = []
    place: list[int] = []  # body of each bone
    inner = {bone.parent for bone in skeleton.bones}
    for index, bone in enumerate(skeleton.bones):
        place.append(len(names))
        names.append(bone.name)
        parents.append(place[bone.parent] if index else -1)
        offsets.append(skeleton.bones[bone.parent].vector if index else np.zeros(3))
        if index not in inner and index:
            names.append(f"{bone.name}_end")
            parents.append(place[-1])
            offsets.append(bone.vector)
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{where}: bonedata: '{name}' is the name of a bone's end here. Rename the bone.")
    return tuple(names), tuple(parents), np.stack(offsets)


def _rotation(bone: AsfBone, values: np.ndarray, skeleton: AsfSkeleton, degrees: bool) -> np.ndarray:
    """Rotation against the parent, ``[T, 4]`` xyzw."""
    turns = [axis for axis in reversed(bone.order) if f"r{axis}" in bone.dofs]
    angles = values[:, [bone.dofs.index(f"r{axis}") for axis in turns]]
    quat = euler_to_quat(np.radians(angles) if degrees else angles, "".join(turns))
    frame = np.radians(bone.frame) if skeleton.degrees else bone.frame
    own = quat_to_matrix(euler_to_quat(frame[::-1], bone.order[::-1]))
    return np.concatenate([quat[:, :3] @ own.T, quat[:, 3:]], axis=-1)


def _root_pos(root: AsfBone, values: np.ndarray) -> np.ndarray:
    pos = np.zeros((len(values), 3))
    for column, dof in enumerate(root.dofs):
        if dof[0] == "t":
            pos[:, "xyz".index(dof[1])] = values[:, column]
    return pos


FORMAT = Format(
    name="asf_amc",
    summary="Acclaim .amc motions with their .asf skeleton, as the CMU recordings",
    suffixes=(".amc",),
    recognizes=recognizes,
    read=read,
)
