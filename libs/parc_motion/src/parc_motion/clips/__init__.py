"""Motion clips, data sets of clips, recordings of what a simulator did, and their files."""

from parc_motion.clips.classify import ACTION_CLASSES, action_class
from parc_motion.clips.clip import MotionClip, Provenance
from parc_motion.clips.clip_file import load_clip, save_clip
from parc_motion.clips.dataset import DatasetEntry, MotionDataset, class_balanced_weights
from parc_motion.clips.execution import (
    START_FIELDS,
    Execution,
    execution_file,
    load_execution,
    save_execution,
)
from parc_motion.clips.mirror import mirror_clip, mirror_path, mirror_terrain
from parc_motion.clips.motion_list import ListedMotion, MotionList, read_motion_list
from parc_motion.clips.packed_clips import FRAME_FIELDS, PackedClips, cached_clips, write_packed_clips
from parc_motion.clips.terrain_file import load_terrain, save_terrain

__all__ = [
    "ACTION_CLASSES",
    "FRAME_FIELDS",
    "START_FIELDS",
    "DatasetEntry",
    "Execution",
    "ListedMotion",
    "MotionClip",
    "MotionDataset",
    "MotionList",
    "PackedClips",
    "Provenance",
    "action_class",
    "cached_clips",
    "class_balanced_weights",
    "execution_file",
    "load_clip",
    "load_execution",
    "load_terrain",
    "mirror_clip",
    "mirror_path",
    "mirror_terrain",
    "read_motion_list",
    "save_clip",
    "save_execution",
    "save_terrain",
    "write_packed_clips",
]
