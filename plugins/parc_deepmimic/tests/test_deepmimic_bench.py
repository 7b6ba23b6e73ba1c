"""`parc eval env`, its scene and its clock."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from click.testing import CliRunner

from parc_deepmimic.bench.command import env as verb
from parc_deepmimic.bench.parts import PartClock
from parc_deepmimic.bench.scene import standing_height, swinging_clips
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import STANDING_HEIGHT
from parc_testing.fake_env import make_arm_skeleton

SKELETON = load_skeleton("humanoid")


def test_the_scene_stands_on_its_ground():
    assert standing_height(SKELETON) == pytest.approx(STANDING_HEIGHT, abs=1e-5)
    clip, other = swinging_clips(SKELETON, 2, seconds=1.0)
    assert clip.num_frames == 31
    ground = clip.terrain.height_at(clip.root_pos[:, :2])
    np.testing.assert_allclose(clip.root_pos[:, 2] - ground, STANDING_HEIGHT, atol=1e-5)
    assert not np.array_equal(clip.terrain.height, other.terrain.height)


def test_the_scene_is_made_for_any_character():
    clip = swinging_clips(make_arm_skeleton(), 1, seconds=0.5)[0]
    assert clip.joint_rot.shape == (16, 2, 4)


def test_time_inside_another_method_counts_for_the_inner_one():
    class Work:
        def outer(self):
            time.sleep(0.02)
            self.inner()

        def inner(self):
            time.sleep(0.05)

    work, clock = Work(), PartClock(lambda: None)
    clock.watch(work, {"inner": "in", "outer": "out"})
    work.outer()
    assert clock.seconds["in"] >= 0.05
    assert 0.02 <= clock.seconds["out"] < 0.05


def test_the_verb_tells_steps_per_second_by_part():
    pytest.importorskip("parc_mujoco", reason="parc-mujoco is not installed")
    arguments = ["--num-envs", "3", "--num-envs", "5", "--steps", "4", "--warm-up", "1", "--json"]
    result = CliRunner().invoke(verb, [*arguments, "--set", "env.preset=cpu", "--set", "agent.use=zero"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.output)
    assert (document["env"], document["simulator"], document["agent"]) == ("deepmimic", "mujoco", "zero")
    assert document["obs_size"] == 391
    assert [row["num_envs"] for row in document["rows"]] == [3, 5]
    for row in document["rows"]:
        assert {"physics", "observation", "reward", "reset", "other"} >= set(row["parts"])
        assert {"physics", "observation", "reward", "other"} <= set(row["parts"])
        assert sum(part["share"] for part in row["parts"].values()) == pytest.approx(1.0)
        seconds = row["ms_per_step"] / 1e3
        assert row["steps_per_s"] == pytest.approx(row["num_envs"] / seconds)


def test_the_verb_prints_a_table():
    pytest.importorskip("parc_mujoco", reason="parc-mujoco is not installed")
    result = CliRunner().invoke(verb, ["--num-envs", "2", "--steps", "2", "--warm-up", "0"])
    assert result.exit_code == 0, result.output
    assert "2 environments:" in result.output
    assert "1312 numbers observed" in result.output


def test_a_folder_without_clips_is_refused(tmp_path):
    result = CliRunner().invoke(verb, [str(tmp_path)])
    assert "no clips (.npz) there. `parc data import` makes clips of other formats." in str(result.exception)
