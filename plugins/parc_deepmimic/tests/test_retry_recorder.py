"""The recorder `retry`: order of tries, later starts, quality control, what a recording holds, going on."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch
from parc_deepmimic.quality import QualityConfig, contact_match, first_flaw
from parc_deepmimic.recorder import RetryConfig, RetryRecorder

from parc_core.data.clip import Provenance
from parc_core.errors import DataError
from parc_core.interfaces.context import Stopped
from parc_core.testing.builders import make_clip
from parc_core.testing.context import make_context
from parc_core.testing.contracts.recorder import ScriptedAgent, clips_of
from parc_core.testing.fake_env import FakeTrackerEnv


class Planner(ScriptedAgent):
    """Has three attempts and follows its motions in the last one only."""

    num_attempts = 3

    def __init__(self, follows):
        super().__init__(set(), name="planner")
        self._all, self.asked = follows, []

    def escalate(self, attempt):
        self.asked.append(attempt)
        self.follows = self._all if attempt == 2 else set()


def record(agent, tmp_path, second=None, env=None, clips=None, context=None, **settings):
    env = env or FakeTrackerEnv()
    recorder = RetryRecorder(RetryConfig(**settings), skeleton=env.skeleton, second_chance=second)
    return recorder.record(env, agent, clips or clips_of(env), context or make_context(tmp_path))


def test_a_motion_lost_early_is_recorded_from_a_later_start(tmp_path):
    # wave_2 (1.9 s) can be followed from 0.4 s on: lost at 0, followed from 25 % (0.475 s, on the grid 14/30 s)
    report = record(ScriptedAgent({2}, from_s=0.4), tmp_path, min_remaining_s=0.5)
    (one,) = report.recorded
    assert (one.motion, one.start_fraction, one.attempts) == ("wave_2", 0.25, 2)
    assert one.clip.num_frames == 57 - 14 + 1
    assert one.clip.provenance.notes["start_s"] == pytest.approx(14 / 30)


def test_the_second_agent_tries_the_whole_motion_before_the_first_tries_parts(tmp_path):
    first, second = ScriptedAgent({0}, name="first", from_s=0.3), ScriptedAgent({0}, name="second")
    report = record(first, tmp_path, second, min_remaining_s=0.5)
    (one,) = report.recorded
    assert (one.agent, one.start_fraction) == ("second", 0.0)
    # first at 0: all three; second at 0: all three; wave_0 is done, the parts of the others are tried
    assert first.seen[:3] == second.seen[:3] == [0, 1, 2]
    assert 0 not in first.seen[3:]


def test_all_attempts_of_an_agent_are_used(tmp_path):
    planner = Planner({0, 1, 2})
    report = record(ScriptedAgent(set()), tmp_path, planner)
    assert len(report.recorded) == 3
    assert {one.attempts for one in report.recorded} == {4}
    assert planner.asked == [0, 0, 1, 0, 2, 0]  # set before each try, put back after it


def test_rests_that_are_too_short_are_not_tried(tmp_path):
    # lengths 1.5, 1.7, 1.9 s: at least 1.6 s must remain
    report = record(ScriptedAgent({0, 1}), tmp_path, min_remaining_s=1.6)
    assert {one.motion for one in report.recorded} == {"wave_1"}
    assert report.lost["wave_0"] == "too short: 1.50 s, at least 1.6 s must remain"
    assert report.lost["wave_2"].startswith("scripted lost it at 0.")


def test_a_flaw_makes_a_followed_motion_lost_with_its_reason(tmp_path):
    report = record(ScriptedAgent({0, 1, 2}), tmp_path, quality=QualityConfig(min_contact_match=1.0))
    assert len(report.recorded) == 3
    strict = QualityConfig(terrain_margin=-2.0)  # 2 m inside the border: the base stands 1 m from it
    report = record(ScriptedAgent({0}), tmp_path / "b", quality=strict)
    assert not report.recorded
    assert (
        report.lost["wave_0"]
        == "scripted followed it, off the terrain: the root is -1.00 m beyond its border"
    )


def test_recordings_carry_name_provenance_and_contacts(tmp_path):
    env = FakeTrackerEnv()
    clips = [attrs.evolve(c, provenance=Provenance(notes={"digest": "abc"})) for c in clips_of(env)]
    report = record(ScriptedAgent({1}), tmp_path, env=env, clips=clips)
    clip = report.recorded[0].clip
    assert clip.name == "wave_1_dm"
    assert clip.provenance.parents == ("abc",)
    assert clip.provenance.provider == "scripted"
    assert clip.provenance.scores["dof_pos"] < 1e-4
    assert clip.provenance.notes == {"start_fraction": 0.0, "start_s": 0.0, "reference": "wave_1"}
    # only the base lies on the ground
    assert clip.contacts[:, 0].tolist() == [1.0] * clip.num_frames
    assert not clip.contacts[:, 1:].any()


def test_an_interrupted_recording_goes_on_with_the_next_try(tmp_path):
    whole = record(ScriptedAgent({0}), tmp_path / "whole", ScriptedAgent({0, 1}, name="second"))
    calls = iter(range(70))  # the first agent's try takes at most 57 steps
    context = make_context(tmp_path / "parts", should_stop=lambda: next(calls, None) is None)
    with pytest.raises(Stopped):
        record(ScriptedAgent({0}), tmp_path, ScriptedAgent({0, 1}, name="second"), context=context)
    first = ScriptedAgent({0})
    rest = record(
        first, tmp_path, ScriptedAgent({0, 1}, name="second"), context=make_context(tmp_path / "parts")
    )
    assert [one.motion for one in rest.recorded] == [one.motion for one in whole.recorded]
    assert rest.lost == whole.lost
    for one, other in zip(rest.recorded, whole.recorded):
        assert one.attempts == other.attempts
        assert one.clip.provenance == other.clip.provenance
        assert np.array_equal(one.clip.joint_rot, other.clip.joint_rot)
    assert 0 not in first.seen  # its recording was kept


def test_clips_of_another_env_are_refused(tmp_path):
    env = FakeTrackerEnv()
    with pytest.raises(DataError, match="for an environment with 3 motions"):
        record(ScriptedAgent(set()), tmp_path, env=env, clips=clips_of(env)[:2])


def test_contact_match_by_hand():
    # two frames, two bodies of interest: 3 of 4 agree
    contacts = np.array([[1, 0, 9], [1, 1, 9]], dtype=float)
    labels = np.array([[0.9, 0.2, 0], [0.1, 0.6, 0]])
    assert contact_match(contacts, labels, (0, 1)) == 0.75


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ({}, None),
        ({"errors": {"root_pos": 0.5}}, "tracking error: mean root_pos is 0.50 m, more than 0.4 m"),
        ({"errors": {"root_rot": 0.7}}, "tracking error: mean root_rot is 0.70 rad, more than 0.6 rad"),
        ({"match": 0.4}, "contacts: 40% agree with the reference, less than 50%"),
        ({"speed": 20.0}, "teleport: the root moves at 20.0 m/s, more than 15 m/s"),
        # 29 frames of 6 m/s / 30 Hz are 5.8 m from x = 0; the terrain of 12 cells ends at -0.8 + 11 * 0.4 + 0.2 = 3.8
        ({"speed": 6.0}, "off the terrain: the root is 2.00 m beyond its border"),
    ],
    ids=["none", "root_pos", "root_rot", "contacts", "teleport", "terrain"],
)
def test_each_flaw_is_named(change, flaw):
    clip = make_clip(30, speed=change.get("speed", 0.0))
    assert first_flaw(clip, change.get("errors", {}), change.get("match", 1.0), QualityConfig()) == flaw


def test_fake_motions_end_on_the_grid():
    env = FakeTrackerEnv()
    assert torch.equal((env.motion_lengths * 30).round(), torch.tensor([45.0, 51.0, 57.0]))
