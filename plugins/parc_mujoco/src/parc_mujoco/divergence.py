"""Copies whose numbers ran away: counted, and the states that led there kept in files."""

from __future__ import annotations

import logging
import pathlib
import tempfile
from typing import Any

import attrs
import mujoco
import numpy as np

from parc_motion.skeletons import Skeleton
from parc_motion.storage import make_folder, write_arrays
from parc_motion.terrains import Terrain
from parc_mujoco.config import MujocoConfig

__all__ = ["FASTEST", "MAX_DUMPS", "Divergence", "DivergenceLog"]

log = logging.getLogger(__name__)

FASTEST = 1e4  # m/s or rad/s; nothing that moves so fast comes back
MAX_DUMPS = 4  # files per simulator; a bad policy can lose thousands of copies


@attrs.frozen(kw_only=True, eq=False)
class Divergence:
    """One copy at the control step that it did not survive."""

    env_id: int
    terrain_id: int
    before: dict[str, np.ndarray]  # qpos, qvel, qacc_warmstart, time: as the step began
    targets: np.ndarray  # [D] rad
    after: dict[str, np.ndarray]  # qpos, qvel: as they were found


class DivergenceLog:
    """Writes the first few divergences to files and the log, and says now and then how many there have been.

    A file holds what it takes to run the step again: generalized state and targets, the terrain, the settings.
    """

    def __init__(self, simulator: str, config: MujocoConfig, skeleton: Skeleton) -> None:
        self._simulator, self._config, self._skeleton = simulator, config, skeleton
        self._folder: pathlib.Path | None = None
        self._written, self._announced = 0, 0

    def dump(self, case: Divergence, terrain: Terrain) -> None:
        """Keep a case, unless there are enough of them."""
        if self._written >= MAX_DUMPS:
            return
        self._written += 1
        path = self._make_folder() / f"diverged_{self._written:03d}.npz"
        arrays = {f"{name}_before": np.asarray(value) for name, value in case.before.items()}
        arrays |= {f"{name}_after": np.asarray(value) for name, value in case.after.items()}
        arrays |= {"targets": case.targets, "height": terrain.height, "origin_xy": terrain.origin_xy}
        write_arrays(path, arrays, self._header(case, terrain))
        log.warning(
            "simulator %s: environment %d on terrain %d diverged %.2f s after its reset; it is put back to where it "
            "was reset and waits there. Its state before and after the step is in %s",
            self._simulator,
            case.env_id,
            case.terrain_id,
            float(np.asarray(case.before["time"]).reshape(-1)[0]),
            path,
        )

    def count(self, total: int, num_envs: int) -> None:
        """Say how many there have been, at 1, 10, 100, ..."""
        if total < max(1, 10 * self._announced):
            return
        self._announced = 10 ** (len(str(total)) - 1)
        log.warning(
            "simulator %s: copies have diverged %d times so far, of %d environments",
            self._simulator,
            total,
            num_envs,
        )

    def _make_folder(self) -> pathlib.Path:
        if self._folder is None:
            given = self._config.dump_dir
            parent = None if given is None else make_folder(pathlib.Path(given).expanduser())
            # one folder each: several simulators may share the setting
            self._folder = pathlib.Path(tempfile.mkdtemp(prefix="parc_diverged_", dir=parent))
        return self._folder

    def _header(self, case: Divergence, terrain: Terrain) -> dict[str, Any]:
        return {
            "simulator": self._simulator,
            "mujoco": mujoco.__version__,
            "skeleton": self._skeleton.id,
            "settings": attrs.asdict(self._config),
            "env_id": case.env_id,
            "terrain_id": case.terrain_id,
            "cell": float(terrain.cell),
        }
