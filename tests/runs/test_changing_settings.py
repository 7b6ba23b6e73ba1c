"""Settings that change between iterations, in whole runs."""

from __future__ import annotations

import json
import pathlib

import pytest

from parc_core.config import kept_body
from parc_core.interfaces import RunFolder
from parc_core.runner.stop import StopFlag
from parc_motion.clips import MotionDataset, save_terrain
from parc_testing.builders import make_terrain

RUN = "runs/quick"
CHANGES = """
iterations: 4
from:
  2:
    train_gen: {generator: {epochs: 2}}
    kin_gen: {batches: 3, candidates: 3}
    train_tracker: {agent: {max_samples: 2}}
  3:
    kin_gen: {batches: 1, motions_per_batch: 5, terrain: [{use: stairs}], planner: {length: 1.5}}
  4:
    kin_gen: {batches: 2, motions_per_batch: 1}
    train_tracker: {agent: {max_samples: 4}}
    phys_record: {record: [inputs, generated]}
"""


@pytest.fixture
def scheduled(home):
    """The iteration file, with changes in every iteration."""
    text = (home / "quick.yaml").read_text()
    (home / "quick.yaml").write_text(text + CHANGES)
    return home


def batches(run: pathlib.Path) -> list[list[str]]:
    """Names of the batches of every iteration, in the order of their numbers."""
    return [
        sorted((path.name for path in one.batches()), key=lambda name: int(name.split("_")[1]))
        for one in RunFolder(run).iterations()
    ]


def record(run: pathlib.Path, iteration: int, stage: str) -> dict:
    return json.loads((run / f"iter_{iteration:03d}" / stage / "DONE.json").read_text())["key_fields"]


def test_every_iteration_runs_with_its_own_settings(parc, scheduled):
    code, _, err = parc("quick.yaml")
    assert code == 0, err
    run = scheduled / RUN
    assert batches(run)[:4] == [
        ["motions_0_1", "motions_2_3"],
        ["motions_4_5", "motions_6_7", "motions_8_9"],
        ["motions_10_14"],
        ["motions_15_15", "motions_16_16"],
    ]
    epochs, samples, candidates, terrains = [], [], [], []
    for number, names in enumerate(batches(run)[:4], start=1):
        epochs.append(record(run, number, "p1_train_gen")["providers"]["generator"]["settings"]["epochs"])
        samples.append(record(run, number, "p3_tracker")["providers"]["agent"]["settings"]["max_samples"])
        batch = record(run, number, f"p2_kin_gen/{names[0]}")
        candidates.append(batch["inputs"]["candidates"])
        terrains.append(batch["providers"]["terrain.0"]["use"])
    assert (epochs, samples, candidates) == ([1, 2, 2, 2], [1, 2, 2, 4], [2, 3, 3, 3])
    assert terrains == ["parc-terrain:flat"] * 2 + ["parc-terrain:stairs"] * 2
    recorded = [len(RunFolder(run).iteration(number).recorded_clips()) for number in range(1, 5)]
    assert recorded == [4, 6, 5, 3], "the last one records the input, too"
    following = MotionDataset.load(run / "iter_005" / "dataset.yaml")
    assert len({entry.name for entry in following.entries}) == len(following) == 1 + sum(recorded)


def test_the_plan_says_what_the_run_then_does(parc, scheduled):
    _, plan, _ = parc("quick.yaml", "--dry-run", "--json")
    assert parc("quick.yaml")[0] == 0
    made = {str(file.parent.relative_to(scheduled)) for file in (scheduled / RUN).rglob("DONE.json")}
    assert {row["folder"] for row in plan["jobs"]} == made
    _, plan, _ = parc(RUN, "--dry-run", "--json")
    assert {row["state"] for row in plan["jobs"]} == {"finished"}
    assert not any(row["changed"] for row in plan["jobs"])
    assert plan["config"]["from"]["3"]["kin_gen"]["terrain"][0]["use"] == "stairs"
    assert plan["config"]["kin_gen"]["terrain"][0]["use"] == "flat"


def test_numbers_go_on_where_an_earlier_iteration_was_made_with_other_settings(parc, scheduled):
    assert parc("quick.yaml", "--iterations", "2")[0] == 0
    smaller = ("--set", "from.2.kin_gen.batches=1", "--set", "kin_gen.batches=7")
    assert parc(RUN, "--iterations", "3", *smaller)[0] == 0
    assert batches(scheduled / RUN)[:3] == [
        ["motions_0_1", "motions_2_3"],
        ["motions_4_5", "motions_6_7", "motions_8_9"],
        ["motions_10_14"],
    ]


