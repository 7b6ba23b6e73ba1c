"""Recorder `retry`: attempts every motion, then retries with more effort and from later starts."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import attrs

from parc_core.interfaces import Agent, Miss, Recorder, RecordReport, StageContext, Stopped, TrackerEnv
from parc_deepmimic.acceptance import AcceptanceCheck, Attempt
from parc_deepmimic.recording_log import RecordingLog
from parc_deepmimic.retry_config import RetryConfig
from parc_deepmimic.trial import Trial, run_trials
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.skeletons import Skeleton

__all__ = ["RetryConfig", "RetryRecorder"]

log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class _Pass:
    """One way to attempt the motions that are still missing."""

    agent: Agent
    name: str  # provider name
    fraction: float
    attempt: int  # of this agent at this fraction


class RetryRecorder(Recorder):
    """Records motions that agents follow to their end and that pass the quality checks.

    Order of the attempts: the agent from the first start fraction, the second agent there; then the agent from the
    later fractions in turn; then the second agent from those. An agent with several `num_attempts` makes all of them
    before the next one. Attempts at a motion end when it was followed to its end and passed the checks; where none
    did, the longest acceptable part of any attempt is kept. Contacts of a recording's first frame are those one step
    later, because forces are not measured in the state that an attempt starts from.
    """

    def __init__(
        self, config: RetryConfig, *, skeleton: Skeleton, second_chance: Agent | None = None
    ) -> None:
        self.config, self.skeleton, self.second_chance = config, skeleton, second_chance
        self._accept = AcceptanceCheck(config, skeleton)

    def record(
        self, env: TrackerEnv, agent: Agent, clips: list[MotionClip], ctx: StageContext
    ) -> RecordReport:
        """Record the motions of the env; `clips` are its references in order."""
        _check(env, clips)
        so_far = RecordingLog.load(ctx.checkpoints, clips, self.config.terrain_padding)
        for number, step in enumerate(self._passes(agent), start=1):
            if number <= so_far.passes:
                continue  # finished before an interruption
            waiting = self._candidates(env, step, so_far)
            for first in range(0, len(waiting), env.num_envs):
                self._report_progress(ctx, step, so_far, len(waiting))
                for trial in self._follow(env, step, waiting[first : first + env.num_envs], ctx):
                    self._add(env, clips[trial.motion_id], trial, step, so_far)
            so_far.passes = number
            if waiting:
                so_far.save(ctx.checkpoints)
        kept = [one for m in range(env.num_motions) if (one := so_far.kept(m)) is not None]
        done = {one.motion for one in kept}
        parts = len(kept) - len(so_far.recorded)
        note = f"{len(so_far.recorded)} of {env.num_motions} recorded" + (
            f", {parts} in part" if parts else ""
        )
        ctx.progress.update(env.num_motions, env.num_motions, note)
        return RecordReport(
            recorded=tuple(kept),
            lost={
                name: tuple(so_far.misses[m]) for m, name in enumerate(env.motion_names) if name not in done
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
                    for attempt in range(one.num_attempts):
                        yield _Pass(agent=one, name=name, fraction=fraction, attempt=attempt)

    def _candidates(self, env: TrackerEnv, step: _Pass, so_far: RecordingLog) -> list[int]:
        """Motions that are not recorded yet and long enough from the start of this pass."""
        waiting = []
        for m, length in enumerate(env.motion_lengths.tolist()):
            if m in so_far.recorded:
                continue
            start = _start_time(env, m, step.fraction)
            if length - start >= self.config.min_remaining_s - 1e-4:
                waiting.append(m)
            elif m not in so_far.misses:
                need = self.config.min_remaining_s
                text = f"too short: {length:.2f} s, at least {need:g} s must remain"
                so_far.enter(
                    m, None, Miss(agent="", start_s=start, end_s=start, reason="too short", text=text)
                )
        return waiting

    def _follow(self, env: TrackerEnv, step: _Pass, batch: list[int], ctx: StageContext) -> list[Trial]:
        step.agent.escalate(step.attempt)

        def check() -> None:
            if ctx.should_stop():
                raise Stopped

        starts = [_start_time(env, m, step.fraction) for m in batch]
        try:
            return run_trials(env, step.agent, batch, starts, on_step=check)
        finally:
            step.agent.escalate(0)

    def _add(
        self, env: TrackerEnv, clip: MotionClip, trial: Trial, step: _Pass, so_far: RecordingLog
    ) -> None:
        m = trial.motion_id
        so_far.num_attempts[m] += 1
        how = Attempt(
            agent=step.name,
            fraction=step.fraction,
            attempts=so_far.num_attempts[m],
            length_s=float(env.motion_lengths[m]),
            control_hz=env.control_hz,
        )
        recording, miss = self._accept(clip, trial, how)
        so_far.enter(m, recording, miss)
        if miss is None:
            log.info("recorded %s by %s from %.2f s", clip.name, step.name, trial.start_s)

    def _report_progress(self, ctx: StageContext, step: _Pass, so_far: RecordingLog, waiting: int) -> None:
        attempt = f", attempt {step.attempt + 1}" if step.attempt else ""
        done, total = len(so_far.recorded), len(so_far.num_attempts)
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
