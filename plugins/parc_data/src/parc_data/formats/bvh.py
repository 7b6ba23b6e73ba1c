"""BVH: hierarchy, channels and frames of one character in a text file.

Position channels give the position in the frame of the parent and replace OFFSET, as MotionBuilder and Blender read
them; the rotation channels of a joint are multiplied in the order of the file. The rest pose is that of all angles
zero. End Sites become bodies "<joint>_end" that never rotate: they mark the ends of toes, fingers and head.
"""

from __future__ import annotations

import decimal
import pathlib
from typing import Any

import numpy as np

from parc_data.formats.bvh_header import Hierarchy
from parc_data.formats.bvh_text import Take, parse_bvh
from parc_data.formats.euler import euler_to_quat
from parc_data.formats.format import Format, ReadOptions, read_file_bytes
from parc_data.formats.world import RawMotion, standardize
from parc_data.source_motion import SourceMotion

__all__ = ["FORMAT", "frame_rate"]

_BLOCK_FRAMES = 4096
_STILL = 1e-4  # share of the bone's length below which a moved joint counts as still


def read(path: pathlib.Path, options: ReadOptions) -> list[SourceMotion]:
    """The motion of a BVH file.

    Raises:
        DataError: the text is not BVH, or its unit cannot be inferred.
    """
    take = parse_bvh(read_file_bytes(path), str(path))
    hierarchy = take.hierarchy
    fps = options.fps or frame_rate(take.frame_time)
    notes: dict[str, Any] = {"frame_time": take.frame_time}
    local_pos = _moved_joints(take, notes)
    raw = RawMotion(
        path=path,
        format="bvh",
        fps=fps,
        names=hierarchy.names,
        parents=hierarchy.parents,
        offsets=hierarchy.offsets,
        root_pos=_places(take, 0),
        local_rot=_rotations(take),
        local_pos=local_pos,
        notes=notes,
    )
    return [standardize(raw, options)]


def recognizes(path: pathlib.Path, head: bytes) -> bool:
    """Whether the file begins like BVH or has its suffix."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:9].upper()
    return start == b"HIERARCHY" or path.suffix.lower() == ".bvh"


def frame_rate(frame_time: str) -> float:
    """Frames per second of a printed frame time: the plain rate that it was rounded from, if there is one.

    ".0083333" is 120; "0.03" keeps 33.33, because its two digits fit 29 to 40 rates.
    """
    seconds = float(frame_time)
    digit = max(10.0 ** int(decimal.Decimal(frame_time).as_tuple().exponent), 1e-15)
    whole = round(1.0 / seconds)
    for rate, apart in ((whole, 5e-3), (whole * 1000.0 / 1001.0, 1e-5), (round(1.0 / seconds, 3), 1e-8)):
        if rate and abs(seconds - 1.0 / rate) <= digit and abs(seconds * rate - 1.0) < apart:
            return float(rate)
    return 1.0 / seconds


def _spans(hierarchy: Hierarchy) -> list[int]:
    """First column of each joint."""
    return np.cumsum([0, *(len(own) for own in hierarchy.channels)]).tolist()


def _places(take: Take, body: int) -> np.ndarray:
    """Position of a joint in the frame of its parent, ``[T, 3]``; an axis without a channel keeps that of OFFSET."""
    start = _spans(take.hierarchy)[body]
    places = np.tile(take.hierarchy.offsets[body], (len(take.values), 1))
    for column, channel in enumerate(take.hierarchy.channels[body], start=start):
        if channel[1] == "p":
            places[:, "xyz".index(channel[0])] = take.values[:, column]
    return places


def _moved_joints(take: Take, notes: dict[str, Any]) -> np.ndarray | None:
    """Positions of all joints if any except the root moves in the frame of its parent, ``[T, K, 3]``."""
    hierarchy = take.hierarchy
    moved = [
        body
        for body, own in enumerate(hierarchy.channels)
        if body and any(channel[1] == "p" for channel in own)
    ]
    if not moved:
        return None
    places = {body: _places(take, body) for body in moved}
    offsets = hierarchy.offsets
    as_place = sum(float(np.abs(places[body] - offsets[body]).sum()) for body in moved)
    as_shift = sum(float(np.abs(places[body]).sum()) for body in moved)
    if as_shift < as_place:  # otherwise all bones would collapse: such files store the difference to OFFSET
        places = {body: place + offsets[body] for body, place in places.items()}
    notes["joint_positions"] = "added to OFFSET" if as_shift < as_place else "in place of OFFSET"
    still = _STILL * float(np.linalg.norm(offsets, axis=-1).max())
    if all(np.abs(place - offsets[body]).max() <= still for body, place in places.items()):
        return None
    local_pos = np.tile(offsets, (len(take.values), 1, 1))
    for body, place in places.items():
        local_pos[:, body] = place
    return local_pos


def _rotations(take: Take) -> np.ndarray:
    """Local rotations ``[T, K, 4]``, joints of equal channel order together."""
    hierarchy, spans = take.hierarchy, _spans(take.hierarchy)
    orders: dict[str, list[int]] = {}
    for body, own in enumerate(hierarchy.channels):
        axes = "".join(channel[0] for channel in own if channel[1] == "r")
        orders.setdefault(axes, []).append(body)
    local_rot = np.zeros((len(take.values), len(hierarchy.names), 4))
    local_rot[..., 3] = 1.0
    for axes, bodies in orders.items():
        if not axes:
            continue
        columns = [
            [spans[b] + i for i, channel in enumerate(hierarchy.channels[b]) if channel[1] == "r"]
            for b in bodies
        ]
        for start in range(0, len(take.values), _BLOCK_FRAMES):
            block = slice(start, start + _BLOCK_FRAMES)
            angles = np.radians(take.values[block][:, columns])
            local_rot[block, bodies] = euler_to_quat(angles, axes)
    return local_rot


FORMAT = Format(
    name="bvh",
    summary="BVH text: any channel order, unit and up axis",
    suffixes=(".bvh",),
    recognizes=recognizes,
    read=read,
)
