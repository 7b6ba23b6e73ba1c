"""A dump as `parc_mujoco.divergence` writes it, read and checked."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import attrs
import numpy as np

from parc_core.config import load_settings
from parc_core.plugins import Registry
from parc_motion.errors import DataError
from parc_motion.skeletons import Skeleton, parse_skeleton
from parc_motion.storage import ArrayLimits, read_arrays
from parc_motion.terrains import Terrain
from parc_mujoco.config import MujocoConfig
from parc_mujoco.divergence import DUMP_FORMAT, KEPT

__all__ = ["Dump", "load_dump"]

_LIMITS = ArrayLimits(total_bytes=256 << 20, num_arrays=16)
_MOST_BOXES = 100_000
_HEADER: dict[str, type | tuple[type, ...]] = {
    "simulator": str,
    "mujoco": str,
    "skeleton": str,
    "character": str,
    "settings": dict,
    "control_hz": float,
    "num_boxes": int,
    "env_id": int,
    "terrain_id": int,
    "clip": str,
    "cell": float,
}


@attrs.frozen(kw_only=True, eq=False)
class Dump:
    """The last K control steps of a copy that diverged in the last of them."""

    path: pathlib.Path
    header: dict[str, Any]
    before: dict[str, np.ndarray]  # qpos, qvel, qacc_warmstart, time: as each step began, [K, ...]
    targets: np.ndarray  # [K, D] rad
    after: dict[str, np.ndarray]  # qpos, qvel
    terrain: Terrain
    skeleton: Skeleton
    config: MujocoConfig

    @property
    def num_steps(self) -> int:
        """K."""
        return len(self.targets)

    @property
    def title(self) -> str:
        """Whose steps these are."""
        header = self.header
        clip = f", clip '{header['clip']}'" if header["clip"] else ""
        return f"simulator {header['simulator']}, environment {header['env_id']}{clip}"


def load_dump(path: pathlib.Path) -> Dump:
    """A dump from a file.

    Raises:
        DataError: the file is no dump, or does not fit together.
        ConfigError: its settings are not those of a simulator.
        CorruptArtifact: it is damaged.
    """
    arrays, header = read_arrays(path, _LIMITS)
    if header.get("format") != DUMP_FORMAT or not {"qpos", "targets"} <= set(arrays):
        raise DataError(
            f"{path}: not a dump of a simulation that diverged (format {header.get('format')!r}, expected "
            f"{DUMP_FORMAT}). Dumps lie in the folder dumps of a run."
        )
    for name, kind in _HEADER.items():
        if not isinstance(header.get(name), kind):
            raise DataError(
                f"{path}: its header has no usable '{name}': {header.get(name)!r:.80}. The file is damaged."
            )
    if not 0 < header["num_boxes"] <= _MOST_BOXES:
        raise DataError(f"{path}: num_boxes is {header['num_boxes']}, expected 1 to {_MOST_BOXES}.")
    try:
        known = {field.name for field in attrs.fields(MujocoConfig)}
        settings = {name: value for name, value in header["settings"].items() if name in known}
        config, _ = load_settings(json.dumps(settings), str(path), MujocoConfig, Registry.discover())
        dump = Dump(
            path=path,
            header=header,
            before={name: arrays[name].astype(np.float64) for name in KEPT},
            targets=arrays["targets"].astype(np.float64),
            after={name: arrays[f"{name}_after"] for name in ("qpos", "qvel")},
            terrain=Terrain(height=arrays["height"], origin_xy=arrays["origin_xy"], cell=header["cell"]),
            skeleton=parse_skeleton(header["character"], header["skeleton"], str(path)),
            config=config,
        )
    except KeyError as err:
        raise DataError(f"{path}: has no array {err}. The file is damaged.") from err
    except (DataError, TypeError, ValueError) as err:
        raise DataError(f"{path}: does not hold what a dump does: {err}. The file is damaged.") from err
    lengths = {name: len(value) for name, value in {**dump.before, "targets": dump.targets}.items()}
    if dump.num_steps == 0 or set(lengths.values()) != {dump.num_steps}:
        raise DataError(f"{path}: its steps differ in number: {lengths}. The file is damaged.")
    return dump
