"""Parts of clips: by time, by frames, in equal windows, or without the flights that no body could make."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence

import attrs
import numpy as np

from parc_data.tools.derive import derived
from parc_data.tools.find import FoundClip, load_found_clips
from parc_data.tools.output import new_folder, save_in
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.metrics import Flights
from parc_motion.storage import digest_file
from parc_motion.terrains import crop

__all__ = [
    "Piece",
    "PieceOptions",
    "cut_clip",
    "pieces_at_times",
    "pieces_in_windows",
    "pieces_without",
    "slice_terrain",
    "write_pieces",
]

Piece = tuple[int, int]  # first frame, and the one after the last


@attrs.frozen(kw_only=True)
class PieceOptions:
    """Which pieces are kept, and how."""

    min_num_frames: int = 1
    margin: float | None = None  # m of terrain around the path of the root; None for all of it
    name: str | None = None  # of a single piece


def write_pieces(
    found: Sequence[FoundClip],
    output: pathlib.Path,
    pieces_of: Callable[[MotionClip], list[Piece]],
    options: PieceOptions,
    *,
    overwrite: bool = False,
) -> tuple[list[str], int]:
    """Write the pieces of clips into a new folder; returns their files, and how many were too short.

    Raises:
        DataError: nothing is left, or a name is given for more than one piece.
        StorageError: the folder exists.
    """
    written: list[str] = []
    short = 0
    with new_folder(output, [item.file for item in found], overwrite=overwrite) as folder:
        for item, clip in load_found_clips(found):
            pieces = pieces_of(clip)
            long = [piece for piece in pieces if piece[1] - piece[0] >= options.min_num_frames]
            short += len(pieces) - len(long)
            for (first, stop), part in zip(long, cut_clip(clip, long, options.margin)):
                made = derived(part, "cut", digest_file(item.file), cut_frames=[first, stop - 1])
                if options.name is not None:
                    made = attrs.evolve(made, name=options.name)
                written.append(save_in(folder, made).relative_to(folder).as_posix())
        if not written:
            raise DataError(
                f"nothing is left: no part of the {len(found)} clips has {options.min_num_frames} frames "
                f"({short} are shorter). Lower --min-num-frames or cut longer parts."
            )
        if options.name is not None and len(written) > 1:
            raise DataError(
                f"the name '{options.name}' is for one part, but there are {len(written)}. Leave it out; parts are "
                "named by their frames."
            )
    return written, short


def pieces_at_times(clip: MotionClip, times: Sequence[tuple[float, float]]) -> list[Piece]:
    """Pieces from one time to another, s; the frames nearest to them, both included.

    Raises:
        DataError: a time lies outside the clip.
    """
    pieces = []
    for start, end in times:
        first, last = round(start * clip.fps), round(end * clip.fps)
        if not 0 <= first <= last < clip.num_frames:
            raise DataError(
                f"clip '{clip.name}' lasts {clip.length:.3f} s; {start:g}..{end:g} s is not inside."
            )
        pieces.append((first, last + 1))
    return pieces


def pieces_in_windows(clip: MotionClip, length: float, stride: float | None = None) -> list[Piece]:
    """Windows of `length` s, one every `stride` s (as long as a window when left out); the rest is dropped.

    Raises:
        DataError: a window or stride is shorter than a frame.
    """
    frames, step = round(length * clip.fps), round((length if stride is None else stride) * clip.fps)
    if frames < 1 or step < 1:
        raise DataError(
            f"clip '{clip.name}': windows of {length:g} s every {stride or length:g} s are shorter than a frame at "
            f"{clip.fps:g} frames per second. Make them longer."
        )
    return [(first, first + frames) for first in range(0, clip.num_frames - frames + 1, step)]


def pieces_without(clip: MotionClip, flights: Flights, impossible: np.ndarray) -> list[Piece]:
    """What is left of a clip between its impossible flights.

    Args:
        impossible: which flights are, ``[F]`` bool.
    """
    keep = np.ones(clip.num_frames, dtype=bool)
    for first, last in zip(flights.first[impossible].tolist(), flights.last[impossible].tolist()):
        keep[first : last + 1] = False
    edge = np.diff(np.concatenate([[0], keep.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(edge == 1).tolist(), np.flatnonzero(edge == -1).tolist()
    return list(zip(starts, stops))


def cut_clip(clip: MotionClip, pieces: Sequence[Piece], margin: float | None = None) -> list[MotionClip]:
    """The pieces as clips, named `<name>_f<first>_<last>`; a part of a looping clip does not loop.

    Args:
        margin: keep only the terrain within this many meters of the path of the root; None for all of it.
    """
    made = []
    for first, stop in pieces:
        whole = (first, stop) == (0, clip.num_frames)
        part = clip.frames(first, stop, None if whole else f"{clip.name}_f{first:04d}_{stop - 1:04d}")
        if not whole:
            part = attrs.evolve(part, loop="clamp")
        made.append(part if margin is None else slice_terrain(part, margin))
    return made


def slice_terrain(clip: MotionClip, margin: float) -> MotionClip:
    """The clip with only those cells of its terrain that lie within `margin` m of the root's bounding box.

    Raises:
        DataError: the margin is so small that cells under the body are lost.
    """
    terrain = clip.terrain
    if terrain is None:
        return clip
    low, high = clip.root_pos[:, :2].min(axis=0), clip.root_pos[:, :2].max(axis=0)
    (i0, j0), (i1, j1) = terrain.cell_of(low - margin).tolist(), terrain.cell_of(high + margin).tolist()
    touched = clip.touched
    if touched is not None:
        touched = touched - np.array([0, i0, j0])
        if len(touched) and ((touched[:, 1:] < 0).any() or (touched[:, 1:] > [i1 - i0, j1 - j0]).any()):
            raise DataError(
                f"clip '{clip.name}' touches cells further than {margin:g} m from its root. Keep a wider margin."
            )
    return attrs.evolve(clip, terrain=crop(terrain, (i0, j0), (i1 + 1, j1 + 1)), touched=touched)
