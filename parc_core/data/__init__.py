"""The data that flows between stages: terrains, paths, skeletons, clips, data sets, policies."""

from parc_core.data.clip import MotionClip, Provenance
from parc_core.data.path import Path, SegmentKind
from parc_core.data.skeleton import Geom, Joint, JointKind, Skeleton
from parc_core.data.terrain import Terrain

__all__ = [
    "Geom",
    "Joint",
    "JointKind",
    "MotionClip",
    "Path",
    "Provenance",
    "SegmentKind",
    "Skeleton",
    "Terrain",
]
