"""`parc eval tracker` and `parc eval cross` on physics, with clips of half a second."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from parc_core.interfaces import Policy
from parc_deepmimic.evaluate.command import cross, tracker
from parc_motion.clips import save_clip
from parc_motion.errors import DataError
from parc_motion.storage import make_folder, write_json
from parc_testing.builders import make_clip

pytest.importorskip("parc_mujoco", reason="parc-mujoco is not installed")
TASK = {"env": {"use": "deepmimic", "preset": "cpu"}, "simulator": {"use": "mujoco"}}
FRAMES = 16  # 15 control steps


def call(verb, *arguments, output="json"):
    given = [str(argument) for argument in arguments]
    result = CliRunner().invoke(verb, [*given, *(["--json"] if output == "json" else [])])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if output == "json" else result.stdout


def write_clips(folder, hopeless=()):
    """Two clips that no correction is needed for; those named in `hopeless` jump by 2 m after their first frame."""
    for name, motion_class in (("still", "stand"), ("quiet", "rest")):
        clip = make_clip(FRAMES, name=name, motion_class=motion_class)
        if name in hopeless:
            root_pos = clip.root_pos.copy()
            root_pos[1:, 0] += 2.0
            clip = make_clip(FRAMES, name=name, motion_class=motion_class, root_pos=root_pos)
        save_clip(folder / f"{name}.npz", clip)
    return folder


def write_policy(folder, agent):
    """A policy without weights, as a run leaves it."""
    policy = Policy(
        folder=make_folder(folder / "policy"), agent=agent, skeleton="humanoid", observation={}, action={}
    ).save()
    write_json(folder / "env.yaml", TASK)
    write_json(folder / "DONE.json", {})
    return policy.folder


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Of two motions the first is followed and the second is lost at once from its first frame."""
    place = tmp_path_factory.mktemp("tracker")
    policy = write_policy(place / "p3_tracker", "zero")
    clips = write_clips(place / "clips", hopeless=["quiet"])
    options = ("--every", 5, "--perturbed", 2, "--seeds", 2, "--joint-noise", 0.01)
    return call(tracker, policy, "-d", clips, *options)


def test_the_verb_says_what_was_evaluated_and_where_its_settings_come_from(found):
    assert (found["agent"], found["env"], found["simulator"]) == ("zero", "deepmimic", "mujoco")
    assert found["settings_from"].endswith("p3_tracker/env.yaml")
    assert (found["motions"], found["seeds"]) == (2, 2)


def test_success_counts_motions_from_their_first_frame(found):
    success = found["success"]
    assert (success["survived"], success["starts"], success["share"]) == (1, 2, 0.5)
    assert 0.0 < success["low"] < 0.5 < success["high"] < 1.0
    assert {row["motion"]: row["success"] for row in found["clips"]} == {"still": 1.0, "quiet": 0.0}
    assert {row["motion"]: row["length_s"] for row in found["clips"]} == {"still": 0.5, "quiet": 0.5}


def test_survival_counts_start_frames(found):
    # frames 0, 5 and 10 of each; what glides away does so after its first frame
    assert (found["survival"]["starts"], found["survival"]["survived"]) == (6, 5)
    assert {name: row["survival"] for name, row in found["classes"].items()} == {"rest": 2 / 3, "stand": 1.0}


def test_perturbed_starts_are_drawn_for_every_seed(found):
    perturbed = found["perturbed"]
    assert (perturbed["starts"], perturbed["survived"]) == (2 * 2 * 2, 2 * 2)
    assert perturbed["by_seed"] == [0.5, 0.5]
    assert perturbed["joint_noise"] == 0.01


def test_the_joint_error_is_the_mean_distance_of_bodies_over_all_steps(found):
    clips, error = found["clips"], found["joint_error"]
    assert all(row["joint_error"] == row["errors"]["body_pos"] for row in clips)
    steps = {row["motion"]: round(30 * row["tracked_s"]) for row in clips}
    assert steps["still"] == 15 > steps["quiet"]
    total = sum(steps[row["motion"]] * row["joint_error"] for row in clips)
    assert error["mean"] == pytest.approx(total / sum(steps.values()))
    assert error["low"] <= error["mean"] <= error["high"]


