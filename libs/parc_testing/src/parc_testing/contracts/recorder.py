"""What every recorder promises: each motion ends as a clip or with a reason."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import numpy as np
import pytest
import torch
from torch import Tensor

from parc_core.interfaces import Agent, Policy, Recorder, StageContext, Stopped, TrackerEnv
from parc_motion.clips import MotionClip
from parc_motion.kinematics import Kinematics
from parc_motion.terrains import Terrain
from parc_testing.builders import make_terrain
from parc_testing.context import KeptProgress, make_context
from parc_testing.fake_env import ACTION_SCALE, FakeTrackerEnv

__all__ = ["RecorderContract", "ScriptedAgent", "clips_of"]


class ScriptedAgent(Agent):
    """Follows some motions of `FakeTrackerEnv`; in the others its actions are 0.

    Args:
        follows: motion ids.
        from_s: time in the motion from which on it follows.
        to_s: time in the motion at which it stops.
        attempts: it follows in the last of this number of attempts only.
    """

    def __init__(
        self,
        follows: set[int],
        name: str = "scripted",
        from_s: float = 0.0,
        to_s: float = math.inf,
        attempts: int = 1,
    ) -> None:
        self.follows, self.from_s, self.to_s = follows, from_s, to_s
        self.name = name  # type: ignore[misc]  # a class attribute elsewhere: tests use several names of one class
        self._attempts, self.attempt = attempts, 0
        self.seen: list[int] = []  # motions of its playbacks, one after the other

    @property
    def num_attempts(self) -> int:
        """As given."""
        return self._attempts

    def escalate(self, attempt: int) -> None:
        """Remember the attempt."""
        self.attempt = attempt

    def train(self, env: TrackerEnv, ctx: StageContext) -> Policy:
        """It cannot be trained."""
        raise NotImplementedError("a scripted agent does not train")

    def restore(self, policy: Policy, env: TrackerEnv) -> None:
        """It has no policy."""

    def start(self, env: TrackerEnv) -> None:
        """Remember the motions of the playback."""
        self.seen += env.motion_ids[env.active].tolist()

    def act(self, env: TrackerEnv, obs: Tensor, deterministic: bool = True) -> Tensor:
        """The reference's next pose, or zeros."""
        dofs = len(env.action.lower)
        wanted = torch.tensor([m in self.follows for m in env.motion_ids.tolist()])
        wanted &= torch.tensor(self.attempt == self._attempts - 1)
        wanted &= (env.motion_times >= self.from_s - 1e-4) & (env.motion_times < self.to_s - 1e-4)
        return torch.where(wanted[:, None], obs[:, dofs : 2 * dofs] / ACTION_SCALE, torch.zeros(1, dofs))


def clips_of(env: FakeTrackerEnv) -> list[MotionClip]:
    """The env's references as clips, high above their ground, so that the character never touches it."""
    clips, far_below = [], make_terrain()
    far_below = attrs.evolve(far_below, height=far_below.height - 1.0)
    for m, name in enumerate(env.motion_names):
        times = torch.arange(round(float(env.motion_lengths[m]) * env.control_hz) + 1) / env.control_hz
        ref = env.reference(torch.full((len(times),), m), times)
        fields = {key: getattr(ref, key).numpy() for key in ("root_pos", "root_rot", "joint_rot", "contacts")}
        clips.append(
            MotionClip(
                name=name,
                fps=env.control_hz,
                skeleton=env.skeleton.id,
                motion_class="wave",
                terrain=far_below,
                **fields,
            )
        )
    return clips


