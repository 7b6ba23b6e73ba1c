"""The recorder `retry`: order of tries, later starts, parts, what a recording holds, going on."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch

from parc_core.interfaces import Miss, Stopped, furthest
from parc_deepmimic.recorder import RetryRecorder
from parc_deepmimic.retry_config import QualityConfig, RetryConfig
from parc_motion.clips import Provenance
from parc_motion.errors import DataError
from parc_testing.context import make_context
from parc_testing.contracts.recorder import ScriptedAgent, clips_of
from parc_testing.fake_env import FakeTrackerEnv


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


def assert_same(report, other):
    """Two reports are equal, to the last bit of every recording."""
    assert [one.motion for one in report.recorded] == [one.motion for one in other.recorded]
    assert report.lost == other.lost
    for a, b in zip(report.recorded, other.recorded):
        assert (a.attempts, a.kept, a.errors, a.misses) == (b.attempts, b.kept, b.errors, b.misses)
        assert a.clip.provenance == b.clip.provenance
        assert a.execution.lead_in == b.execution.lead_in
        for held, names in (("clip", ("joint_rot", "contacts")), ("execution", ("dof_target", "dof_vel"))):
            for name in names:
                assert np.array_equal(getattr(getattr(a, held), name), getattr(getattr(b, held), name))
        assert np.array_equal(a.clip.terrain.height, b.clip.terrain.height)
        assert np.array_equal(a.clip.terrain.origin_xy, b.clip.terrain.origin_xy)


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
    (short,) = report.lost["wave_0"]
    assert (short.reason, short.text) == ("too short", "too short: 1.50 s, at least 1.6 s must remain")
    assert report.lost["wave_2"][0].text.startswith("scripted lost it at 0.")


def test_a_flaw_makes_a_followed_motion_lost_with_its_reason(tmp_path):
    report = record(ScriptedAgent({0, 1, 2}), tmp_path, quality=QualityConfig(min_contact_match=1.0))
    assert len(report.recorded) == 3
    strict = QualityConfig(terrain_margin=-2.0)  # 2 m inside the border: the base stands 1 m from it
    report = record(ScriptedAgent({0}), tmp_path / "b", quality=strict)
    assert not report.recorded
    flawed = report.lost["wave_0"][0]
    assert flawed.reason == "off the terrain"
    assert flawed.text == (
        "scripted followed it, off the terrain: the root is -1.00 m beyond its border, more than -2 m "
        "(0.00 s after its start)"
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
    assert clip.provenance.notes == {
        "kept": "whole", "start_fraction": 0.0, "start_s": 0.0, "reference": "wave_1"
    }  # fmt: skip
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
    assert_same(rest, whole)
    assert 0 not in first.seen  # its recording was kept


def test_an_interrupted_recording_keeps_its_parts(tmp_path):
    # the first agent leaves parts of all three motions, then the second one is interrupted
    settings = {"min_partial_s": 0.5, "partial_margin_s": 0.1, "start_fractions": (0.0,)}

    def go(folder, **context):
        first, second = ScriptedAgent({0, 1, 2}, to_s=1.0), ScriptedAgent({0}, name="second")
        return record(first, tmp_path, second, context=make_context(tmp_path / folder, **context), **settings)

    whole = go("whole")
    calls = iter(range(60))
    with pytest.raises(Stopped):
        go("parts", should_stop=lambda: next(calls, None) is None)
    assert_same(go("parts"), whole)
    assert [one.kept for one in whole.recorded] == ["whole", "partial", "partial"]


def test_clips_of_another_env_are_refused(tmp_path):
    env = FakeTrackerEnv()
    with pytest.raises(DataError, match="for an environment with 3 motions"):
        record(ScriptedAgent(set()), tmp_path, env=env, clips=clips_of(env)[:2])


def test_fake_motions_end_on_the_grid():
    env = FakeTrackerEnv()
    assert torch.equal((env.motion_lengths * 30).round(), torch.tensor([45.0, 51.0, 57.0]))


def test_the_beginning_of_a_motion_that_is_lost_later_is_kept_up_to_a_margin(tmp_path):
    agent = ScriptedAgent({2}, to_s=1.2)
    report = record(agent, tmp_path, min_partial_s=0.5, partial_margin_s=0.2, start_fractions=(0.0,))
    (one,) = report.recorded
    (miss,) = one.misses
    steps = round(miss.end_s * 30)  # states 0..steps, the last one is lost; 6 control steps are the margin
    assert 36 < steps < 57
    assert one.kept == "partial"
    assert one.clip.provenance.notes["kept"] == "partial"
    assert one.clip.num_frames == steps + 1 - 6
    assert (one.execution.lead_in, len(one.execution.dof_target)) == (0, steps - 6)
    assert miss.reason == "lost"
    assert set(report.lost) == {"wave_0", "wave_1"}


def test_a_whole_recording_wins_over_a_longer_part(tmp_path):
    # the first agent keeps 1.2 s of 1.9 s; the second follows the second half only, from 0.95 s, to its end
    first, second = ScriptedAgent({2}, to_s=1.4), ScriptedAgent({2}, name="second", from_s=0.9)
    settings = {"min_partial_s": 0.5, "partial_margin_s": 0.1, "min_remaining_s": 0.5}
    report = record(first, tmp_path, second, start_fractions=(0.0, 0.5), **settings)
    (one,) = report.recorded
    assert (one.agent, one.kept, one.start_fraction) == ("second", "rest", 0.5)


def test_the_longest_part_of_all_tries_is_kept(tmp_path):
    first, second = ScriptedAgent({2}, to_s=1.0), ScriptedAgent({2}, name="second", to_s=1.4)
    settings = {"min_partial_s": 0.5, "partial_margin_s": 0.1, "start_fractions": (0.0,)}
    for name, agents in (("a", (first, second)), ("b", (second, first))):
        (one,) = record(agents[0], tmp_path / name, agents[1], **settings).recorded
        assert one.agent == "second"
        assert len(one.misses) == 2


@pytest.mark.parametrize(
    "settings", [{"keep_partial": False}, {"min_partial_s": 1.5}], ids=["switched off", "too short"]
)
def test_parts_are_not_kept_when(tmp_path, settings):
    settings = {"min_partial_s": 0.5, "partial_margin_s": 0.1} | settings
    report = record(ScriptedAgent({2}, to_s=1.2), tmp_path, start_fractions=(0.0,), **settings)
    assert not report.recorded
    assert [miss.reason for miss in report.lost["wave_2"]] == ["lost"]


def test_every_try_is_in_the_report(tmp_path):
    report = record(ScriptedAgent(set()), tmp_path, ScriptedAgent(set(), name="second"), min_remaining_s=0.5)
    # two agents from 0, 25 and 50 %
    assert [miss.agent for miss in report.lost["wave_0"]] == ["scripted", "second"] + ["scripted"] * 2 + [
        "second"
    ] * 2
    assert [miss.start_s for miss in report.lost["wave_0"]] == pytest.approx(
        [0, 0, 11 / 30, 22 / 30, 11 / 30, 22 / 30]
    )


def test_the_reason_given_is_that_of_the_try_that_came_furthest():
    def miss(end_s, text):
        return Miss(agent="a", start_s=0.0, end_s=end_s, reason="lost", text=text)

    assert furthest([miss(1.0, "x"), miss(3.0, "y"), miss(3.0, "z"), miss(2.0, "u")]).text == "z"


@pytest.mark.parametrize(("padding", "cells"), [(0.8, (5, 5)), (0.0, (1, 1)), (None, (12, 10))])
def test_clips_carry_the_ground_around_their_motion(tmp_path, padding, cells):
    # the root rests at the center of a cell 0.4 m wide: 0.8 m reach the cells two further, on both sides
    report = record(ScriptedAgent({0}), tmp_path, terrain_padding=padding)
    (one,) = report.recorded
    assert one.clip.terrain.shape == cells
    assert one.execution.terrain.shape == (12, 10)