def test_parts_can_be_left_out_and_an_agent_needs_no_policy(tmp_path):
    clips = write_clips(tmp_path)
    options = ("--every", 0, "--perturbed", 0, "--set", "env.preset=cpu")
    text = call(tracker, "--agent", "zero", "-d", clips, *options, output="text")
    assert "zero in deepmimic on mujoco, 2 motions (settings: defaults)" in text
    assert "success      100 %" in text
    assert "survival" not in text
    assert "perturbed" not in text


@pytest.mark.parametrize("given", [[], ["somewhere", "--agent", "zero"]])
def test_either_a_policy_or_an_agent_is_named(given):
    result = CliRunner().invoke(tracker, [*given, "-d", "procedural"])
    assert result.exit_code == 2
    assert "give either POLICY" in result.output


def test_the_noise_is_set_in_one_place():
    result = CliRunner().invoke(tracker, ["--agent", "zero", "-d", "x", "--set", "env.start.joint_noise=0.1"])
    assert "is set with --joint-noise" in result.output


# --- cross


def write_iteration(run, number, agent=None, hopeless=(), finished=True):
    folder = run / f"iter_{number:03d}"
    batch = write_clips(folder / "p2_kin_gen" / f"motions_{number}_{number}", hopeless)
    write_clips(folder / "p2_kin_gen" / "ignore" / "raw" / batch.name, ["still", "quiet"])
    if finished:
        write_json(batch / "DONE.json", {})
    if agent is not None:
        write_policy(folder / "p3_tracker", agent)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two iterations: a generator of two good clips and one of a bad one; trackers `zero` and `random`."""
    run = tmp_path_factory.mktemp("runs") / "both"
    write_iteration(run, 1, "zero")
    write_iteration(run, 2, "random", hopeless=["quiet"])
    write_iteration(run, 3, finished=False)
    return run


def test_every_generator_meets_every_tracker(run):
    found = call(cross, run)
    assert [(one["label"], one["clips"]) for one in found["generators"]] == [("1", 2), ("2", 2)]
    assert [one["label"] for one in found["trackers"]] == ["1", "2"]
    shares = {(cell["generator"], cell["tracker"]): cell["success"]["share"] for cell in found["cells"]}
    assert set(shares) == {("1", "1"), ("2", "1"), ("1", "2"), ("2", "2")}
    assert (shares["1", "1"], shares["2", "1"]) == (1.0, 0.5)
    assert shares["1", "1"] >= shares["2", "2"]
    assert all(cell["joint_error"]["mean"] > 0 for cell in found["cells"])


def test_clips_as_generated_are_those_before_the_optimization(run):
    found = call(cross, run / "iter_001", "--raw")
    (cell,) = found["cells"]
    assert (found["clips"], cell["success"]["share"]) == ("raw", 0.0)


def test_the_table_has_a_row_per_generator_and_a_column_per_tracker(run):
    lines = call(cross, run / "iter_001", run / "iter_002", output="text").splitlines()
    assert lines[2].split("  ")[0] == "generator"
    assert "tracker both 1" in lines[2]
    assert "tracker both 2" in lines[2]
    assert [line.split("  ")[0] for line in lines[3:]] == ["both 1", "both 2"]


@pytest.mark.parametrize(
    ("agent", "finished", "text"),
    [(None, True, "no tracker is trained yet"), ("zero", False, "no batch of generated clips is finished")],
)
def test_a_run_without_generator_or_tracker_is_refused(tmp_path, agent, finished, text):
    write_iteration(tmp_path, 1, agent, finished=finished)
    with pytest.raises(DataError, match=text):
        call(cross, tmp_path)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="no run here"):
        call(cross, tmp_path)