class RecorderContract:
    """Subclass it and give a fixture `make`: ``make(skeleton, second_chance=None)`` returns a new recorder that
    accepts motions of 1.5 s and starts them at 0 first.

    >>> class TestMyRecorder(RecorderContract):
    ...     @pytest.fixture
    ...     def make(self):
    ...         return lambda skeleton, second_chance=None: MyRecorder(MyConfig(), ...)
    """

    @pytest.fixture
    def make(self) -> Callable[..., Recorder]:
        """A function that returns a new recorder; give your own."""
        raise NotImplementedError("give a fixture `make` that returns a function that makes a new recorder")

    @pytest.mark.parametrize("follows", [set(), {1}, {0, 1, 2}], ids=["none", "one", "all"])
    def test_every_motion_is_recorded_or_lost_with_a_reason(self, make, tmp_path, follows) -> None:
        env = FakeTrackerEnv(num_envs=2)
        report = make(env.skeleton).record(env, ScriptedAgent(follows), clips_of(env), make_context(tmp_path))
        done = {one.motion for one in report.recorded}
        assert done == {env.motion_names[m] for m in follows}
        assert set(report.lost) == set(env.motion_names) - done
        for misses in report.lost.values():
            assert misses
            assert all(miss.reason and miss.text for miss in misses)

    def test_recordings_are_what_was_simulated(self, make, tmp_path) -> None:
        env = FakeTrackerEnv()
        clips = clips_of(env)
        report = make(env.skeleton).record(env, ScriptedAgent({0, 1, 2}), clips, make_context(tmp_path))
        for one, ref in zip(report.recorded, clips):
            clip = one.clip
            assert clip.num_frames == ref.num_frames
            # the scripted agent is exact, so what was simulated is the reference
            assert abs(clip.joint_rot - ref.joint_rot).max() < 1e-4
            assert clip.fps == env.control_hz
            assert clip.motion_class == ref.motion_class
            assert clip.provenance.stage == "phys_record"
            assert clip.terrain is not None
            assert ref.terrain is not None
            assert _same_ground(clip.terrain, ref.terrain, clip.root_pos[:, :2])
            assert one.start_fraction == 0.0
            assert one.kept == "whole"

    def test_recordings_hold_the_servo_targets_that_led_to_them(self, make, tmp_path) -> None:
        env = FakeTrackerEnv()
        clips, kinematics = clips_of(env), Kinematics(env.skeleton)
        report = make(env.skeleton).record(env, ScriptedAgent({0, 1, 2}), clips, make_context(tmp_path))
        assert len(report.recorded) == 3
        for one in report.recorded:
            execution = one.execution
            assert execution.control_hz == env.control_hz
            assert len(execution.dof_target) == execution.lead_in + one.clip.num_frames - 1
            # this simulator reaches its targets within a step: they are the poses of the clip
            poses = kinematics.dof_to_joint_rot(torch.tensor(execution.dof_target[execution.lead_in :]))
            assert ((poses.numpy() * one.clip.joint_rot[1:]).sum(axis=-1) ** 2).min() > 1 - 1e-6

    def test_the_second_agent_gets_only_what_the_first_lost(self, make, tmp_path) -> None:
        env = FakeTrackerEnv()
        second = ScriptedAgent({0, 1, 2}, name="second")
        recorder = make(env.skeleton, second_chance=second)
        report = recorder.record(env, ScriptedAgent({1}, name="first"), clips_of(env), make_context(tmp_path))
        assert len(report.recorded) == 3
        assert not report.lost
        assert set(second.seen) == {0, 2}
        agents = {one.motion: one.agent for one in report.recorded}
        assert agents["wave_1"] != agents["wave_0"] == agents["wave_2"]

    def test_an_agent_is_left_in_its_first_attempt(self, make, tmp_path) -> None:
        env, agent = FakeTrackerEnv(), ScriptedAgent({0, 1, 2}, attempts=3)
        report = make(env.skeleton).record(env, agent, clips_of(env), make_context(tmp_path))
        assert agent.attempt == 0
        assert {one.motion for one in report.recorded} | set(report.lost) == set(env.motion_names)

    def test_progress_is_reported_to_the_end(self, make, tmp_path) -> None:
        env, progress = FakeTrackerEnv(), KeptProgress()
        context = attrs.evolve(make_context(tmp_path), progress=progress)
        make(env.skeleton).record(env, ScriptedAgent({0}), clips_of(env), context)
        done, total, _ = progress.rows[-1]
        assert done == total

    def test_it_stops_when_asked(self, make, tmp_path) -> None:
        env = FakeTrackerEnv()
        context = make_context(tmp_path, should_stop=lambda: True)
        with pytest.raises(Stopped):
            make(env.skeleton).record(env, ScriptedAgent({0}), clips_of(env), context)

    def test_recording_twice_gives_equal_clips(self, make, tmp_path) -> None:
        reports = []
        for name in ("a", "b"):
            env = FakeTrackerEnv()
            context = make_context(tmp_path / name)
            reports.append(make(env.skeleton).record(env, ScriptedAgent({0, 2}), clips_of(env), context))
        for one, other in zip(reports[0].recorded, reports[1].recorded):
            assert (one.clip.joint_rot == other.clip.joint_rot).all()
            assert (one.clip.root_pos == other.clip.root_pos).all()


def _same_ground(ground: Terrain, other: Terrain, xy: np.ndarray) -> bool:
    """Whether both terrains have equal heights under a motion ``[T, 2]``, and 0.4 m around it."""
    around = np.array([[x, y] for x in (-0.4, 0.0, 0.4) for y in (-0.4, 0.0, 0.4)])
    points = xy[:, None] + around
    return bool((ground.height_at(points) == other.height_at(points)).all())
