"""A run is steered while it goes on: what is finished stays, and what changed is said."""

from __future__ import annotations

import json
import pathlib

import attrs
import pytest

from parc_core.plugins import Registered
from parc_core.runner import redo
from parc_core.runner.stop import StopFlag
from parc_motion.clips import MotionDataset, save_clip
from parc_motion.storage import digest_file
from parc_testing.builders import make_clip

STAGES = ["train_gen", "kin_gen", "kin_gen", "train_tracker", "phys_record"]


def files(run: pathlib.Path) -> dict[str, str]:
    """Digests of everything that a run made: clips, weights, records of trainings."""
    kept = (".npz", ".safetensors", "policy.json")
    return {
        path.relative_to(run).as_posix(): digest_file(path)
        for path in sorted(run.rglob("*"))
        if path.name.endswith(kept)
    }


def states(plan, inputs: bool = False) -> list[str]:
    """States of the jobs of all iterations, or of the inputs."""
    return [row["state"] for row in plan["jobs"] if (row["stage"] == "inputs") == inputs]


def log(run: pathlib.Path) -> str:
    return (run / "log.txt").read_text()


RUN = "runs/quick"


def test_finished_iterations_stay_when_settings_change(parc, home):
    assert parc("quick.yaml")[0] == 0
    before = files(home / RUN)
    code, plan, _ = parc(RUN, "--iterations", "2", "--set", "kin_gen.candidates=12", "--dry-run", "--json")
    assert code == 0 and states(plan) == ["finished"] * 5 + ["to do"] * 5
    changed = {row["stage"]: row["changed"] for row in plan["jobs"][:6]}
    assert changed["kin_gen"] == ["inputs.candidates 2 -> 12"]
    assert changed["train_gen"] == changed["train_tracker"] == []
    assert parc(RUN, "--iterations", "2", "--set", "kin_gen.candidates=12")[0] == 0
    after = files(home / RUN)
    assert before.items() <= after.items() and not (home / RUN / "superseded").exists()
    assert "made with other settings: inputs.candidates 2 -> 12" in log(home / RUN)
    _, plan, _ = parc(RUN, "--dry-run", "--json")
    assert states(plan) == ["finished"] * 10


def test_an_upgrade_does_not_start_work_over(parc, home, monkeypatch):
    assert parc("quick.yaml")[0] == 0
    before = files(home / RUN)
    monkeypatch.setattr("parc_core.stages.context.__version__", "9.9.9")
    _, plan, _ = parc(RUN, "--dry-run", "--json")
    assert states(plan) == ["finished"] * 5 and not any(row["changed"] for row in plan["jobs"])
    assert parc(RUN)[0] == 0 and files(home / RUN) == before


def test_results_that_changed_on_purpose_are_told_and_finished_work_stays(parc, home, monkeypatch):
    assert parc("quick.yaml")[0] == 0
    made = files(home / RUN)
    original = Registered.target

    def newer(self, name):
        version = 2 if self.provider.kind == "planner" else 1
        return attrs.evolve(original(self, name), results_version=version)

    monkeypatch.setattr(Registered, "target", newer)
    plan = parc(RUN, "--dry-run", "--json")[1]
    changed = [row["changed"] for row in plan["jobs"] if row["stage"] == "kin_gen"]
    assert changed == [["providers.planner.results_version null -> 2"]] * 2
    assert states(plan) == ["finished"] * 5
    code, _, err = parc(RUN)
    assert code == 0 and "results_version null -> 2" in err
    assert files(home / RUN) == made


def test_records_say_which_code_made_a_result(parc, home):
    assert parc("quick.yaml")[0] == 0
    record = json.loads((home / RUN / "iter_001" / "p1_train_gen" / "DONE.json").read_text())
    assert set(record["versions"]) == {"parc-core", "parc-testing"}
    assert "version" not in json.dumps(record["key_fields"])


def test_qualified_names_are_the_same_settings(parc, home):
    assert parc("quick.yaml")[0] == 0
    _, plan, _ = parc(RUN, "--set", "kin_gen.terrain.use=parc-terrain:flat", "--dry-run", "--json")
    assert states(plan) == ["finished"] * 5 and not any(row["changed"] for row in plan["jobs"])


