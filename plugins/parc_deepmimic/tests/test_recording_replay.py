"""Recordings from real physics, simulated again from the servo targets that were kept with them."""

from __future__ import annotations

import json

import attrs
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from parc_core.config import Use
from parc_core.plugins import Registry
from parc_deepmimic.config import DeepMimicConfig, ReferenceConfig, TerminationConfig
from parc_deepmimic.env import DeepMimicEnv
from parc_deepmimic.recorder import RetryRecorder
from parc_deepmimic.replay import replay_difference
from parc_deepmimic.replay_command import replay
from parc_deepmimic.retry_config import QualityConfig, RetryConfig
from parc_deepmimic.untrained import ReferenceAgent
from parc_motion.clips import execution_file, load_clip, load_execution, save_clip, save_execution
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain
from parc_testing.context import make_context

pytest.importorskip("parc_mujoco", reason="parc-mujoco is not installed")
HUMANOID = load_skeleton("humanoid")
STEPS = make_terrain(steps=[((5, slice(None)), 0.1), ((slice(7, 9), slice(2, 5)), -0.3)])
# a walking pace that open-loop targets do not hold up: it falls, and what is judged is whether the fall comes again
LENIENT = TerminationConfig(terms={})  # nothing ends an episode early


def mujoco():
    return Registry.discover().create("simulator", Use("mujoco"), device="cpu", threads=1)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A fall over steps, a long stand beside it, and a part whose first second was cut off."""
    clips = [
        make_clip(60, speed=1.0, name="fall", terrain=STEPS),
        make_clip(90, name="stand"),
    ]
    env = DeepMimicEnv(
        DeepMimicConfig(termination=LENIENT),
        clips=clips,
        weights=np.ones(2),
        simulator=mujoco(),
        num_envs=2,
        skeleton=HUMANOID,
        rng=torch.Generator().manual_seed(0),
    )
    off = QualityConfig(**{field.name: None for field in attrs.fields(QualityConfig)})
    recorder = RetryRecorder(RetryConfig(quality=off), skeleton=HUMANOID)
    folder = tmp_path_factory.mktemp("recorded")
    report = recorder.record(env, ReferenceAgent(ReferenceConfig()), clips, make_context(folder))
    env.close()
    return {one.motion: one for one in report.recorded}


def part_of(one, first):
    """What a recording would be without its first frames."""
    clip = one.clip.frames(first, one.clip.num_frames)
    return attrs.evolve(one, clip=clip, execution=attrs.evolve(one.execution, lead_in=first), kept="partial")


def test_a_fall_over_steps_comes_again_to_the_last_bit(recorded):
    one = recorded["fall"]
    assert np.ptp(one.clip.root_pos[:, 2]) > 0.2  # it does fall
    assert replay_difference(one.clip, one.execution, HUMANOID, mujoco()) == 0.0


def test_a_motion_comes_again_without_those_that_ran_beside_it(recorded):
    one = recorded["stand"]
    assert replay_difference(one.clip, one.execution, HUMANOID, mujoco()) == 0.0


def test_a_part_comes_again_from_the_beginning_of_its_try(recorded):
    one = part_of(recorded["fall"], 30)
    assert replay_difference(one.clip, one.execution, HUMANOID, mujoco()) == 0.0


def test_other_targets_do_not_make_the_same_motion(recorded):
    one = recorded["fall"]
    told = one.execution.dof_target.copy()
    told[10] += 0.05
    execution = attrs.evolve(one.execution, dof_target=told)
    assert replay_difference(one.clip, execution, HUMANOID, mujoco()) > 1e-3


def test_a_clip_that_is_not_of_the_execution_is_refused(recorded):
    one = recorded["fall"]
    shorter = one.clip.frames(0, 40)
    with pytest.raises(DataError, match=r"does not belong to an execution of 59 control steps of 'humanoid'"):
        replay_difference(shorter, one.execution, HUMANOID, mujoco())


def test_an_execution_comes_back_from_its_file_as_it_was(recorded, tmp_path):
    told = attrs.evolve(recorded["fall"].execution, lead_in=7, simulator={"use": "mujoco", "sim_hz": 240.0})
    save_execution(tmp_path / "told.execution", told)
    again = load_execution(tmp_path / "told.execution")
    for name, value in attrs.asdict(told, recurse=False).items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(getattr(again, name), value), name
    assert (again.lead_in, again.simulator, again.control_hz) == (7, told.simulator, 30.0)
    assert np.array_equal(again.terrain.height, told.terrain.height)


def test_a_clip_is_no_execution(recorded, tmp_path):
    save_clip(tmp_path / "clip.npz", recorded["fall"].clip)
    with pytest.raises(
        DataError, match=r"clip\.npz: holds 'parc\.clip' of format 1, expected 'parc\.execution'"
    ):
        load_execution(tmp_path / "clip.npz")


def written(folder, one, **change):
    path = folder / "p4_phys_record" / "recorded_motions" / "some_0_49" / f"{one.clip.name}.npz"
    save_clip(path, one.clip)
    told = attrs.evolve(one.execution, simulator={"use": "mujoco"}, **change)
    save_execution(execution_file(path), told)


def test_the_verb_replays_what_lies_in_a_run(recorded, tmp_path):
    for one in recorded.values():
        written(tmp_path, one)
    result = CliRunner().invoke(replay, [str(tmp_path), "--json"], catch_exceptions=False)
    document = json.loads(result.output)
    assert result.exit_code == 0
    assert document["difference_m"] == 0.0
    assert {row["clip"]: row["frames"] for row in document["clips"]} == {"fall_dm": 60, "stand_dm": 90}
    assert all(load_clip(tmp_path / row["file"]).num_frames == row["frames"] for row in document["clips"])


def test_the_verb_fails_when_a_clip_does_not_come_again(recorded, tmp_path):
    one = recorded["fall"]
    written(tmp_path, one, dof_target=one.execution.dof_target + 0.05)
    result = CliRunner().invoke(replay, [str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.startswith("fall_dm")


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no recorded clips below it, clips with an .execution beside them"):
        CliRunner().invoke(replay, [str(tmp_path)], catch_exceptions=False)
