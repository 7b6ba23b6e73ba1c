"""A simulator written from the documentation alone keeps the contract, trains a tracker and records with it."""

import json
import pathlib

import pytest

TINY = pathlib.Path(__file__).parents[1] / "e2e" / "tiny.yaml"
pytestmark = pytest.mark.xdist_group("wheels")

CHOSEN = {
    "train_tracker.simulator": "{use: plain_mujoco, num_envs: 8}",
    "train_tracker.generated_weight": "0",  # nothing is generated: inputs are learned and recorded
    "phys_record.record": "[inputs]",
    "phys_record.recorder.second_chance": "null",  # its agent plans, which needs the capability "rollout"
    "train_tracker.agent.max_samples": "512",
    "train_tracker.agent.batch_size": "128",
}


def test_contract_suite_passes(stranger):
    tests = stranger.sources["parc-plain-mujoco"] / "tests"
    shown = stranger.run("python", "-m", "pytest", "-p", "no:cacheprovider", "-q", tests, cwd=tests)
    assert " passed" in shown


def test_tracker_trains_in_it_and_records(stranger, tmp_path):
    options = [word for key, value in CHOSEN.items() for word in ("--set", f"{key}={value}")]
    for stage in ("train_tracker", "phys_record"):
        stranger.run("parc", "run", TINY, "--only", stage, *options, cwd=tmp_path)
    iteration = tmp_path / "runs" / "tiny" / "iter_001"
    tracker = iteration / "p3_tracker"
    policy = json.loads((tracker / "policy" / "policy.json").read_text())["fields"]
    assert policy["num_samples"] >= 512
    assert policy["extra"]["trained_in"]["simulator"]["use"] == "plain_mujoco"
    evaluation = json.loads((tracker / "evaluation.json").read_text())
    assert evaluation["motions"] and all(row["steps"] > 0 for row in evaluation["motions"])
    report = json.loads((iteration / "p4_phys_record" / "report.json").read_text())["summary"]
    assert report["in"] == 3 and report["recorded"] >= 1  # walks on level ground; measured: all three
