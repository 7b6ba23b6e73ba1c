"""The ground: blocky height grids, paths over them, and operations on grids."""

from parc_motion.terrains.operations import TerrainSlice, crop, downsample, pad, slice_around
from parc_motion.terrains.path import Path, SegmentKind
from parc_motion.terrains.terrain import Terrain
from parc_motion.terrains.terrain_grid import TerrainGrid, lay_out

__all__ = [
    "Path",
    "SegmentKind",
    "Terrain",
    "TerrainGrid",
    "TerrainSlice",
    "crop",
    "downsample",
    "lay_out",
    "pad",
    "slice_around",
]
