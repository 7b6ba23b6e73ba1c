"""The reference motions: all clips packed into flat tensors, looked up for many motions and times at once.

Source: `parc_motion.published` (motion library): positions and contacts are interpolated linearly, rotations by
slerp, velocities are forward differences of the frame before the time. Body positions are forward kinematics of the
interpolated pose; they are precomputed per frame, and taken from there whenever all times fall on frames. (Linear
interpolation of body positions would shorten limbs between frames.)
"""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_core.interfaces import Reference
from parc_motion.clips import MotionClip, PackedClips
from parc_motion.errors import DataError
from parc_motion.kinematics import Kinematics, angular_velocity, joint_angular_velocity, linear_velocity
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton
from parc_motion.storage import PackedField, PackedWriter, digest_json

__all__ = ["MotionLibrary"]

_FIELDS = (
    "root_pos", "root_rot", "joint_rot", "root_vel", "root_ang_vel", "dof_vel", "contacts", "body_pos", "body_rot",
)  # fmt: skip

_BATCH_FRAMES = 8_000  # frames whose bodies and velocities are computed at once
_FORMAT = (
    1  # of the tables kept in the cache of packed clips; changes with what they hold and how it is computed
)


class MotionLibrary:
    """Clips of one character, at any frame rates and lengths.

    Looping clips (``loop == "wrap"``) continue after their end, displaced by their travel in the ground plane.

    What is precomputed per frame is held in memory; for clips from `parc_motion.clips.cached_clips` it is kept in their
    cache, so that a later library of the same clips maps the files of the first one.

    Raises:
        DataError: no clips, two of the same name, or one of fewer than two frames.
        SkeletonMismatch: a clip of another character.
        StorageError: the cache cannot be written.
    """

    def __init__(
        self, clips: Sequence[MotionClip], skeleton: Skeleton, device: str | torch.device = "cpu"
    ) -> None:
        self._packed = clips if isinstance(clips, PackedClips) and clips.cache is not None else None
        self.clips = clips = tuple(clips)
        _check(clips, skeleton)
        self.kinematics = Kinematics(skeleton, device)
        self._device = torch.device(device)
        self.names = tuple(clip.name for clip in clips)
        self.num_frames = torch.tensor([clip.num_frames for clip in clips], device=device)  # [M]
        self.fps = torch.tensor([clip.fps for clip in clips], device=device)  # [M]
        self._last, self._one_fps = self.num_frames - 1, bool((self.fps == self.fps[0]).all())
        self.lengths = torch.tensor([clip.length for clip in clips], device=device)  # [M] s
        self.loops = torch.tensor([clip.loop == "wrap" for clip in clips], device=device)  # [M]
        self.first = torch.cumsum(self.num_frames, dim=0) - self.num_frames  # [M] row of frame 0
        # one wide table: a single gather per query instead of one per field
        bodies, joints, dofs = skeleton.num_bodies, skeleton.num_joints, skeleton.num_dofs
        self._shapes = {"joint_rot": (joints, 4), "body_pos": (bodies, 3), "body_rot": (bodies, 4)}
        self._widths = [3, 4, 4 * joints, 3, 3, dofs, bodies, 3 * bodies, 4 * bodies]
        rows = (_rows(_frames(batch, self.kinematics, device)) for batch in _batches(clips))
        self._table = self._kept("frames", None, rows)  # [F, W]
        root_pos = self._table[:, :3]
        travel = root_pos[self.first + self._last] - root_pos[self.first]
        travel[:, 2] = 0.0  # loops repeat on the ground plane, at the height they have
        self.travel = travel * self.loops[:, None]  # [M, 3] m per loop
        self.any_loops = bool(self.loops.any())
        # rotations of root and joints lie next to each other, as interpolation wants them
        before = sum(self._widths[: _FIELDS.index("root_rot")])
        self._rotations = slice(before, before + 4 * skeleton.num_bodies)

    @property
    def num_motions(self) -> int:
        """M."""
        return len(self.names)

    @property
    def frames(self) -> Reference:
        """Every stored frame of every motion, one after the other: fields of shape ``[F, ...]``."""
        return self._split(self._table)

    def frame_table(self, name: str, key: Any, compute: Callable[[Reference], Tensor]) -> Tensor:
        """What ``compute(frames)`` (``[n, W]`` float32 of any n frames) gives for every stored frame: ``[F, W]``.

        Args:
            name: of the table.
            key: JSON value of all settings that `compute` depends on besides the clips and their skeleton.

        Raises:
            StorageError: the cache cannot be written.
        """
        rows = (compute(self._split(part)) for part in self._table.split(_BATCH_FRAMES))
        return self._kept(name, key, rows)

    def _kept(self, name: str, key: Any, batches: Iterator[Tensor]) -> Tensor:
        """The rows of all batches: mapped from the cache of packed clips, otherwise in memory."""
        if self._packed is None:
            return torch.cat(list(batches))

        def build(folder: pathlib.Path) -> None:
            first = next(batches)
            fields = {"rows": PackedField(dtype="<f4", shape=tuple(first.shape[1:]), group="frames")}
            with PackedWriter(folder, fields) as writer:
                for rows in itertools.chain([first], batches):
                    writer.append({"rows": rows.cpu().numpy()})
                writer.finish(None)

        skeleton = self.kinematics.skeleton
        key = {
            "format": _FORMAT,
            "table": name,
            "skeleton": digest_json([skeleton.id, skeleton.mjcf]),
            "device": self._device.type,  # results differ in their last bits
            "settings": key,
        }
        return self._packed.derived("motion_library", key, build).tensors(self._device)["rows"]

    def rows(self, motion_ids: Tensor, times: Tensor) -> tuple[Tensor, Tensor | None]:
        """Row of the frame nearest to each time, and how many loops lie behind it; for times on frames.

        Args:
            motion_ids: ``[N]`` int64.
            times: ``[N]`` or ``[N, S]`` s, those of a row in the same motion.

        Returns:
            rows like `times`, int64, into `frames`, and loops like `times` (0 unless the clip loops), or None where no
            clip of the set loops.
        """
        tail = (1,) * (times.ndim - 1)
        first, last = (table[motion_ids].reshape(-1, *tail) for table in (self.first, self._last))
        fps = self.fps[0] if self._one_fps else self.fps[motion_ids].reshape(-1, *tail)
        frame = (times * fps).round().long()
        if not self.any_loops:
            return first + frame.clamp_min(0).minimum(last), None
        looping = self.loops[motion_ids].reshape(-1, *tail)
        inside = torch.where(looping, frame.remainder(last), frame.clamp_min(0).minimum(last))
        # the last frame of a loop is its first again; stay on it exactly at the end of the first pass
        inside = torch.where(looping & (frame == last), last, inside)
        loops = torch.where(looping & (frame != last), frame.div(last, rounding_mode="floor"), 0)
        return first + inside, loops.to(times.dtype)

    def query(self, motion_ids: Tensor, times: Tensor, on_frames: bool = False) -> Reference:
        """The reference of motions ``[N]`` at times ``[N]`` s, clamped to the motion unless it loops.

        Args:
            on_frames: every time is that of a frame, so nothing needs to be interpolated.
        """
        loops: Tensor | None
        if on_frames:
            rows, loops = self.rows(motion_ids, times)
            ref = self._split(self._table.index_select(0, rows))
        else:
            ref, loops = self._between(motion_ids, times)
        if loops is None or not self.any_loops:
            return ref
        shift = self.travel[motion_ids] * loops[:, None]
        return attrs.evolve(ref, root_pos=ref.root_pos + shift, body_pos=ref.body_pos + shift[:, None])

    def is_on_frames(self, motion_ids: Tensor, times: Tensor, control_hz: float) -> bool:
        """Whether the times, and all control steps after them, fall on frames (within 1e-3 of a frame)."""
        fps = self.fps[motion_ids]
        steps, frames = fps / control_hz, times * fps
        off = torch.maximum((steps - steps.round()).abs(), (frames - frames.round()).abs())
        return bool((off < 1e-3).all())

    def _between(self, motion_ids: Tensor, times: Tensor) -> tuple[Reference, Tensor]:
        length, last = self.lengths[motion_ids], self.num_frames[motion_ids] - 1
        phase = times / length
        loops = torch.where(self.loops[motion_ids] & (phase != 1.0), phase.floor(), torch.zeros_like(phase))
        place = (phase - loops).clamp(0.0, 1.0) * last
        index = place.floor().long()
        share = place - index
        row = self.first[motion_ids]
        rows_a = self._table.index_select(0, row + index)
        rows_b = self._table.index_select(0, row + (index + 1).minimum(last))
        a, b = self._split(rows_a), self._split(rows_b)
        root_pos = torch.lerp(a.root_pos, b.root_pos, share[:, None])
        before, after = (rows[:, self._rotations].unflatten(1, (-1, 4)) for rows in (rows_a, rows_b))
        rotation = rot.slerp(before, after, share[:, None].expand(before.shape[:2]))
        root_rot, joint_rot = rotation[:, 0], rotation[:, 1:]
        body_pos, body_rot = self.kinematics.forward(root_pos, root_rot, joint_rot)
        ref = attrs.evolve(
            a,
            root_pos=root_pos,
            root_rot=root_rot,
            joint_rot=joint_rot,
            contacts=torch.lerp(a.contacts, b.contacts, share[:, None]),
            body_pos=body_pos,
            body_rot=body_rot,
        )
        return ref, loops

    def _split(self, rows: Tensor) -> Reference:
        parts = dict(zip(_FIELDS, rows.split(self._widths, dim=1)))
        for name, shape in self._shapes.items():
            parts[name] = parts[name].unflatten(1, shape)
        return Reference(**parts)


