"""Checks the rules on many clips: poses them in batches, then checks one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_data.tools.check_file import explain_unreadable
from parc_data.tools.check_ground import check_contacts, check_penetration, check_sliding, check_terrain
from parc_data.tools.check_motion import check_flights, check_limits, check_rates, check_speeds
from parc_data.tools.find import FoundClip, load_found
from parc_data.tools.findings import LEVELS, ClipReport, Finding, ValidateConfig, finding
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError, SkeletonMismatch
from parc_motion.geometry import PackedTerrains, clearance, penetration_depth
from parc_motion.kinematics import Kinematics, body_masses, center_of_mass, surface_points
from parc_motion.metrics import Flights, airborne_frames, measure_flights
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain

__all__ = ["Validator", "validate_files"]

_BATCH_FRAMES = 2048
_BATCH_CELLS = 4_000_000  # of the padded terrains of a batch
_FAR = 0.25  # m: larger distances to the ground are clamped to it
_BELOW = -1e4  # m, ground for clips without terrain


@attrs.frozen(kw_only=True, eq=False)
class _Posed:
    """The posed frames of one clip: views into those of the batch."""

    points: Tensor  # [T, P, 3] m
    depth: Tensor  # [T, P] m
    gap: Tensor  # [T, B] m, distance of each body to the ground
    center_of_mass: Tensor  # [T, 3] m
    dof: Tensor  # [T, D] rad


def validate_files(
    items: Iterable[FoundClip], skeleton: Skeleton, config: ValidateConfig
) -> Iterator[ClipReport]:
    """A report per file, in the given order."""
    validator = Validator(skeleton, config)
    waiting: list[tuple[FoundClip, MotionClip | DataError]] = []
    for item in items:
        loaded = _load(item, skeleton)
        if isinstance(loaded, MotionClip) and _is_full([*_clips(waiting), loaded]):
            yield from _reports(validator, waiting)
            waiting = []
        waiting.append((item, loaded))
    yield from _reports(validator, waiting)


class Validator:
    """Checks clips of one character."""

    def __init__(self, skeleton: Skeleton, config: ValidateConfig) -> None:
        self.skeleton, self.config = skeleton, config
        self.kinematics, self.surface = Kinematics(skeleton), surface_points(skeleton)
        self._masses = tuple(torch.tensor(array, dtype=torch.float32) for array in body_masses(skeleton))

    def check(self, clips: list[MotionClip]) -> list[list[Finding]]:
        """The findings of each clip, errors first."""
        return [self._one(clip, posed) for clip, posed in zip(clips, self._pose(clips))]

    def flights(self, clip: MotionClip) -> Flights:
        """The flights of a clip."""
        (posed,) = self._pose([clip])
        return self._flights(clip, posed)

    def _one(self, clip: MotionClip, posed: _Posed) -> list[Finding]:
        config, skeleton = self.config, self.skeleton
        findings = check_rates(clip, config) + check_speeds(clip, skeleton, config)
        findings += check_limits(posed.dof, skeleton, config) + check_terrain(clip, config)
        findings += check_sliding(posed.points, clip.contacts, self.surface, skeleton, config)
        if clip.terrain is not None:
            findings += check_penetration(posed.depth, self.surface, skeleton, config)
            findings += check_contacts(posed.gap.numpy(), clip.contacts, skeleton, config)
        if clip.terrain is not None or clip.contacts.any():  # otherwise flights cannot be recognized
            findings += check_flights(self._flights(clip, posed), clip.fps, config)
        return sorted(findings, key=lambda item: LEVELS.index(item.level))

    def _flights(self, clip: MotionClip, posed: _Posed) -> Flights:
        contacts, gap = torch.tensor(clip.contacts), posed.gap.amin(dim=1)
        airborne = airborne_frames(contacts, gap, height=self.config.flight_height)
        return measure_flights(posed.center_of_mass, airborne, clip.fps)

    def _pose(self, clips: list[MotionClip]) -> list[_Posed]:
        lengths = [clip.num_frames for clip in clips]
        root_pos, root_rot, joint_rot = (
            torch.from_numpy(np.concatenate([getattr(clip, name) for clip in clips]))
            for name in ("root_pos", "root_rot", "joint_rot")
        )
        body_pos, body_rot = self.kinematics.forward(root_pos, root_rot, joint_rot)
        points = self.surface.world(body_pos, body_rot)
        packed = PackedTerrains.of([clip.terrain or Terrain(height=[[_BELOW]]) for clip in clips])
        ids = torch.arange(len(clips)).repeat_interleave(torch.tensor(lengths))
        near = clearance(packed, ids, points, _FAR)
        body = self.surface.body.expand_as(near)
        gap = torch.full((len(ids), self.skeleton.num_bodies), _FAR).scatter_reduce(
            1, body, near, reduce="amin"
        )
        parts = {
            "points": points,
            "depth": penetration_depth(packed, ids, points),
            "gap": gap,
            "center_of_mass": center_of_mass(body_pos, body_rot, *self._masses),
            "dof": self.kinematics.joint_rot_to_dof(joint_rot),
        }
        split = {name: part.split(lengths) for name, part in parts.items()}
        return [_Posed(**{name: part[k] for name, part in split.items()}) for k in range(len(clips))]


def _load(item: FoundClip, skeleton: Skeleton) -> MotionClip | DataError:
    try:
        clip = load_found(item)
        clip.require_skeleton(skeleton.id, skeleton.num_joints)
    except DataError as err:
        return err
    return clip


def _clips(waiting: list[tuple[FoundClip, MotionClip | DataError]]) -> list[MotionClip]:
    return [clip for _, clip in waiting if isinstance(clip, MotionClip)]


def _is_full(clips: list[MotionClip]) -> bool:
    """Whether a batch of these is too large; their terrains are padded to the largest side along x and along y."""
    shapes = [clip.terrain.shape for clip in clips if clip.terrain is not None]
    cells = max((nx for nx, _ in shapes), default=1) * max((ny for _, ny in shapes), default=1)
    return sum(clip.num_frames for clip in clips) > _BATCH_FRAMES or cells * len(clips) > _BATCH_CELLS


def _reports(
    validator: Validator, waiting: list[tuple[FoundClip, MotionClip | DataError]]
) -> Iterator[ClipReport]:
    clips = _clips(waiting)
    findings = iter(validator.check(clips) if clips else [])
    for item, clip in waiting:
        if isinstance(clip, MotionClip):
            found, name = next(findings), clip.name
        elif isinstance(clip, SkeletonMismatch):
            found, name = [finding("character", str(clip))], item.file.stem
        else:
            found, name = explain_unreadable(item.file, clip), item.file.stem
        yield ClipReport(file=str(item.file), name=name, findings=tuple(found))
