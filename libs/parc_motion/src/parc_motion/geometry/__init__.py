"""Distances to the ground and heights of it, batched in torch; box covers of terrains."""

from parc_motion.geometry.boxes import box_cover
from parc_motion.geometry.distance import clearance, penetration_depth, project_to_surface, signed_distance
from parc_motion.geometry.heights import grid_offsets, height_at, height_patch
from parc_motion.geometry.lines import cell_lines, check_extent
from parc_motion.geometry.packed import PackedTerrains
from parc_motion.geometry.touched import HEADROOM, JUMPED_OVER, height_bounds, touched_cells, touched_rows

__all__ = [
    "HEADROOM",
    "JUMPED_OVER",
    "PackedTerrains",
    "box_cover",
    "cell_lines",
    "check_extent",
    "clearance",
    "grid_offsets",
    "height_at",
    "height_bounds",
    "height_patch",
    "penetration_depth",
    "project_to_surface",
    "signed_distance",
    "touched_cells",
    "touched_rows",
]
