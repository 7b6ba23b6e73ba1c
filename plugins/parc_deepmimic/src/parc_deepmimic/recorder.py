"""Recorder `retry`: tries every motion, harder and then from later starts, and keeps what was followed to its end."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import attrs
import numpy as np

from parc_core.config import Use, setting
from parc_core.data.clip import MotionClip, Provenance
from parc_core.data.skeleton import Skeleton
from parc_core.errors import DataError
from parc_core.interfaces.agent import Agent
from parc_core.interfaces.context import StageContext, Stopped
from parc_core.interfaces.recorder import Recorded, Recorder, RecordReport
from parc_core.interfaces.tracker_env import TrackerEnv
from parc_deepmimic.ledger import Ledger, recorded_clip
from parc_deepmimic.quality import QualityConfig, contact_match, first_flaw
from parc_deepmimic.trial import Trial, run_trials

__all__ = ["RetryConfig", "RetryRecorder"]

log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class RetryConfig:
    """Starts, retries and quality control of the recorder."""

    start_fractions: tuple[float, ...] = setting(
        (0.0, 0.25, 0.5), help="where in a motion to start, tried in this order, 0..1 of its length"
    )
    min_remaining_s: float = setting(1.0, ge=0, help="shorter rests of motions are not recorded", unit="s")
    second_chance: Use | None = setting(None, kind="agent", help="agent that gets what the first one lost")
    contact_threshold: float = setting(5.0, ge=0, help="least force that becomes a contact label", unit="N")
    quality: QualityConfig = setting(factory=QualityConfig, help="what a recorded motion must fulfil")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "start_fractions": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
            "min_remaining_s": 2.0,
            "contact_threshold": 1e-5,
            "quality": {
                "max_root_pos": None,
                "max_root_rot": None,
                "max_body_pos": None,
                "max_speed": None,
                "terrain_margin": None,
                "min_contact_match": None,
            },
        }
    }


@attrs.frozen(kw_only=True)
class _Pass:
    """One way to try the motions that are still missing."""

    agent: Agent
    name: str  # provider name
    fraction: float
    attempt: int  # of this agent at this fraction


class RetryRecorder(Recorder):
    """Order of the tries: the agent from the first fraction, the second agent there; then the
    agent from the later fractions in turn; then the second agent from those.

    An agent that has ``num_attempts`` and ``escalate(attempt)`` makes all its attempts before the next try. The first
    frame of a recording is the start itself, whose forces nobody measured: its contacts are those one step later.
    """

    def __init__(
        self, config: RetryConfig, *, skeleton: Skeleton, second_chance: Agent | None = None
    ) -> None:
        if not config.start_fractions or any(not 0.0 <= f < 1.0 for f in config.start_fractions):
            raise DataError(
                f"recorder.start_fractions is {list(config.start_fractions)}; give fractions of a motion, 0 <= f < 1."
            )
        self.config, self.skeleton, self.second_chance = config, skeleton, second_chance

    def record(
        self, env: TrackerEnv, agent: Agent, clips: list[MotionClip], ctx: StageContext
    ) -> RecordReport:
        """Record the motions of the env; `clips` are its references in order."""
        _check(env, clips)
        so_far = Ledger.load(ctx.checkpoints, clips)
        for number, step in enumerate(self._passes(agent), start=1):
            if number <= so_far.passes:
                continue  # done before an interruption
            waiting = self._candidates(env, step, so_far)
            for first in range(0, len(waiting), env.num_envs):
                self._tell(ctx, step, so_far, len(waiting))
                for trial in self._follow(env, step, waiting[first : first + env.num_envs], ctx):
                    m = trial.motion_id
                    so_far.tries[m] += 1
                    so_far.enter(m, self._judge(env, clips[m], trial, step, so_far.tries[m]))
            so_far.passes = number
            if waiting:
                so_far.save(ctx.checkpoints)
        recorded = so_far.recorded
        ctx.progress.update(
            env.num_motions, env.num_motions, f"{len(recorded)} of {env.num_motions} recorded"
        )
        return RecordReport(
            recorded=tuple(recorded[m] for m in sorted(recorded)),
            lost={
                env.motion_names[m]: so_far.reasons[m] for m in range(env.num_motions) if m not in recorded
            },
        )

    def _passes(self, agent: Agent) -> Iterator[_Pass]:
        agents = [(agent, _name_of(agent))]
        if self.second_chance is not None:
            use = self.config.second_chance
            agents.append((self.second_chance, use.name if use is not None else _name_of(self.second_chance)))
        start, *later = self.config.start_fractions
        for fractions in ([start], later):
            for one, name in agents:
                for fraction in fractions:
                    for attempt in range(getattr(one, "num_attempts", 1)):
                        yield _Pass(agent=one, name=name, fraction=fraction, attempt=attempt)

    def _candidates(self, env: TrackerEnv, step: _Pass, so_far: Ledger) -> list[int]:
        """Motions not recorded yet whose rest from the pass's start is long enough."""
        waiting = []
        for m, length in enumerate(env.motion_lengths.tolist()):
            if m in so_far.recorded:
                continue
            if length - _start_time(env, m, step.fraction) >= self.config.min_remaining_s - 1e-4:
                waiting.append(m)
            elif m not in so_far.reasons:
                need = self.config.min_remaining_s
                so_far.reasons[m] = f"too short: {length:.2f} s, at least {need:g} s must remain"
        return waiting

    def _follow(self, env: TrackerEnv, step: _Pass, batch: list[int], ctx: StageContext) -> list[Trial]:
        if hasattr(step.agent, "escalate"):
            step.agent.escalate(step.attempt)

        def check() -> None:
            if ctx.should_stop():
                raise Stopped

        starts = [_start_time(env, m, step.fraction) for m in batch]
        try:
            return run_trials(env, step.agent, batch, starts, on_step=check)
        finally:
            if hasattr(step.agent, "escalate"):
                step.agent.escalate(0)

    def _judge(
        self, env: TrackerEnv, clip: MotionClip, trial: Trial, step: _Pass, attempts: int
    ) -> Recorded | str:
        if not trial.success:
            at = trial.start_s + trial.tracked_steps / env.control_hz
            length = float(env.motion_lengths[trial.motion_id])
            return f"{step.name} lost it at {at:.2f} s of {length:.2f} s (started at {trial.start_s:.2f} s)"
        made = self._clip(env, clip, trial, step)
        flaw = first_flaw(made, trial.errors, made.provenance.scores["contact_match"], self.config.quality)
        if flaw is not None:
            return f"{step.name} followed it, {flaw}"
        log.info("recorded %s by %s from %.2f s", clip.name, step.name, trial.start_s)
        return Recorded(
            clip=made,
            motion=clip.name,
            agent=step.name,
            start_fraction=step.fraction,
            attempts=attempts,
            errors=trial.errors,
        )

    def _clip(self, env: TrackerEnv, clip: MotionClip, trial: Trial, step: _Pass) -> MotionClip:
        force = trial.force.copy()
        force[0] = force[min(1, len(force) - 1)]
        contacts = (force > self.config.contact_threshold).astype(np.float32)
        match = contact_match(contacts, trial.ref_contacts, self.skeleton.key_bodies)
        digest = clip.provenance.notes.get("digest")
        provenance = Provenance(
            stage="phys_record",
            provider=step.name,
            parents=(digest,) if isinstance(digest, str) else (),
            scores={**trial.errors, "contact_match": match},
            notes={"start_fraction": step.fraction, "start_s": trial.start_s, "reference": clip.name},
        )
        arrays = {
            "root_pos": trial.root_pos,
            "root_rot": _unit(trial.root_rot),
            "joint_rot": _unit(trial.joint_rot),
            "contacts": contacts,
        }
        return recorded_clip(clip, arrays, env.control_hz, provenance)

    def _tell(self, ctx: StageContext, step: _Pass, so_far: Ledger, waiting: int) -> None:
        attempt = f", attempt {step.attempt + 1}" if step.attempt else ""
        done, total = len(so_far.recorded), len(so_far.tries)
        note = f"{step.name} from {step.fraction:.0%}{attempt}: {waiting} to try, {done} recorded"
        ctx.progress.update(done, total, note)


def _check(env: TrackerEnv, clips: list[MotionClip]) -> None:
    names = tuple(clip.name for clip in clips)
    if names != tuple(env.motion_names):
        raise DataError(
            f"the recorder got {len(clips)} clips ({', '.join(names[:3])}, ...) for an environment with "
            f"{env.num_motions} motions ({', '.join(env.motion_names[:3])}, ...); give its references in order."
        )


def _start_time(env: TrackerEnv, motion_id: int, fraction: float) -> float:
    """The start on the grid of control steps, so that the recording's frames are those of the reference."""
    return (
        math.floor(fraction * float(env.motion_lengths[motion_id]) * env.control_hz + 1e-4) / env.control_hz
    )


def _name_of(agent: Agent) -> str:
    return agent.name or type(agent).__name__


def _unit(q: np.ndarray) -> np.ndarray:
    """Quaternions at length 1 exactly: simulators let them drift a little."""
    return q / np.linalg.norm(q, axis=-1, keepdims=True)
