"""Quality checks: a trial becomes a recording, or a miss with the part of it that is still good."""

from __future__ import annotations

import attrs
import numpy as np

from parc_core.interfaces import Kept, Miss, Recorded
from parc_deepmimic.frame_measures import ClipMeter, FrameMeasures
from parc_deepmimic.quality import Flaw, contact_match, first_flaw, rejected_frames
from parc_deepmimic.recording_log import execution_of, ground_of, recorded_clip
from parc_deepmimic.retry_config import RetryConfig
from parc_deepmimic.trial import Trial
from parc_motion.clips import MotionClip, Provenance
from parc_motion.skeletons import Skeleton

__all__ = ["AcceptanceCheck", "Attempt", "longest_run"]


@attrs.frozen(kw_only=True)
class Attempt:
    """Facts about a trial that its arrays do not hold."""

    agent: str  # provider name
    fraction: float  # share of the motion at which it started
    attempts: int  # attempts at this motion so far, this one included
    length_s: float  # of the motion
    control_hz: float


class AcceptanceCheck:
    """Accepts trials that pass the quality checks, which are measured on the clips that would be written."""

    def __init__(self, config: RetryConfig, skeleton: Skeleton) -> None:
        self.config, self.skeleton = config, skeleton
        self._meter = ClipMeter(skeleton)

    def __call__(
        self, reference: MotionClip, trial: Trial, how: Attempt
    ) -> tuple[Recorded | None, Miss | None]:
        """The recording and None; or its longest acceptable part (None: there is none) and why it is not whole."""
        end_s = trial.start_s + (trial.num_states - 1) / how.control_hz
        sound = _sound_prefix(trial)
        if trial.success and sound == trial.num_states:
            made, measures = self._recording(reference, trial, how, "rest" if trial.start_s > 0 else "whole")
            flaw = self._flaw(made, measures)
            if flaw is None:
                return made, None
            reason, text = flaw.reason, f"{how.agent} followed it, {flaw.text}"
        elif trial.success:
            reason, text = "not finite", f"{how.agent} followed it, but a state is not finite"
        else:
            reason = "lost"
            text = f"{how.agent} lost it at {end_s:.2f} s of {how.length_s:.2f} s (started at {trial.start_s:.2f} s)"
        miss = Miss(agent=how.agent, start_s=trial.start_s, end_s=end_s, reason=reason, text=text)
        return self._part(reference, trial, how, sound), miss

    def _part(self, reference: MotionClip, trial: Trial, how: Attempt, sound: int) -> Recorded | None:
        """The longest run of acceptable frames, if it is long enough and passes the checks as a whole."""
        config, hz = self.config, how.control_hz
        stop = sound
        if not trial.success:  # the last state is the lost one
            stop = min(stop, trial.num_states - max(1, round(config.partial_margin_s * hz)))
        least = round(config.min_partial_s * hz) + 1
        if not config.keep_partial or stop < least:
            return None
        good = trial.part(0, stop)
        _, measures = self._recording(reference, good, how, "partial")
        first, stop = longest_run(~rejected_frames(measures, good.errors, config.quality))
        if stop - first < least:
            return None
        made, measures = self._recording(reference, good.part(first, stop), how, "partial")
        return made if self._flaw(made, measures) is None else None

    def _flaw(self, made: Recorded, measures: FrameMeasures) -> Flaw | None:
        match = made.clip.provenance.scores["contact_match"]
        return first_flaw(measures, made.clip.fps, made.errors, match, self.config.quality)

    def _recording(
        self, reference: MotionClip, trial: Trial, how: Attempt, kept: Kept
    ) -> tuple[Recorded, FrameMeasures]:
        force = trial.force.copy()
        if np.isnan(force[0]).any():  # not measured at the start: taken from one step later
            force[0] = force[min(1, len(force) - 1)]
        contacts = (force > self.config.contact_threshold).astype(np.float32)
        match = contact_match(contacts, trial.ref_contacts, self.skeleton.key_bodies)
        arrays = {
            "root_pos": trial.root_pos,
            "root_rot": _unit(trial.root_rot),
            "joint_rot": _unit(trial.joint_rot),
            "contacts": contacts,
        }
        errors = trial.mean_errors
        provenance = _provenance(reference, trial, how, kept, {**errors, "contact_match": match})
        padding = self.config.terrain_padding
        clip = recorded_clip(reference, arrays, how.control_hz, provenance, padding)
        measures = self._meter(clip, ground_of(reference))
        clip.provenance.scores["max_penetration_m"] = float(measures.depth.max())
        made = Recorded(
            clip=clip,
            motion=reference.name,
            agent=how.agent,
            start_fraction=how.fraction,
            attempts=how.attempts,
            errors=errors,
            kept=kept,
            execution=execution_of(
                reference,
                trial.start,
                trial.dof_target,
                control_hz=how.control_hz,
                lead_in=trial.lead_in,
            ),
        )
        return made, measures


def longest_run(good: np.ndarray) -> tuple[int, int]:
    """First and one past the last index of the longest run of True in ``[T]``, the earlier of equal ones; (0, 0)
    without any."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    if len(edges) == 0:
        return 0, 0
    first, stop = edges[0::2], edges[1::2]
    best = int((stop - first).argmax())
    return int(first[best]), int(stop[best])


def _provenance(
    reference: MotionClip, trial: Trial, how: Attempt, kept: str, scores: dict[str, float]
) -> Provenance:
    digest = reference.provenance.notes.get("digest")
    parents: tuple[str, ...] = (digest,) if isinstance(digest, str) else ()
    return Provenance(
        stage="phys_record",
        provider=how.agent,
        parents=parents,
        scores=scores,
        notes={
            "kept": kept,
            "start_fraction": how.fraction,
            "start_s": trial.start_s + trial.lead_in / how.control_hz,
            "reference": reference.name,
        },
    )


def _sound_prefix(trial: Trial) -> int:
    """Number of states before the first that is not finite or diverged in the simulator."""
    sound = trial.sound.copy()
    for name in ("root_pos", "root_rot", "joint_rot"):
        sound &= np.isfinite(getattr(trial, name)).reshape(len(sound), -1).all(axis=-1)
    return len(sound) if sound.all() else int(sound.argmin())


def _unit(q: np.ndarray) -> np.ndarray:
    """Quaternions normalized to length 1: those of simulators drift a little."""
    return q / np.linalg.norm(q, axis=-1, keepdims=True)
