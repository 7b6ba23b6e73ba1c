"""A package of one's own adds a reward term, an observation group, a generator loss and a network, by name."""

import json
import pathlib

import pytest

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "parc-custom-terms"
TINY = pathlib.Path(__file__).parents[1] / "e2e" / "tiny.yaml"
pytestmark = pytest.mark.xdist_group("wheels")

CHOSEN = {
    "train_gen.generator.losses": "{terms: {feet: {use: standing_feet, weight: 5.0}}}",
    "train_tracker.in_model_file": "null",
    "train_tracker.generated_weight": "0",
    "train_tracker.env.reward": "{terms: {smooth: {use: smooth_actions, weight: 0.05}}}",
    "train_tracker.env.observation": "{terms: {last_action: {use: previous_action}}}",
    "train_tracker.agent.model": "{actor_net: {use: residual_mlp, units: 32}}",
}


def test_its_own_tests_pass(stranger):
    tests = stranger.sources[EXAMPLE.name] / "tests"
    shown = stranger.run("python", "-m", "pytest", "-p", "no:cacheprovider", "-q", tests, cwd=tests)
    assert " passed" in shown


def test_all_four_are_used_by_name_in_an_iteration(stranger, tmp_path):
    options = [word for key, value in CHOSEN.items() for word in ("--set", f"{key}={value}")]
    stranger.run("parc", "run", TINY, "--only", "train_gen", *options, cwd=tmp_path)
    stranger.run("parc", "run", TINY, "--only", "train_tracker", *options, cwd=tmp_path)
    iteration = tmp_path / "runs" / "tiny" / "iter_001"
    losses = (iteration / "p1_train_gen" / "metrics.jsonl").read_text()
    assert "feet" in losses, "the generator's loss is reported under its name"
    rewards = (iteration / "p3_tracker" / "metrics.jsonl").read_text()
    assert "tracker/reward/smooth" in rewards
    policy = json.loads((iteration / "p3_tracker" / "policy" / "policy.json").read_text())["fields"]
    assert list(policy["observation"])[-1] == "last_action"
    assert "residual_mlp" in json.dumps(policy)


def test_iteration_file_of_the_example_is_valid(stranger, tmp_path):
    plan = json.loads(
        stranger.run("parc", "run", EXAMPLE / "iteration.yaml", "--dry-run", "--json", cwd=tmp_path)
    )
    stages = ["inputs", "train_gen", "kin_gen", "train_tracker", "phys_record"]
    assert [(job["stage"], job["state"]) for job in plan["jobs"]] == [(stage, "to do") for stage in stages]
