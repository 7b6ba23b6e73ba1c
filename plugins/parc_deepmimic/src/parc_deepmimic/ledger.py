"""What a recording has got so far, kept in checkpoints, so that an interrupted one goes on where it was."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import numpy as np
import torch

from parc_core.data.clip import MotionClip, Provenance
from parc_core.interfaces.recorder import Recorded
from parc_core.storage import CheckpointStore

__all__ = ["Ledger", "recorded_clip"]

log = logging.getLogger(__name__)

_ARRAYS = ("root_pos", "root_rot", "joint_rot", "contacts")


def recorded_clip(
    reference: MotionClip, arrays: dict[str, np.ndarray], fps: float, provenance: Provenance
) -> MotionClip:
    """A recording of a reference, on the same terrain, under the reference's name and ``_dm``."""
    return MotionClip(
        name=f"{reference.name}_dm",
        **{name: arrays[name] for name in _ARRAYS},
        fps=fps,
        skeleton=reference.skeleton,
        motion_class=reference.motion_class,
        terrain=reference.terrain,
        path=reference.path,
        provenance=provenance,
    )


@attrs.define(kw_only=True)
class Ledger:
    """Per motion id: its recording, or why there is none yet; and how many passes over the motions are done."""

    names: tuple[str, ...]
    tries: list[int]
    passes: int = 0
    recorded: dict[int, Recorded] = attrs.field(factory=dict)
    reasons: dict[int, str] = attrs.field(factory=dict)

    def enter(self, motion_id: int, result: Recorded | str) -> None:
        """A recording, or the reason why a try gave none."""
        if isinstance(result, Recorded):
            self.recorded[motion_id] = result
        else:
            self.reasons[motion_id] = result

    def save(self, store: CheckpointStore) -> None:
        """Keep it durably."""
        tensors = {
            f"{m}/{name}": torch.tensor(getattr(one.clip, name))
            for m, one in self.recorded.items()
            for name in _ARRAYS
        }
        state = {
            "names": list(self.names),
            "tries": self.tries,
            "passes": self.passes,
            "reasons": {str(m): reason for m, reason in self.reasons.items()},
            "recorded": {str(m): _facts(one) for m, one in self.recorded.items()},
        }
        store.save(self.passes, tensors, state)

    @classmethod
    def load(cls, store: CheckpointStore, clips: list[MotionClip]) -> Ledger:
        """The newest one of these clips in the store, else an empty one."""
        names = tuple(clip.name for clip in clips)
        kept = store.latest()
        if kept is None:
            return cls(names=names, tries=[0] * len(names))
        state = kept.state
        if tuple(state["names"]) != names:
            log.warning("the checkpoint in %s is of other motions; recording begins anew", store.folder)
            return cls(names=names, tries=[0] * len(names))
        recorded = {
            int(m): _restored(clips[int(m)], {n: kept.tensors[f"{m}/{n}"].numpy() for n in _ARRAYS}, facts)
            for m, facts in state["recorded"].items()
        }
        reasons = {int(m): reason for m, reason in state["reasons"].items()}
        return cls(
            names=names, tries=state["tries"], passes=state["passes"], recorded=recorded, reasons=reasons
        )


def _facts(one: Recorded) -> dict[str, Any]:
    return {
        "agent": one.agent,
        "start_fraction": one.start_fraction,
        "attempts": one.attempts,
        "errors": one.errors,
        "fps": one.clip.fps,
        "provenance": attrs.asdict(one.clip.provenance),
    }


def _restored(reference: MotionClip, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> Recorded:
    provenance = Provenance(**facts["provenance"])
    return Recorded(
        clip=recorded_clip(reference, arrays, facts["fps"], provenance),
        motion=reference.name,
        agent=facts["agent"],
        start_fraction=facts["start_fraction"],
        attempts=facts["attempts"],
        errors=facts["errors"],
    )
