"""What a recording has so far, saved in checkpoints, so that an interrupted recording continues."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import torch

from parc_core.interfaces import Miss, Recorded
from parc_motion.clips import START_FIELDS, Execution, MotionClip, Provenance
from parc_motion.storage import CheckpointStore
from parc_motion.terrains import Terrain, slice_around

__all__ = ["RecordingLog", "execution_of", "ground_of", "recorded_clip"]

log = logging.getLogger(__name__)

_ARRAYS = ("root_pos", "root_rot", "joint_rot", "contacts")
_EXECUTION_ARRAYS = (*START_FIELDS, "dof_target")


def ground_of(reference: MotionClip) -> Terrain:
    """What the motion was simulated on: its terrain, or level ground at z = 0, as the environment does."""
    return Terrain(height=np.zeros((2, 2))) if reference.terrain is None else reference.terrain


def recorded_clip(
    reference: MotionClip,
    arrays: dict[str, np.ndarray],
    fps: float,
    provenance: Provenance,
    padding: float | None,
) -> MotionClip:
    """A recording of a reference under its name and ``_dm``, on the ground around it.

    Bounds of the heights are left out: they hold for the reference's motion. So is the path where the recording is a
    part of the motion, which ends elsewhere.

    Args:
        padding: how far around the root the ground goes, m; None for all of it.
    """
    ground = attrs.evolve(ground_of(reference), bounds=None)
    if padding is not None:
        ground = slice_around(ground, arrays["root_pos"], padding).terrain
    return MotionClip(
        name=f"{reference.name}_dm",
        root_pos=arrays["root_pos"],
        root_rot=arrays["root_rot"],
        joint_rot=arrays["joint_rot"],
        contacts=arrays["contacts"],
        fps=fps,
        skeleton=reference.skeleton,
        motion_class=reference.motion_class,
        terrain=ground,
        path=None if provenance.notes.get("kept") == "partial" else reference.path,
        provenance=provenance,
    )


def execution_of(
    reference: MotionClip,
    start: Mapping[str, np.ndarray],
    dof_target: np.ndarray,
    *,
    control_hz: float,
    lead_in: int,
) -> Execution:
    """What a replay of a recording needs.

    Args:
        start: state that the simulation started in, by the names of `START_FIELDS`.
        dof_target: servo targets of every control step, ``[S, D]`` rad.
        lead_in: control steps before the first frame of the recording.
    """
    return Execution(
        root_pos=start["root_pos"],
        root_rot=start["root_rot"],
        joint_rot=start["joint_rot"],
        root_vel=start["root_vel"],
        root_ang_vel=start["root_ang_vel"],
        dof_vel=start["dof_vel"],
        dof_target=dof_target,
        terrain=ground_of(reference),
        control_hz=control_hz,
        skeleton=reference.skeleton,
        lead_in=lead_in,
    )


@attrs.define(kw_only=True)
class RecordingLog:
    """Per motion id: its recording, its longest part so far, the failed attempts; and the number of finished passes."""

    names: tuple[str, ...]
    padding: float | None  # see `recorded_clip`
    num_attempts: list[int]  # per motion
    passes: int = 0
    recorded: dict[int, Recorded] = attrs.field(factory=dict)
    parts: dict[int, Recorded] = attrs.field(factory=dict)
    misses: dict[int, list[Miss]] = attrs.field(factory=dict)

    def enter(self, motion_id: int, recording: Recorded | None, miss: Miss | None) -> None:
        """Add the result of an attempt: a recording, or a miss with the part that could be kept, if any.

        Of several parts of a motion the longest is kept.
        """
        if miss is None:
            if recording is not None:
                self.recorded[motion_id] = recording
            return
        self.misses.setdefault(motion_id, []).append(miss)
        known = self.parts.get(motion_id)
        if recording is not None and (known is None or recording.clip.num_frames > known.clip.num_frames):
            self.parts[motion_id] = recording

    def kept(self, motion_id: int) -> Recorded | None:
        """The recording of a motion, or else its part, with the failed attempts; None where there is neither."""
        one = self.recorded.get(motion_id) or self.parts.get(motion_id)
        return None if one is None else attrs.evolve(one, misses=tuple(self.misses.get(motion_id, ())))

    def save(self, store: CheckpointStore) -> None:
        """Write a checkpoint."""
        tensors: dict[str, torch.Tensor] = {}
        state: dict[str, Any] = {"names": list(self.names), "tries": self.num_attempts, "passes": self.passes}
        for group in ("recorded", "parts"):
            held = getattr(self, group)
            state[group] = {str(m): _facts(one) for m, one in held.items()}
            for m, one in held.items():
                tensors |= {f"{group}/{m}/{name}": value for name, value in _tensors(one).items()}
        state["misses"] = {str(m): [attrs.asdict(miss) for miss in rows] for m, rows in self.misses.items()}
        store.save(self.passes, tensors, state)

    @classmethod
    def load(cls, store: CheckpointStore, clips: list[MotionClip], padding: float | None) -> RecordingLog:
        """The log in the newest checkpoint, if it is of these clips; otherwise an empty one."""
        names = tuple(clip.name for clip in clips)
        found = cls(names=names, padding=padding, num_attempts=[0] * len(names))
        kept = store.latest()
        if kept is None:
            return found
        state = kept.state
        if tuple(state["names"]) != names:
            log.warning(
                "the checkpoint in %s is of other motions; the recording starts from the beginning",
                store.folder,
            )
            return found
        stored = (*_ARRAYS, *(_stored_name(name) for name in _EXECUTION_ARRAYS))
        for group in ("recorded", "parts"):
            for m, facts in state[group].items():
                arrays = {name: kept.tensors[f"{group}/{m}/{name}"].numpy() for name in stored}
                getattr(found, group)[int(m)] = _restored(clips[int(m)], arrays, facts, padding)
        found.misses = {int(m): [Miss(**row) for row in rows] for m, rows in state["misses"].items()}
        found.num_attempts, found.passes = state["tries"], state["passes"]
        return found


def _stored_name(name: str) -> str:
    """The name of an array of the execution in a checkpoint."""
    return f"told/{name}"


def _tensors(one: Recorded) -> dict[str, torch.Tensor]:
    arrays = {name: getattr(one.clip, name) for name in _ARRAYS}
    arrays |= {_stored_name(name): getattr(one.execution, name) for name in _EXECUTION_ARRAYS}
    return {name: torch.tensor(value) for name, value in arrays.items()}


def _facts(one: Recorded) -> dict[str, Any]:
    return {
        "agent": one.agent,
        "start_fraction": one.start_fraction,
        "attempts": one.attempts,
        "errors": one.errors,
        "kept": one.kept,
        "lead_in": one.execution.lead_in,
        "fps": one.clip.fps,
        "provenance": attrs.asdict(one.clip.provenance),
    }


def _restored(
    reference: MotionClip, arrays: dict[str, np.ndarray], facts: dict[str, Any], padding: float | None
) -> Recorded:
    provenance = Provenance(**facts["provenance"])
    start = {name: arrays[_stored_name(name)] for name in START_FIELDS}
    dof_target = arrays[_stored_name("dof_target")]
    execution = execution_of(reference, start, dof_target, control_hz=facts["fps"], lead_in=facts["lead_in"])
    return Recorded(
        clip=recorded_clip(reference, arrays, facts["fps"], provenance, padding),
        motion=reference.name,
        execution=execution,
        **{name: facts[name] for name in ("agent", "start_fraction", "attempts", "errors", "kept")},
    )
