"""Copies whose numbers ran away: counted, and the steps that led there kept in files, which `parc debug` replays."""

from __future__ import annotations

import itertools
import logging
import os
import pathlib
import time
from typing import Any

import attrs
import mujoco
import numpy as np

from parc_motion.errors import StorageError
from parc_motion.skeletons import Skeleton
from parc_motion.storage import make_folder, remove, write_arrays
from parc_motion.terrains import Terrain
from parc_mujoco.config import MujocoConfig

__all__ = [
    "DUMP_FORMAT",
    "FASTEST",
    "KEPT",
    "MAX_DUMPS",
    "MAX_FILES",
    "Divergence",
    "DivergenceLog",
    "Simulated",
]

log = logging.getLogger(__name__)

DUMP_FORMAT = 2
FASTEST = 1e4  # m/s or rad/s; nothing that moves so fast comes back
KEPT = ("qpos", "qvel", "qacc_warmstart", "time")  # of the state that a step begins with
MAX_DUMPS = 4  # files per simulator; a bad policy can lose thousands of copies
MAX_FILES = 20  # in a folder, where the newest stay
_numbers = itertools.count(1)  # of the files of this process


@attrs.frozen(kw_only=True, eq=False)
class Divergence:
    """One copy at the control step that it did not survive, and the steps before."""

    env_id: int
    terrain_id: int
    before: dict[str, np.ndarray]  # KEPT: as each of the K last steps began, [K, ...]
    targets: np.ndarray  # [K, D] rad
    after: dict[str, np.ndarray]  # qpos, qvel: as they were found
    clip: str = ""  # what the environment followed


@attrs.frozen(kw_only=True)
class Simulated:
    """What is the same for all copies of a simulator."""

    simulator: str  # its name
    config: MujocoConfig
    skeleton: Skeleton
    control_hz: float
    num_boxes: int  # in each model


class DivergenceLog:
    """Writes the first few divergences to files and the log, and says now and then how many there have been.

    A file holds what it takes to run the steps again: generalized states and targets, the terrain, the character, the
    settings.
    """

    def __init__(self, simulated: Simulated, folder: pathlib.Path | None) -> None:
        """Nothing is written yet.

        Args:
            folder: where files go, unless the settings name another one; None: nowhere.
        """
        given = simulated.config.dump_dir
        self._folder = folder if given is None else pathlib.Path(given).expanduser()
        self._simulated = simulated
        self._written, self._announced = 0, 0

    def dump(self, case: Divergence, terrain: Terrain, model: str = "") -> None:
        """Keep a case, unless there are enough of them.

        Args:
            model: the MJCF of the copy's model, for people.
        """
        if self._written >= MAX_DUMPS:
            return
        self._written += 1
        log.warning(
            "simulator %s: environment %d on terrain %d%s diverged %.2f s after its reset; it is put back to where it "
            "was reset and waits there. %s",
            self._simulated.simulator,
            case.env_id,
            case.terrain_id,
            f" (clip '{case.clip}')" if case.clip else "",
            float(case.before["time"][-1].reshape(-1)[0]),
            self._kept(case, terrain, model),
        )

    def count(self, total: int, num_envs: int) -> None:
        """Say how many there have been, at 1, 10, 100, ..."""
        if total < max(1, 10 * self._announced):
            return
        self._announced = 10 ** (len(str(total)) - 1)
        log.warning(
            "simulator %s: copies have diverged %d times so far, of %d environments",
            self._simulated.simulator,
            total,
            num_envs,
        )

    def _kept(self, case: Divergence, terrain: Terrain, model: str) -> str:
        """Write the file; what to say of it. A full disk does not end the training."""
        if self._folder is None:
            return "simulator.dump_dir names a folder in which its last steps are kept."
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        path = self._folder / f"diverged-{stamp}-{os.getpid()}-{next(_numbers):03d}.npz"
        arrays = {name: np.asarray(value) for name, value in case.before.items()}
        arrays |= {f"{name}_after": np.asarray(value) for name, value in case.after.items()}
        arrays |= {"targets": case.targets, "height": terrain.height, "origin_xy": terrain.origin_xy}
        try:
            make_folder(self._folder)
            write_arrays(path, arrays, self._header(case, terrain, model))
            for old in sorted(self._folder.glob("diverged-*.npz"))[:-MAX_FILES]:
                remove(old)
        except StorageError as err:
            return f"Its last steps are not kept: {err}"
        return f"Its last {len(case.targets)} steps are kept; replay them with: parc debug {path}"

    def _header(self, case: Divergence, terrain: Terrain, model: str) -> dict[str, Any]:
        about = self._simulated
        return {
            "format": DUMP_FORMAT,
            "simulator": about.simulator,
            "mujoco": mujoco.__version__,
            "skeleton": about.skeleton.id,
            "character": about.skeleton.mjcf,
            "settings": attrs.asdict(about.config),
            "control_hz": float(about.control_hz),
            "num_boxes": about.num_boxes,
            "env_id": case.env_id,
            "terrain_id": case.terrain_id,
            "clip": case.clip,
            "cell": float(terrain.cell),
            "model": model,
        }
