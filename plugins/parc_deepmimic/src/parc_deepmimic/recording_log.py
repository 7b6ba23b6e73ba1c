"""What a recording has got so far, kept in checkpoints, so that an interrupted one goes on where it was."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import numpy as np
import torch

from parc_core.interfaces import Miss, Recorded
from parc_motion.clips import START_FIELDS, Execution, MotionClip, Provenance
from parc_motion.storage import CheckpointStore
from parc_motion.terrains import Terrain, slice_around

__all__ = ["RecordingLog", "ground_of", "recorded_clip"]

log = logging.getLogger(__name__)

_ARRAYS = ("root_pos", "root_rot", "joint_rot", "contacts")
_TOLD = (*START_FIELDS, "dof_target")


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

    Bounds of the heights stay behind: they are those of the reference's motion. So does the path of a part, whose end
    has nothing to do with where the part ends.

    Args:
        padding: how far around the root the ground goes, m; None for all of it.
    """
    ground = attrs.evolve(ground_of(reference), bounds=None)
    if padding is not None:
        ground = slice_around(ground, arrays["root_pos"], padding).terrain
    return MotionClip(
        name=f"{reference.name}_dm",
        **{name: arrays[name] for name in _ARRAYS},
        fps=fps,
        skeleton=reference.skeleton,
        motion_class=reference.motion_class,
        terrain=ground,
        path=None if provenance.notes.get("kept") == "partial" else reference.path,
        provenance=provenance,
    )


@attrs.define(kw_only=True)
class RecordingLog:
    """Per motion id: its recording, the longest part so far, the tries that failed; and how many passes are done."""

    names: tuple[str, ...]
    padding: float | None  # see `recorded_clip`
    tries: list[int]
    passes: int = 0
    recorded: dict[int, Recorded] = attrs.field(factory=dict)
    parts: dict[int, Recorded] = attrs.field(factory=dict)
    misses: dict[int, list[Miss]] = attrs.field(factory=dict)

    def enter(self, motion_id: int, recording: Recorded | None, miss: Miss | None) -> None:
        """What a try gave: a recording, or a miss with the part that could be kept, if any; longer parts win."""
        if miss is None:
            if recording is not None:
                self.recorded[motion_id] = recording
            return
        self.misses.setdefault(motion_id, []).append(miss)
        known = self.parts.get(motion_id)
        if recording is not None and (known is None or recording.clip.num_frames > known.clip.num_frames):
            self.parts[motion_id] = recording

    def kept(self, motion_id: int) -> Recorded | None:
        """What the motion ends as, with the tries that failed: its recording, else its part."""
        one = self.recorded.get(motion_id) or self.parts.get(motion_id)
        return None if one is None else attrs.evolve(one, misses=tuple(self.misses.get(motion_id, ())))

    def save(self, store: CheckpointStore) -> None:
        """Keep it durably."""
        tensors: dict[str, torch.Tensor] = {}
        state: dict[str, Any] = {"names": list(self.names), "tries": self.tries, "passes": self.passes}
        for group in ("recorded", "parts"):
            held = getattr(self, group)
            state[group] = {str(m): _facts(one) for m, one in held.items()}
            for m, one in held.items():
                tensors |= {f"{group}/{m}/{name}": value for name, value in _tensors(one).items()}
        state["misses"] = {str(m): [attrs.asdict(miss) for miss in rows] for m, rows in self.misses.items()}
        store.save(self.passes, tensors, state)

    @classmethod
    def load(cls, store: CheckpointStore, clips: list[MotionClip], padding: float | None) -> RecordingLog:
        """The newest one of these clips in the store, else an empty one."""
        names = tuple(clip.name for clip in clips)
        found = cls(names=names, padding=padding, tries=[0] * len(names))
        kept = store.latest()
        if kept is None:
            return found
        state = kept.state
        if tuple(state["names"]) != names:
            log.warning("the checkpoint in %s is of other motions; recording begins anew", store.folder)
            return found
        for group in ("recorded", "parts"):
            for m, facts in state[group].items():
                arrays = {name: kept.tensors[f"{group}/{m}/{name}"].numpy() for name in (*_ARRAYS, *_told())}
                getattr(found, group)[int(m)] = _restored(clips[int(m)], arrays, facts, padding)
        found.misses = {int(m): [Miss(**row) for row in rows] for m, rows in state["misses"].items()}
        found.tries, found.passes = state["tries"], state["passes"]
        return found


def _told() -> tuple[str, ...]:
    return tuple(f"told/{name}" for name in _TOLD)


def _tensors(one: Recorded) -> dict[str, torch.Tensor]:
    arrays = {name: getattr(one.clip, name) for name in _ARRAYS}
    arrays |= {f"told/{name}": getattr(one.execution, name) for name in _TOLD}
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
    execution = Execution(
        **{name: arrays[f"told/{name}"] for name in _TOLD},
        terrain=ground_of(reference),
        control_hz=facts["fps"],
        skeleton=reference.skeleton,
        lead_in=facts["lead_in"],
    )
    return Recorded(
        clip=recorded_clip(reference, arrays, facts["fps"], provenance, padding),
        motion=reference.name,
        execution=execution,
        **{name: facts[name] for name in ("agent", "start_fraction", "attempts", "errors", "kept")},
    )
