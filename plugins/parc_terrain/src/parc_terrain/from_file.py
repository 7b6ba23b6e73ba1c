"""Windows of stored terrains.

Source: `parc_motion.published`: a random window, and that it keeps its place in the stored terrain. Unlike
there the file is drawn, not counted through, and a terrain that is smaller than the window is refused.
"""

from __future__ import annotations

import glob
import pathlib

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.interfaces import TerrainSource
from parc_motion.clips import load_terrain
from parc_motion.errors import DataError
from parc_motion.terrains import Terrain

__all__ = ["FileConfig", "FileTerrain"]


@attrs.frozen(kw_only=True)
class FileConfig:
    """Settings of `file`; the size of the cells is that of the stored terrain."""

    path: str = setting(
        path=True,
        help="A terrain or clip (.npz), a folder that is searched recursively, or a pattern such "
        "as clips/*_stairs.npz.",
    )
    dim_x: int = setting(16, ge=1, le=1000, help="Number of cells of the window along x.")
    dim_y: int = setting(16, ge=1, le=1000, help="Number of cells of the window along y.")


class FileTerrain(TerrainSource):
    """A random window of a random stored terrain, at its place in it; every file is as likely as every other.

    All files are read, and their sizes checked, when the source is made.

    Raises:
        DataError: there is no file, one holds no terrain, or one is smaller than the window.
    """

    def __init__(self, config: FileConfig) -> None:
        self.config = config
        self.terrains = [_fitting(file, load_terrain(file), config) for file in _files(config.path)]

    def sample(self, rng: np.random.Generator) -> Terrain:
        """A window; its `origin_xy` says where it lies in the stored terrain. What a clip allowed for is left out."""
        config = self.config
        stored = self.terrains[int(rng.integers(len(self.terrains)))]
        i = int(rng.integers(stored.shape[0] - config.dim_x + 1))
        j = int(rng.integers(stored.shape[1] - config.dim_y + 1))
        return Terrain(
            height=stored.height[i : i + config.dim_x, j : j + config.dim_y],
            origin_xy=stored.center_of(np.array([i, j]))[:2],
            cell=stored.cell,
        )


def _files(text: str) -> list[pathlib.Path]:
    """The files that a path, a folder or a pattern stands for, sorted."""
    path = pathlib.Path(text).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        files = sorted(path.rglob("*.npz"))
        problem = "a folder without .npz files"
    else:
        files = sorted(pathlib.Path(name) for name in glob.glob(str(path), recursive=True))
        files = [file for file in files if file.is_file()]
        problem = "no such file or folder, and no file fits the pattern"
    if not files:
        raise DataError(f"{text}: {problem} (looked from {pathlib.Path.cwd()}). Correct `path`.")
    return files


def _fitting(file: pathlib.Path, terrain: Terrain, config: FileConfig) -> Terrain:
    nx, ny = terrain.shape
    if nx < config.dim_x or ny < config.dim_y:
        raise DataError(
            f"{file}: its terrain has {nx} x {ny} cells, the window {config.dim_x} x {config.dim_y}. "
            "Lower dim_x and dim_y or leave the file out."
        )
    return terrain
