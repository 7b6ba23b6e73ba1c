"""Measures of generated candidates; lower is better."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np

from parc_kinopt.compiled.ground import make_ground
from parc_kinopt.compiled.score import Motion, Route, measure
from parc_kinopt.compiled.tree import tree_of
from parc_kinopt.limbs import Limb
from parc_motion.clips import MotionClip
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Path, Terrain

__all__ = ["CandidateScorer", "Raw"]


@attrs.frozen(kw_only=True)
class Raw:
    """What a selector weighs of one candidate; sums run over frames, bodies and points."""

    contact: float  # m, distance of bodies in contact from the ground, summed
    penetration: float  # m, depth of points inside the ground, summed
    path: float  # m, mean distance of the root from the path in the ground plane
    roughness: float  # m/s, mean change of the root's velocity from frame to frame
    jerk: float  # share of frames with a body above the jerk limit
    slide: float  # m/s, mean speed of feet in contact
    progress: float  # m of the path that the root never got to
    goal: float  # m, distance of the feet from the end of the path, at the nearest frame


class CandidateScorer:
    """Measures candidates of one character, one on every core, in float64."""

    def __init__(self, skeleton: Skeleton, limbs: tuple[Limb, ...]) -> None:
        self.skeleton, self.tree = skeleton, tree_of(skeleton)
        self.feet = np.array([limb.body for limb in limbs if limb.is_foot] or [0], np.int64)
        center, radius = np.zeros((skeleton.num_bodies, 3)), np.zeros(skeleton.num_bodies)
        for b, (start, stop) in enumerate(zip(self.tree.start, self.tree.start[1:])):
            if stop > start:
                points = self.tree.point[start:stop]
                center[b] = 0.5 * (points.min(axis=0) + points.max(axis=0))
                radius[b] = np.linalg.norm(points - center[b], axis=1).max()
        self.center, self.radius = center, radius

    def __call__(
        self, clips: Sequence[MotionClip], terrain: Terrain, path: Path, jerk_limit: float, min_label: float
    ) -> list[Raw]:
        """The numbers of every candidate.

        Args:
            jerk_limit: a frame with a body above it is jerky, m/s^3.
            min_label: weaker contact labels count as none, 0..1.

        Raises:
            SkeletonMismatch: a clip was made for another character.
        """
        for clip in clips:
            clip.require_skeleton(self.skeleton.id, self.skeleton.num_joints)
        ground = make_ground(terrain)
        route = Route(
            points=np.ascontiguousarray(path.points, np.float64),
            feet=self.feet,
            center=self.center,
            radius=self.radius,
            jerk_limit=jerk_limit,
            min_label=min_label,
        )
        names = [field.name for field in attrs.fields(Raw)]
        rows = np.zeros((len(clips), len(names)))
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            jobs = [
                pool.submit(measure, _motion(clip), route, self.tree, ground, row)
                for clip, row in zip(clips, rows)
            ]
        for job in jobs:
            job.result()
        return [Raw(**dict(zip(names, row))) for row in rows.tolist()]


def _motion(clip: MotionClip) -> Motion:
    turn = np.concatenate([clip.root_rot[:, None], clip.joint_rot], axis=1, dtype=np.float64)
    return Motion(
        root_pos=clip.root_pos.astype(np.float64),
        # float32 quaternions are not exactly of length 1
        turn=turn / np.linalg.norm(turn, axis=-1, keepdims=True),
        contacts=clip.contacts.astype(np.float64),
        dt=1.0 / clip.fps,
    )
