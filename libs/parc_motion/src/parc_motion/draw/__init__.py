"""Pictures of terrains, paths and poses, in one style (with Pillow: `pip install 'parc-motion[draw]'`)."""

from parc_motion.draw.ground import (
    FINE,
    KIND_COLORS,
    draw_dashes,
    draw_goal,
    draw_start,
    draw_terrain,
    jump_spans,
)
from parc_motion.draw.heights import HeightScale
from parc_motion.draw.pose import BURIED, HELD, Poses, View, draw_pose, heading_of, posed
from parc_motion.draw.style import (
    BACKGROUND,
    INK,
    LINE,
    PALE,
    WARNING,
    Color,
    fit,
    font,
    label,
    png_bytes,
    wrap,
    wrap_words,
)

__all__ = [
    "BACKGROUND",
    "BURIED",
    "FINE",
    "HELD",
    "INK",
    "KIND_COLORS",
    "LINE",
    "PALE",
    "WARNING",
    "Color",
    "HeightScale",
    "Poses",
    "View",
    "draw_dashes",
    "draw_goal",
    "draw_pose",
    "draw_start",
    "draw_terrain",
    "fit",
    "font",
    "heading_of",
    "jump_spans",
    "label",
    "png_bytes",
    "posed",
    "wrap",
    "wrap_words",
]
