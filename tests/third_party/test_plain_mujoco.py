"""A simulator written from the documentation alone keeps the contract and trains a tracker."""

import json
import pathlib

import pytest

TINY = pathlib.Path(__file__).parents[1] / "e2e" / "tiny.yaml"
pytestmark = pytest.mark.xdist_group("wheels")

CHOSEN = {
    "train_tracker.simulator": "{use: plain_mujoco, num_envs: 8}",
    "train_tracker.generated_weight": "0",
    "train_tracker.agent.max_samples": "512",
    "train_tracker.agent.batch_size": "128",
}


def test_contract_suite_passes(stranger):
    tests = stranger.sources["parc-plain-mujoco"] / "tests"
    shown = stranger.run("python", "-m", "pytest", "-p", "no:cacheprovider", "-q", tests, cwd=tests)
    assert " passed" in shown


def test_tracker_trains_in_it(stranger, tmp_path):
    options = [word for key, value in CHOSEN.items() for word in ("--set", f"{key}={value}")]
    stranger.run("parc", "run", TINY, "--only", "train_tracker", *options, cwd=tmp_path)
    tracker = tmp_path / "runs" / "tiny" / "iter_001" / "p3_tracker"
    policy = json.loads((tracker / "policy" / "policy.json").read_text())["fields"]
    assert policy["num_samples"] >= 512
    assert policy["extra"]["trained_in"]["simulator"]["use"] == "plain_mujoco"
    evaluation = json.loads((tracker / "evaluation.json").read_text())
    assert evaluation["motions"] and all(row["steps"] > 0 for row in evaluation["motions"])