def test_a_block_beyond_the_last_iteration_waits_for_more_iterations(parc, scheduled):
    assert parc("quick.yaml", "--iterations", "1")[0] == 0
    assert parc(RUN, "--iterations", "2")[0] == 0
    assert record(scheduled / RUN, 2, "p1_train_gen")["providers"]["generator"]["settings"]["epochs"] == 2


def test_an_interrupted_run_continues_with_the_changed_block(parc, scheduled, monkeypatch):
    """The printed command, with nothing but the run's folder, goes on with what --set had changed."""
    run, chosen = scheduled / RUN, ("--set", "from.2.kin_gen.candidates=7", "--set", "from.3.kin_gen.keep=2")
    begun = run / "iter_002" / "p2_kin_gen" / "motions_4_5.partial"
    monkeypatch.setattr(StopFlag, "__call__", lambda self: begun.exists())  # a signal while it is made
    code, _, err = parc("quick.yaml", *chosen)
    assert code == 130 and f"continue with: parc run {RUN}" in err and begun.exists()
    assert not (run / "iter_002" / "p3_tracker").exists()
    monkeypatch.setattr(StopFlag, "__call__", lambda self: False)
    (scheduled / "quick.yaml").unlink()
    assert parc(RUN)[0] == 0 and not (run / "superseded").exists()
    inputs = [record(run, n, f"p2_kin_gen/{batches(run)[n - 1][0]}")["inputs"] for n in (1, 2, 3)]
    assert [one["candidates"] for one in inputs] == [2, 7, 7]
    assert [one["keep"] for one in inputs] == [1, 1, 2]


def test_a_run_of_an_earlier_version_continues(parc, home):
    assert parc("quick.yaml")[0] == 0
    config = home / RUN / "config.yaml"
    text = config.read_text()
    assert text.endswith("\nfrom: {}\n")
    config.write_text(kept_body(text).removesuffix("from: {}\n"))
    code, plan, _ = parc(
        RUN, "--iterations", "2", "--set", "from.2.kin_gen.candidates=5", "--dry-run", "--json"
    )
    assert code == 0 and [row["changed"] for row in plan["jobs"][:5]] == [[]] * 5
    assert parc(RUN, "--iterations", "2", "--set", "from.2.kin_gen.candidates=5")[0] == 0
    assert record(home / RUN, 2, "p2_kin_gen/motions_4_5")["inputs"]["candidates"] == 5


def test_a_wrong_block_ends_the_command_before_anything_is_begun(parc, scheduled):
    code, _, err = parc("quick.yaml", "--set", "from.4.kin_gen.terrain=[ramps]")
    assert code == 2 and "from.4.kin_gen.terrain.0: no terrain_source is called 'ramps'" in err
    assert not (scheduled / "runs").exists()


def test_a_file_that_a_later_iteration_needs_is_missed_before_anything_is_begun(parc, scheduled):
    missing = (
        "--set",
        "from.3.kin_gen.terrain=[flat, {use: mixture, sources: [{use: file, path: big.npz}]}]",
    )
    code, _, err = parc("quick.yaml", *missing)
    assert code == 2 and not (scheduled / RUN / "inputs").exists()
    assert (
        f"kin_gen.terrain.1.sources.0.path: {scheduled / 'big.npz'} does not exist (looked from {scheduled}), and "
        "iteration 3 needs it. Correct the path, or put the file there."
    ) in err
    assert parc("quick.yaml", *missing, "--iterations", "2")[0] == 0, "iterations that do not need it run"
    assert parc(RUN, "--iterations", "3")[0] == 2
    save_terrain(scheduled / "big.npz", make_terrain((40, 40)))
    assert parc(RUN, "--iterations", "3")[0] == 0
    (scheduled / "big.npz").unlink()
    assert parc(RUN)[0] == 0, "a finished iteration does not need it"
    assert parc(RUN, "--redo", "kin_gen")[0] == 2
    assert batches(scheduled / RUN)[2] == ["motions_10_14"], "what cannot be made again is not replaced"


def test_the_batch_of_a_command_is_one_of_the_last_iteration(parc, scheduled):
    assert parc("quick.yaml", "--iterations", "2")[0] == 0
    last = ("--only", "kin_gen", "--redo", "kin_gen", "--batch")
    assert parc(RUN, *last, "2")[0] == 0, "the first iteration has 2 batches, the last one 3"
    code, _, err = parc(RUN, *last, "3")
    assert code == 2 and "--batch 3: kin_gen has batches 0..2" in err
