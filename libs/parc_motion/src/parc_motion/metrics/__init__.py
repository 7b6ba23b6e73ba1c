"""Measures of motion quality."""

from parc_motion.metrics.clips import clip_metrics, summarize
from parc_motion.metrics.flights import (
    GRAVITY,
    MAX_DEFICIT,
    MAX_SPEED_CHANGE,
    Flights,
    airborne_frames,
    measure_flights,
)
from parc_motion.metrics.ground import contact_slides, terrain_contact, terrain_penetration
from parc_motion.metrics.motion import (
    HIGH_JERK,
    final_waypoint_distance,
    high_jerk_share,
    joint_limit_excess,
    max_jerk,
)

__all__ = [
    "GRAVITY",
    "HIGH_JERK",
    "MAX_DEFICIT",
    "MAX_SPEED_CHANGE",
    "Flights",
    "airborne_frames",
    "clip_metrics",
    "contact_slides",
    "final_waypoint_distance",
    "high_jerk_share",
    "joint_limit_excess",
    "max_jerk",
    "measure_flights",
    "summarize",
    "terrain_contact",
    "terrain_penetration",
]
