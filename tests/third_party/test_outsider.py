"""Providers written from the documentation alone keep the contracts and work in a run."""

import json
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent
TINY = HERE.parent / "e2e" / "tiny.yaml"
pytestmark = pytest.mark.xdist_group("wheels")


def test_contract_suites_pass(stranger):
    tests = stranger.sources["parc-outsider"] / "tests"
    shown = stranger.run("python", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs", tests, cwd=tests)
    assert " passed" in shown
    skipped = [line for line in shown.splitlines() if line.startswith("SKIPPED")]
    assert len(skipped) == 1 and "actions of this agent do not depend on a seed" in skipped[0], shown


def test_agent_recorder_and_executor_carry_out_an_iteration(stranger, tmp_path):
    chosen = {
        "kin_gen.executor.use": "threads",
        "kin_gen.optimizer.use": "none",  # nothing to compile
        "train_tracker.agent.use": "ridge",
        "train_tracker.agent.rounds": "2",
        "train_tracker.in_model_file": "null",
        "phys_record.recorder.use": "first_try",
    }
    options = [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
    report = json.loads(stranger.run("parc", "run", TINY, "--json", *options, cwd=tmp_path))
    (iteration,) = report["iterations"]
    assert [stage["stage"] for stage in iteration["stages"]] == [
        "train_gen",
        "kin_gen",
        "kin_gen",
        "train_tracker",
        "phys_record",
    ]
    policy = tmp_path / "runs" / "tiny" / "iter_001" / "p3_tracker" / "policy" / "policy.json"
    assert json.loads(policy.read_text())["fields"]["agent"] == "ridge"
    recording = iteration["tracker"]["recording"]
    assert recording["in"] == recording["recorded"] + len(recording["not_recorded"])
    assert recording["recorded"] >= 1, "the second agent, which plans, gets what the first one lost"