def _check(clips: Sequence[MotionClip], skeleton: Skeleton) -> None:
    if not clips:
        raise DataError("the tracking environment got no clips; give at least one.")
    names = set()
    for clip in clips:
        clip.require_skeleton(skeleton.id, skeleton.num_joints)
        if clip.num_frames < 2:
            raise DataError(f"clip '{clip.name}' has 1 frame; a motion to follow needs at least 2.")
        if clip.name in names:
            raise DataError(
                f"the tracking environment got two clips called '{clip.name}'; names must differ."
            )
        names.add(clip.name)


def _rows(frames: Reference) -> Tensor:
    """All fields of the frames side by side, ``[n, W]``."""
    return torch.cat([getattr(frames, name).flatten(1) for name in _FIELDS], dim=1)


def _batches(clips: Sequence[MotionClip]) -> Iterator[list[MotionClip]]:
    """Runs of clips of equal frame rate, of about `_BATCH_FRAMES` frames."""
    batch: list[MotionClip] = []
    frames = 0
    for clip in clips:
        if batch and (clip.fps != batch[0].fps or frames + clip.num_frames > _BATCH_FRAMES):
            yield batch
            batch, frames = [], 0
        batch.append(clip)
        frames += clip.num_frames
    yield batch


def _frames(clips: list[MotionClip], kinematics: Kinematics, device: str | torch.device) -> Reference:
    """All frames of clips of equal frame rate, one clip after the other."""

    def joined(name: str) -> Tensor:
        return torch.tensor(np.concatenate([getattr(clip, name) for clip in clips]), device=device)

    ends = torch.tensor(np.cumsum([clip.num_frames for clip in clips]) - 1, device=device)

    def within_clips(velocity: Tensor) -> Tensor:
        """The last frame of each clip repeats the velocity of the one before, instead of one to the next clip."""
        velocity[ends] = velocity[ends - 1]
        return velocity

    root_pos, root_rot, joint_rot = joined("root_pos"), joined("root_rot"), joined("joint_rot")
    body_pos, body_rot = kinematics.forward(root_pos, root_rot, joint_rot)
    fps = clips[0].fps
    joint_vel = within_clips(joint_angular_velocity(joint_rot, fps))
    return Reference(
        root_pos=root_pos,
        root_rot=root_rot,
        joint_rot=joint_rot,
        root_vel=within_clips(linear_velocity(root_pos, fps)),
        root_ang_vel=within_clips(angular_velocity(root_rot, fps)),
        dof_vel=kinematics.joint_ang_vel_to_dof_vel(joint_vel),
        contacts=joined("contacts"),
        body_pos=body_pos,
        body_rot=body_rot,
    )
