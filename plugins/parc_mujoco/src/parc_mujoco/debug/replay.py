"""The steps of a dump, simulated again."""

from __future__ import annotations

import attrs
import mujoco
import numpy as np

from parc_motion.errors import DataError
from parc_mujoco.debug.dump import Dump
from parc_mujoco.divergence import FASTEST
from parc_mujoco.messages import messages_to_log
from parc_mujoco.model import build_spec, count_substeps, terrain_boxes

__all__ = ["Replayed", "replay"]

_STATE = ("qpos", "qvel")


@attrs.frozen(kw_only=True)
class Replayed:
    """What became of the steps."""

    num_steps: int
    diverged_at: int | None  # the control step, counted from 1; None: in none of them
    equal_steps: int  # so many of those before the last ended in exactly the state that was recorded
    what: str  # the first number that was not finite or too large; empty if there was none

    @property
    def as_recorded(self) -> bool:
        """Whether it diverged in the last step, as the recorded simulation did."""
        return self.diverged_at == self.num_steps


def replay(dump: Dump) -> Replayed:
    """Simulate the steps of a dump again, on the CPU.

    Raises:
        DataError: its states do not fit its character.
    """
    messages_to_log()
    model = _model(dump)
    data = mujoco.MjData(model)
    _check_sizes(dump, model, data)
    substeps = count_substeps(dump.config.sim_hz, dump.header["control_hz"])
    data.time = float(dump.before["time"][0].reshape(-1)[0])
    equal = 0
    for step in range(dump.num_steps):
        if step:
            equal += all(np.array_equal(getattr(data, name), dump.before[name][step]) for name in _STATE)
        for name in (*_STATE, "qacc_warmstart"):  # as recorded: something else may have changed it
            getattr(data, name)[:] = dump.before[name][step]
        data.ctrl[:] = dump.targets[step]
        what = _runs_away(model, data, substeps)
        if what:
            return Replayed(num_steps=dump.num_steps, diverged_at=step + 1, equal_steps=equal, what=what)
    return Replayed(num_steps=dump.num_steps, diverged_at=None, equal_steps=equal, what="")


def _model(dump: Dump) -> mujoco.MjModel:
    boxes = terrain_boxes(dump.terrain)
    if len(boxes[0]) > dump.header["num_boxes"]:
        raise DataError(
            f"{dump.path}: its terrain has {len(boxes[0])} boxes, more than num_boxes "
            f"({dump.header['num_boxes']}). The file is damaged."
        )
    try:
        return build_spec(dump.skeleton, dump.config, boxes, dump.header["num_boxes"]).compile()
    except ValueError as err:
        raise DataError(f"{dump.path}: MuJoCo cannot make its model: {err}. The file is damaged.") from err


def _check_sizes(dump: Dump, model: mujoco.MjModel, data: mujoco.MjData) -> None:
    sizes = {"qpos": model.nq, "qvel": model.nv, "qacc_warmstart": model.nv}
    shapes = {name: (dump.before[name].shape, (dump.num_steps, size)) for name, size in sizes.items()}
    shapes["targets"] = (dump.targets.shape, (dump.num_steps, model.nu))
    for name, (found, expected) in shapes.items():
        if found != expected:
            raise DataError(
                f"{dump.path}: '{name}' has shape {list(found)}, expected {list(expected)} for character "
                f"'{dump.skeleton.id}'. The file is damaged."
            )
    if dump.before["time"].size != dump.num_steps:
        raise DataError(f"{dump.path}: 'time' has {dump.before['time'].size} numbers. The file is damaged.")


def _runs_away(model: mujoco.MjModel, data: mujoco.MjData, substeps: int) -> str:
    """One control step; what was not finite first, or empty."""
    bad = np.flatnonzero(~np.isfinite(data.ctrl))
    if len(bad):
        joint = int(model.actuator_trnid[bad[0], 0])
        return f"the servo target of {_joint(model, joint)}: {data.ctrl[bad[0]]:g}"
    for number in range(1, substeps + 1):
        mujoco.mj_step(model, data)
        # in the order of cause and effect
        for name, limit in (("qacc", np.inf), ("qvel", FASTEST), ("qpos", np.inf)):
            values = getattr(data, name)
            bad = np.flatnonzero(~(np.abs(values) < limit))
            if len(bad):
                where = _of_position(model, bad[0]) if name == "qpos" else int(model.dof_jntid[bad[0]])
                return (
                    f"{_QUANTITIES[name]} ({name}) of {_joint(model, where)}: {values[bad[0]]:g}, in physics step "
                    f"{number} of {substeps}"
                )
    return ""


_QUANTITIES = {"qacc": "the acceleration", "qvel": "the velocity", "qpos": "the position"}


def _of_position(model: mujoco.MjModel, index: int) -> int:
    """The joint that a number of qpos belongs to."""
    return int(np.searchsorted(model.jnt_qposadr, index, side="right")) - 1


def _joint(model: mujoco.MjModel, joint: int) -> str:
    body = model.body(int(model.jnt_bodyid[joint])).name
    return f"joint '{model.joint(joint).name}' (body '{body}')"
