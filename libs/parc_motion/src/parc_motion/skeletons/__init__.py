"""Characters: bodies, joints and shapes, read from MJCF."""

from parc_motion.skeletons.mjcf import builtin_characters, load_skeleton, parse_skeleton
from parc_motion.skeletons.skeleton import Geom, Joint, JointKind, Skeleton

__all__ = ["Geom", "Joint", "JointKind", "Skeleton", "builtin_characters", "load_skeleton", "parse_skeleton"]
