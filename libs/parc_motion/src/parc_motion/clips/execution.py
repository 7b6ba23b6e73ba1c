"""What a simulator was told while a clip was recorded, as a value and as a file beside the clip.

The file is an archive of arrays like that of a clip, but called `<clip>.execution`: whoever looks for clips finds only
clips.
"""

from __future__ import annotations

import pathlib
from typing import Any

import attrs
import numpy as np

from parc_motion import storage
from parc_motion.checks import as_float32, check_finite, check_frame_rate, check_shape
from parc_motion.clips.stored import array_of, field_of, naming, stored_terrain
from parc_motion.errors import DataError
from parc_motion.terrains import Terrain

__all__ = ["START_FIELDS", "Execution", "execution_file", "load_execution", "save_execution"]

START_FIELDS = ("root_pos", "root_rot", "joint_rot", "root_vel", "root_ang_vel", "dof_vel")
_KIND, _FORMAT = "parc.execution", 1


@attrs.frozen(kw_only=True, eq=False)
class Execution:
    """Start state, servo targets and ground: with them the simulator makes the same motion again, without an agent.

    State k is the one after k control steps. The clip's frames are the states `lead_in` and those after it: a part
    that was cut out of a longer try still begins where the try began, because only there the state is known exactly.
    """

    root_pos: np.ndarray = attrs.field(converter=as_float32)  # [3] m, at the start, like all up to dof_vel
    root_rot: np.ndarray = attrs.field(converter=as_float32)  # [4] xyzw
    joint_rot: np.ndarray = attrs.field(converter=as_float32)  # [J, 4]
    root_vel: np.ndarray = attrs.field(converter=as_float32)  # [3] m/s
    root_ang_vel: np.ndarray = attrs.field(converter=as_float32)  # [3] rad/s, world
    dof_vel: np.ndarray = attrs.field(converter=as_float32)  # [D] rad/s
    dof_target: np.ndarray = attrs.field(converter=as_float32)  # [K, D] rad, one row per control step
    terrain: Terrain  # all of the ground that was simulated; a clip may carry less of it
    control_hz: float = attrs.field(converter=float)
    skeleton: str
    lead_in: int = 0  # control steps before the clip's first frame
    simulator: dict[str, Any] = attrs.field(factory=dict)  # provider and settings, as in an iteration file

    def __attrs_post_init__(self) -> None:
        check_shape(self.dof_vel, (None,), "execution: dof_vel")
        dofs = len(self.dof_vel)
        for name, shape in (
            ("root_pos", (3,)),
            ("root_rot", (4,)),
            ("joint_rot", (None, 4)),
            ("root_vel", (3,)),
            ("root_ang_vel", (3,)),
            ("dof_target", (None, dofs)),
        ):
            check_shape(getattr(self, name), shape, f"execution: {name}")
        for name in (*START_FIELDS, "dof_target"):
            check_finite(getattr(self, name), f"execution: {name}")
        check_frame_rate(self.control_hz, "execution: control_hz")
        if not 0 <= self.lead_in <= len(self.dof_target):
            raise DataError(
                f"execution: lead_in is {self.lead_in} of {len(self.dof_target)} control steps; it must be one of them."
            )


def execution_file(clip_file: pathlib.Path) -> pathlib.Path:
    """Where the execution of a recorded clip lies: beside it, under its name."""
    return clip_file.with_suffix(".execution")


def save_execution(path: pathlib.Path, execution: Execution) -> None:
    """Write it durably; equal ones give equal files."""
    arrays = {name: getattr(execution, name) for name in (*START_FIELDS, "dof_target")}
    arrays |= {
        "terrain_height": execution.terrain.height,
        "terrain_origin_xy": execution.terrain.origin_xy,
    }
    header = {
        "kind": _KIND,
        "format": _FORMAT,
        "control_hz": execution.control_hz,
        "skeleton": execution.skeleton,
        "lead_in": execution.lead_in,
        "simulator": execution.simulator,
        "terrain": {"cell": execution.terrain.cell},
    }
    storage.write_arrays(path, arrays, header)


def load_execution(path: pathlib.Path) -> Execution:
    """What `save_execution` wrote.

    Raises:
        DataError: no such file, another kind of file, or its arrays do not fit together.
    """
    arrays, header = storage.read_arrays(path)
    if header.get("kind") != _KIND or header.get("format") != _FORMAT:
        raise DataError(
            f"{path}: holds {header.get('kind')!r:.80} of format {header.get('format')!r:.80}, expected '{_KIND}' of "
            f"format {_FORMAT}."
        )
    with naming(path):
        return Execution(
            terrain=stored_terrain(arrays, field_of(header, "terrain", dict), "terrain_"),
            control_hz=field_of(header, "control_hz", float),
            skeleton=field_of(header, "skeleton", str),
            lead_in=field_of(header, "lead_in", int),
            simulator=field_of(header, "simulator", dict),
            **{name: array_of(arrays, name) for name in (*START_FIELDS, "dof_target")},
        )