@pytest.mark.parametrize("stage", ["train_gen", "kin_gen", "train_tracker", "phys_record"])
def test_redo_makes_a_stage_and_those_after_it_again(parc, home, stage):
    assert parc("quick.yaml", "--iterations", "2")[0] == 0
    before = files(home / RUN)
    first = 5 + STAGES.index(stage)
    wanted = ["finished"] * first + ["redo"] * (10 - first)
    _, plan, _ = parc(RUN, "--redo", stage, "--dry-run", "--json")
    assert states(plan) == wanted
    assert parc(RUN, "--redo", stage)[0] == 0
    after = files(home / RUN)
    assert before.items() <= after.items(), "made again with equal settings, results are equal"
    assert sum("superseded" in name for name in after) > 0


def test_redo_all_makes_everything_again_with_new_settings(parc, home):
    assert parc("quick.yaml")[0] == 0
    before = files(home / RUN)
    epochs = ("--set", "train_gen.generator.epochs=3")
    _, plan, _ = parc(RUN, *epochs, "--redo", "all", "--dry-run", "--json")
    assert states(plan) == ["redo"] * 5
    assert parc(RUN, *epochs, "--redo", "all")[0] == 0
    after = files(home / RUN)
    model = "iter_001/p1_train_gen/final_model/model.safetensors"
    assert before[model] != after[model]
    assert "superseded/iter_001-p1_train_gen-000/final_model/model.safetensors" in after


def test_new_clips_of_a_source_join_when_the_inputs_are_imported_again(parc, home):
    assert parc("quick.yaml")[0] == 0
    before = files(home / RUN)
    save_clip(home / "clips" / "run.npz", make_clip(30, name="run", speed=3.0, motion_class="run"))
    _, plan, _ = parc(RUN, "--dry-run", "--json")
    assert states(plan, inputs=True) == ["finished"]
    assert any("run.npz" in change for row in plan["jobs"] for change in row["changed"])
    more = ("--iterations", "2", "--redo", "inputs")
    _, plan, _ = parc(RUN, *more, "--dry-run", "--json")
    assert states(plan, inputs=True) == ["redo"] and states(plan) == ["finished"] * 5 + ["to do"] * 5
    assert parc(RUN, *more)[0] == 0
    assert before.items() <= files(home / RUN).items()
    names = {entry.name for entry in MotionDataset.load(home / RUN / "iter_002" / "dataset.yaml").entries}
    assert {"walk", "run"} <= names
    earlier = MotionDataset.load(home / RUN / "iter_001" / "dataset.yaml")
    assert [entry.name for entry in earlier.entries] == ["walk"], "what the first iteration has learned from"


@pytest.mark.parametrize(("agent", "continues"), [("OtherAgent", True), ("StrictAgent", False)])
def test_another_agent_continues_from_the_policy_if_it_accepts_it(parc, home, agent, continues):
    assert parc("quick.yaml")[0] == 0
    providers = (home / "quick.yaml").read_text().partition('agent: {use: "')[2].partition(":QuickAgent")[0]
    chosen = f"train_tracker.agent.use={providers}:{agent}"
    code, _, err = parc(RUN, "--iterations", "2", "--set", chosen)
    assert code == 0
    record = json.loads((home / RUN / "iter_002" / "p3_tracker" / "DONE.json").read_text())
    assert bool(record["key_fields"]["inputs"]["start"]) == continues
    assert ("agent 'strict' starts from nothing" in err) != continues


def test_redo_of_a_stage_that_does_not_exist_is_a_usage_error(parc):
    code, _, err = parc("quick.yaml", "--redo", "everything")
    assert code == 2 and "train_gen" in err


def test_number_of_iterations_is_kept(parc, home):
    assert parc("quick.yaml", "--iterations", "2")[0] == 0
    _, plan, _ = parc(RUN, "--dry-run", "--json")
    assert [row["iteration"] for row in plan["jobs"]] == [0] + [1] * 5 + [2] * 5
    assert plan["config"]["iterations"] == 2


def test_settings_that_fail_are_not_kept(parc, home):
    assert parc("quick.yaml")[0] == 0
    before = (home / RUN / "config.yaml").read_text()
    (home / RUN / "iter_002" / "dataset.yaml").unlink()
    code, _, err = parc(RUN, "--iterations", "2", "--set", "class_weights={swim: 2.0}")
    assert code == 65 and "no clip of the data set has class 'swim'" in err and "they are not kept" in err
    assert (home / RUN / "config.yaml").read_text() == before
    assert parc(RUN)[0] == 0, "the printed command works"


def test_settings_with_which_work_was_begun_are_kept(parc, home):
    assert parc("quick.yaml")[0] == 0
    chosen = "train_gen.generator.use=parc_testing.quick:BreakingGenerator"
    code, _, err = parc(RUN, "--iterations", "2", "--set", chosen)
    assert code == 65 and "broken" in err and "they are not kept" not in err
    assert "BreakingGenerator" in (home / RUN / "config.yaml").read_text()


def test_plans_need_no_device(parc, home, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    code, plan, _ = parc("quick.yaml", "--set", "device=cuda:0", "--dry-run", "--json")
    assert code == 0 and set(states(plan)) == {"to do"}
    code, _, err = parc("quick.yaml", "--set", "device=cuda:0")
    assert code == 2 and "torch sees 0 CUDA device(s)" in err


def test_many_iterations_are_planned_at_once(parc, home):
    code, plan, _ = parc("quick.yaml", "--iterations", "40", "--dry-run", "--json")
    batches = [row["folder"] for row in plan["jobs"] if row["stage"] == "kin_gen"]
    assert code == 0 and batches[-1].endswith("iter_040/p2_kin_gen/motions_158_159")


def test_settings_with_which_something_was_finished_are_kept(parc, home):
    assert parc("quick.yaml")[0] == 0
    agent = "train_tracker.agent.use=parc_testing.quick:BreakingAgent"
    code, _, err = parc(RUN, "--iterations", "2", "--set", agent)
    assert code == 65 and "broken" in err and "they are not kept" not in err
    assert "BreakingAgent" in (home / RUN / "config.yaml").read_text()


def test_motion_numbers_go_on_from_the_data_set(parc, home):
    assert parc("quick.yaml")[0] == 0
    recorded = home / RUN / "iter_001" / "p4_phys_record" / "recorded_motions"
    text = (
        (home / "quick.yaml")
        .read_text()
        .replace("name: quick", "name: next")
        .replace("[./clips]", f"[./clips, {recorded}]")
    )
    (home / "next.yaml").write_text(text)
    assert parc("next.yaml")[0] == 0
    following = MotionDataset.load(home / "runs" / "next" / "iter_002" / "dataset.yaml")
    names = sorted(entry.name for entry in following.entries)
    assert names == sorted(["walk", *(f"motions_{k}_0_opt_dm" for k in range(8))])
    assert [path.name for path in sorted((home / "runs/next/iter_001/p2_kin_gen").glob("motions_*"))] == [
        "motions_4_5",
        "motions_6_7",
    ]


def test_motion_numbers_begin_at_the_offset(parc, home):
    assert parc("quick.yaml", "--set", "kin_gen.motion_id_offset=100", "--iterations", "2")[0] == 0
    for iteration, first in ((1, 100), (2, 104)):
        folder = home / RUN / f"iter_{iteration:03d}" / "p2_kin_gen"
        found = sorted(path.name for path in folder.glob("motions_*"))
        assert found == [f"motions_{first}_{first + 1}", f"motions_{first + 2}_{first + 3}"]


def test_batches_of_a_finished_iteration_stay_when_their_number_changes(parc, home):
    assert parc("quick.yaml")[0] == 0
    more = ("--iterations", "2", "--set", "kin_gen.batches=1", "--set", "kin_gen.motions_per_batch=5")
    code, plan, _ = parc(RUN, *more, "--dry-run", "--json")
    assert code == 0 and states(plan) == ["finished"] * 5 + ["to do"] * 4
    assert parc(RUN, *more)[0] == 0
    batches = [
        sorted(p.name for p in (home / RUN / f"iter_00{k}/p2_kin_gen").glob("motions_*")) for k in (1, 2)
    ]
    assert batches == [["motions_0_1", "motions_2_3"], ["motions_4_8"]]


def test_iteration_without_a_generated_clip_ends_before_the_tracker(parc, home):
    # the terrain is too small for a path of this length
    code, _, err = parc("quick.yaml", "--set", "kin_gen.planner.length=500.0")
    assert code == 65
    assert "none of the 2 batches holds a clip (" in err and "no path" in err and "--redo kin_gen" in err
    assert not (home / RUN / "iter_001" / "p3_tracker").exists()
    assert parc(RUN, "--set", "kin_gen.planner.length=2.0", "--redo", "kin_gen")[0] == 0


def test_variables_at_the_beginning_of_paths_are_replaced(parc, home, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(home))
    text = (home / "quick.yaml").read_text()
    (home / "quick.yaml").write_text(text.replace("./clips", "$DATA_DIR/clips"))
    code, plan, _ = parc("quick.yaml", "--dry-run", "--json")
    assert code == 0 and str(home / "clips") in json.dumps(plan["config"]["dataset"])
    monkeypatch.delenv("DATA_DIR")
    code, _, err = parc("quick.yaml", "--dry-run")
    assert code == 2 and "the environment variable DATA_DIR is not set" in err


def epochs_trained(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["value"] for row in rows if row["name"] == "epoch"]


def interrupt_when(monkeypatch, reached):
    """The user asks to stop as soon as `reached` is true."""
    monkeypatch.setattr(StopFlag, "__call__", lambda self: reached())


def test_begun_training_goes_on_longer_when_more_is_asked(parc, home, monkeypatch):
    assert parc("quick.yaml", "--set", "name=whole", "--set", "train_gen.generator.epochs=6")[0] == 0
    partial = home / RUN / "iter_001" / "p1_train_gen.partial"
    with monkeypatch.context() as patch:
        interrupt_when(patch, lambda: len(list(partial.glob("checkpoints/*"))) >= 2)
        assert parc("quick.yaml", "--set", "train_gen.generator.epochs=4")[0] == 130
    plan = parc(RUN, "--set", "train_gen.generator.epochs=6", "--dry-run", "--json")[1]
    (row,) = [row for row in plan["jobs"] if row["stage"] == "train_gen"]
    assert (row["state"], row["note"]) == ("begun", "goes on, longer")
    assert row["changed"] == ["providers.generator.settings.epochs 4 -> 6"]
    assert parc(RUN, "--set", "train_gen.generator.epochs=6")[0] == 0
    made = home / RUN / "iter_001" / "p1_train_gen"
    assert epochs_trained(made) == [1, 2, 3, 4, 5, 6]
    whole = home / "runs/whole/iter_001/p1_train_gen/final_model/model.safetensors"
    assert (made / "final_model/model.safetensors").read_bytes() == whole.read_bytes()
    assert not (home / RUN / "superseded").exists()


def test_begun_job_goes_on_with_the_settings_that_it_was_begun_with(parc, home, monkeypatch):
    partial = home / RUN / "iter_001" / "p1_train_gen.partial"
    with monkeypatch.context() as patch:
        interrupt_when(patch, lambda: len(list(partial.glob("checkpoints/*"))) >= 2)
        assert parc("quick.yaml", "--set", "train_gen.generator.epochs=4")[0] == 130
    less = ("--set", "train_gen.generator.epochs=3", "--set", "kin_gen.candidates=5")
    plan = parc(RUN, *less, "--dry-run", "--json")[1]
    (row,) = [row for row in plan["jobs"] if row["stage"] == "train_gen"]
    assert (row["state"], row["note"]) == ("begun", "goes on with the settings that it was begun with")
    code, _, err = parc(RUN, *less)
    assert code == 0 and "goes on with those. To begin it again: --redo train_gen" in err
    assert epochs_trained(home / RUN / "iter_001" / "p1_train_gen") == [1, 2, 3, 4]
    record = json.loads((home / RUN / "iter_001" / "p1_train_gen" / "DONE.json").read_text())
    assert record["key_fields"]["providers"]["generator"]["settings"]["epochs"] == 4
    batch = json.loads((home / RUN / "iter_001" / "p2_kin_gen" / "motions_0_1" / "DONE.json").read_text())
    assert batch["key_fields"]["inputs"]["candidates"] == 5  # it was not begun
    assert not (home / RUN / "superseded").exists()


def test_begun_job_whose_inputs_changed_is_begun_again(parc, home, monkeypatch):
    partial = home / RUN / "iter_001" / "p1_train_gen.partial"
    with monkeypatch.context() as patch:
        interrupt_when(patch, lambda: len(list(partial.glob("checkpoints/*"))) >= 2)
        assert parc("quick.yaml", "--set", "train_gen.generator.epochs=4")[0] == 130
    save_clip(home / "clips" / "more.npz", make_clip(30, name="more", speed=2.0, motion_class="run"))
    plan = parc(RUN, "--redo", "inputs", "--dry-run", "--json")[1]
    assert [row["state"] for row in plan["jobs"] if row["stage"] == "train_gen"] == ["begun"]
    assert parc(RUN, "--redo", "inputs")[0] == 0
    assert epochs_trained(home / RUN / "iter_001" / "p1_train_gen") == [1, 2, 3, 4]
    (half,) = (home / RUN / "superseded").glob("iter_001-p1_train_gen.partial-*")
    assert len(list(half.glob("checkpoints/*"))) == 2


def test_finished_training_is_lengthened_from_its_last_state(parc, home):
    longer = ("--set", "train_gen.generator.epochs=5")
    assert parc("quick.yaml", "--set", "name=whole", *longer)[0] == 0
    assert parc("quick.yaml", "--set", "train_gen.generator.epochs=2")[0] == 0
    assert parc(RUN, *longer)[0] == 0
    made = home / RUN / "iter_001" / "p1_train_gen"
    assert epochs_trained(made) == [1, 2]  # it is finished, and stays
    plan = parc(RUN, *longer, "--redo", "train_gen", "--dry-run", "--json")[1]
    (row,) = [row for row in plan["jobs"] if row["stage"] == "train_gen"]
    assert (row["state"], row["note"]) == ("redo", "goes on from its last state")
    before = made.stat().st_ino
    assert parc(RUN, *longer, "--redo", "train_gen")[0] == 0
    assert made.stat().st_ino != before
    assert epochs_trained(made) == [1, 2, 3, 4, 5]
    assert "continues from" in (home / RUN / "log.txt").read_text()
    whole = home / "runs/whole/iter_001/p1_train_gen/final_model/model.safetensors"
    assert (made / "final_model/model.safetensors").read_bytes() == whole.read_bytes()
    assert parc(RUN, "--redo", "train_gen")[0] == 0
    assert epochs_trained(made) == [1, 2, 3, 4, 5]
    assert "continues from" in (home / RUN / "log.txt").read_text()


def test_redo_that_was_killed_in_the_middle_is_finished_first(parc, home, monkeypatch):
    assert parc("quick.yaml")[0] == 0
    moved = []
    original = redo.set_aside

    def killed(folder, superseded, **options):
        if moved:
            raise RuntimeError("killed")
        moved.append(folder)
        return original(folder, superseded, **options)

    with monkeypatch.context() as patch:
        patch.setattr(redo, "set_aside", killed)
        assert parc(RUN, "--redo", "kin_gen")[0] != 0
    iteration = home / RUN / "iter_001"
    assert not (iteration / "p2_kin_gen").exists() and (iteration / "p3_tracker").exists()
    assert parc(RUN)[0] == 0
    found = sorted(path.name for path in (home / RUN / "superseded").iterdir())
    assert [name.removesuffix("-000-again") for name in found] == [
        "iter_001-p2_kin_gen",
        "iter_001-p3_tracker",
        "iter_001-p4_phys_record",
    ]
    assert not (home / RUN / "redo.json").exists()


@pytest.mark.parametrize(
    ("stage", "name", "what"),
    [
        ("train_gen", "input_model_path", "generator"),
        ("train_gen", "dataset", "does not exist"),
        ("kin_gen", "generator_path", "generator"),
        ("train_tracker", "in_model_file", "policy"),
        ("train_tracker", "dataset", "does not exist"),
        ("phys_record", "policy", "policy"),
        ("phys_record", "dataset", "does not exist"),
    ],
)
def test_what_a_later_stage_is_given_is_looked_for_before_the_first(parc, home, stage, name, what):
    code, _, err = parc("quick.yaml", "--set", f"{stage}.{name}=nowhere")
    assert code == 65
    assert f"{stage}.{name}: " in err and what in err
    assert not (home / RUN / "iter_001").exists()


def test_equal_names_in_a_given_data_set_are_found_before_the_first_stage(parc, home):
    for folder in ("a", "b"):
        save_clip(home / "given" / folder / "walk.npz", make_clip(30, name="walk"))
    rows = [{"file": f"given/{folder}/walk.npz", "weight": 1.0} for folder in ("a", "b")]
    (home / "given.yaml").write_text(json.dumps({"motions": rows}))
    code, _, err = parc("quick.yaml", "--set", "train_tracker.dataset=given.yaml")
    assert code == 65 and "two clips are called 'walk'" in err
    assert not (home / RUN / "iter_001").exists()


def test_executor_that_cannot_work_is_refused_before_the_training(parc, home):
    (home / "lacking.py").write_text(
        "from parc_core.errors import ProviderUnavailable\n"
        "from parc_testing.quick import NoSettings\n"
        "class Lacking:\n"
        "    def __init__(self, config: NoSettings):\n"
        "        raise ProviderUnavailable('pip install something')\n"
    )
    choice = ("--set", 'phys_record.executor={use: "./lacking.py:Lacking"}')
    code, _, err = parc("quick.yaml", *choice)
    assert (code, "pip install something" in err) == (2, True), err
    assert not list((home / "runs/quick").glob("iter_*/*"))
    assert parc("quick.yaml")[0] == 0
    assert parc("runs/quick", *choice)[0] == 0  # finished jobs need no executor
