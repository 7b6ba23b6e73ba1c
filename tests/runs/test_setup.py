"""`parc setup`: what it prepares is used, and what it writes can be run."""

from __future__ import annotations

import json
import pathlib
import shlex
import subprocess
import sys

import pytest
import yaml

from parc_core.cli.main import main
from parc_core.interfaces import RunFolder
from parc_motion.clips import MotionDataset, save_clip
from parc_motion.storage import digest_file
from parc_testing.builders import make_clip

RUN = "runs/quick"
FROM_2 = """
from:
  2:
    kin_gen: {batches: 3, motions_per_batch: 1, save_name: more}
    train_tracker: {agent: {max_samples: 2}}
"""


@pytest.fixture
def call(home, capsys):
    """``call("setup", "quick.yaml")``: exit code, stdout (parsed with ``--json``) and stderr."""

    def run(*arguments: str):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        shown = capsys.readouterr()
        answer = json.loads(shown.out) if "--json" in arguments and shown.out else shown.out
        return ended.value.code, answer, shown.err

    return run


@pytest.fixture
def scheduled(home):
    """The iteration file, with other settings in the second iteration."""
    with (home / "quick.yaml").open("a") as file:
        file.write(FROM_2)
    return home


def results(run: pathlib.Path) -> dict[str, str]:
    """Digests of everything that a run made."""
    kept = (".npz", ".safetensors", "policy.json", "dataset.yaml")
    return {
        path.relative_to(run).as_posix(): digest_file(path)
        for path in sorted(run.rglob("*"))
        if path.name.endswith(kept)
    }


def states(plan) -> list[str]:
    return [row["state"] for row in plan["jobs"]]


def edit(file: pathlib.Path, **changes) -> None:
    """Change settings of the stage in a stage file."""
    document = yaml.safe_load(file.read_text())
    document[document["only"]] |= changes
    file.write_text(yaml.safe_dump(document, sort_keys=False))


# ------------------------------------------------------------------------------------------------ what is prepared


def test_setup_imports_the_motions_and_writes_the_data_set(call, home):
    code, plan, err = call("setup", "quick.yaml", "--json")
    assert code == 0, err
    assert states(plan) == ["finished", "to do", "to do", "to do", "to do", "to do"]
    dataset = MotionDataset.load(home / RUN / "iter_001" / "dataset.yaml")
    assert [(entry.name, entry.weight) for entry in dataset.entries] == [("walk", 1.0)]
    imported = (home / RUN / "inputs").stat().st_mtime_ns, digest_file(dataset.entries[0].file)
    (home / "clips" / "walk.npz").unlink()
    assert call("run", "quick.yaml")[0] == 0, "nothing is imported again"
    assert imported == ((home / RUN / "inputs").stat().st_mtime_ns, digest_file(dataset.entries[0].file))


def test_setup_makes_what_the_training_of_mdm_reads(call, home, monkeypatch):
    for number in range(3):
        save_clip(home / "clips" / f"run_{number}.npz", make_clip(40, name=f"run_{number}", speed=2.0))
    options = ["--set", "train_gen.generator.use=mdm"]
    for one in ("preset=tiny", "epochs=1", "batch_size=4", "iters_per_epoch=1"):
        options += ["--set", f"train_gen.generator.{one}"]
    code, _, err = call("setup", "quick.yaml", *options)
    assert code == 0, err
    cache = sorted(path.name for path in (home / RUN / "cache").iterdir())
    assert any(name.startswith("clips") for name in cache) and any("motion_store" in name for name in cache)

    def refuse(*_):
        raise AssertionError("a clip was opened for the cache")

    monkeypatch.setattr(MotionDataset, "__getitem__", refuse)
    monkeypatch.setattr("parc_mdm.store.store_items", refuse)
    code, _, err = call("run", RUN, "--only", "train_gen")
    assert code == 0, err
    assert sorted(path.name for path in (home / RUN / "cache").iterdir()) == cache


@pytest.mark.parametrize("weight", [0, 1])
def test_motions_of_the_tracker_are_packed_if_they_are_known_before_anything_is_generated(
    call, home, weight, monkeypatch
):
    assert call("setup", "quick.yaml", "--set", f"train_tracker.generated_weight={weight}")[0] == 0
    assert (home / RUN / "cache").is_dir() == (weight == 0)
    if weight:
        return

    def refuse(*_):
        raise AssertionError("a clip was opened for the cache")

    monkeypatch.setattr(MotionDataset, "__getitem__", refuse)
    assert call("run", RUN, "--only", "train_tracker")[0] == 0


def test_setup_after_an_iteration_prepares_the_next_one(call, home):
    assert call("run", "quick.yaml")[0] == 0
    before = results(home / RUN)
    code, plan, _ = call("setup", RUN, "--iterations", "2", "--json")
    assert code == 0 and states(plan) == ["finished"] * 6 + ["to do"] * 5
    assert results(home / RUN) == before
    assert [row["command"] for row in plan["commands"]][
        -1
    ] == f"parc run {RUN} --only phys_record --iteration 2"


def test_setup_needs_no_gpu(call, home):
    assert call("setup", "quick.yaml", "--set", "device=cuda:7")[0] == 0


def test_a_mistake_in_the_motions_shows_before_anything_is_kept(call, home):
    (home / "clips" / "walk.npz").unlink()
    code, _, err = call("setup", "quick.yaml")
    assert code != 0 and "clips" in err
    assert not (home / RUN / "setup").exists()


# ------------------------------------------------------------------------------------------------------- commands


def test_the_commands_one_by_one_make_what_one_run_makes(call, scheduled):
    assert call("run", "quick.yaml", "--iterations", "2", "--set", "name=whole")[0] == 0
    code, plan, _ = call("setup", "quick.yaml", "--iterations", "2", "--json")
    assert code == 0
    commands = [row["command"] for row in plan["commands"]]
    assert len(commands) == 5 + 6
    assert commands[:3] == [
        f"parc run {RUN} --only train_gen --iteration 1",
        f"parc run {RUN} --only kin_gen --iteration 1 --batch 0",
        f"parc run {RUN} --only kin_gen --iteration 1 --batch 1",
    ]
    for command in commands:
        code, _, err = call(*shlex.split(command)[1:])
        assert code == 0, f"{command}: {err}"
    _, plan, _ = call("run", RUN, "--dry-run", "--json")
    assert set(states(plan)) == {"finished"}
    assert results(scheduled / RUN) == results(scheduled / "runs" / "whole")


def test_jobs_of_batches_have_the_numbers_that_a_run_gives(call, scheduled):
    save_clip(scheduled / "clips" / "more_17_0.npz", make_clip(30, name="more_17_0", motion_class="walk"))
    assert call("setup", "quick.yaml", "--iterations", "2")[0] == 0
    jobs = scheduled / RUN / "setup" / "jobs"
    assert [path.name for path in sorted(jobs.iterdir())] == [
        *(f"iter_001-kin_gen-00{k}.json" for k in range(2)),
        *(f"iter_002-kin_gen-00{k}.json" for k in range(3)),
    ]
    expected = {path.name: json.loads(path.read_text())["ids"] for path in jobs.iterdir()}
    assert call("run", RUN)[0] == 0
    made = {}
    for iteration in RunFolder(scheduled / RUN).iterations()[:2]:
        for k, folder in enumerate(iteration.batches()):
            first, last = folder.name.split("_")[1:]
            made[f"iter_{iteration.number:03d}-kin_gen-{k:03d}.json"] = [int(first), int(last) + 1]
    assert made == expected
    assert made["iter_002-kin_gen-000.json"] == [18, 19], "after the input of that name"


def test_the_scripts_run_as_they_are(call, home, monkeypatch):
    assert call("setup", "quick.yaml")[0] == 0
    setup = home / RUN / "setup"
    done = subprocess.run([setup / "commands.sh"], cwd="/", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    _, plan, _ = call("run", RUN, "--dry-run", "--json")
    assert set(states(plan)) == {"finished"}


def test_the_slurm_script_carries_out_the_batch_of_its_array_index(call, home):
    assert call("setup", "quick.yaml")[0] == 0
    assert call("run", RUN, "--only", "train_gen")[0] == 0
    script = home / RUN / "setup" / "submit.sbatch"
    assert "#SBATCH --array=0-1\n" in script.read_text()
    environ = {"PATH": "/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": "1"}
    done = subprocess.run(["sh", script], cwd="/", env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in RunFolder(home / RUN).iteration(1).batches()] == ["motions_2_3"]


# ------------------------------------------------------------------------------------------------- files of stages


def test_there_is_a_file_per_stage_and_again_where_an_iteration_changes_it(call, scheduled):
    assert call("setup", "quick.yaml", "--iterations", "2")[0] == 0
    setup = scheduled / RUN / "setup"
    written = sorted(path.relative_to(setup).as_posix() for path in setup.rglob("*.yaml"))
    assert written == [
        "from_2/kin_gen.yaml",
        "from_2/train_tracker.yaml",
        *(f"{stage}.yaml" for stage in ("kin_gen", "phys_record", "train_gen", "train_tracker")),
    ]
    document = yaml.safe_load((setup / "from_2" / "kin_gen.yaml").read_text())
    assert [document[key] for key in ("run", "only", "iteration")] == ["../..", "kin_gen", 2]
    assert document["kin_gen"]["batches"] == 3


def test_stage_files_run_their_stages_and_leave_the_settings_as_they_are(call, scheduled):
    assert call("setup", "quick.yaml", "--iterations", "2")[0] == 0
    setup, config = scheduled / RUN / "setup", (scheduled / RUN / "config.yaml").read_text()
    for stage in ("train_gen", "kin_gen", "train_tracker", "phys_record"):
        assert call("run", f"{RUN}/setup/{stage}.yaml")[0] == 0
    assert call("run", RUN, "--only", "train_gen", "--iteration", "2")[0] == 0
    for stage in ("kin_gen", "train_tracker"):
        assert call("run", str(setup / "from_2" / f"{stage}.yaml"))[0] == 0
    _, plan, _ = call("run", RUN, "--dry-run", "--json")
    assert states(plan) == ["finished"] * 11 + ["to do"]
    assert (scheduled / RUN / "config.yaml").read_text() == config


def test_edits_of_a_stage_file_hold_like_set(call, scheduled):
    assert call("setup", "quick.yaml", "--iterations", "2")[0] == 0
    setup = scheduled / RUN / "setup"
    edit(setup / "train_gen.yaml", generator={"use": "parc_testing.quick:QuickGenerator", "epochs": 3})
    code, _, err = call("run", f"{RUN}/setup/train_gen.yaml")
    assert code == 0
    assert f"{RUN}/setup/train_gen.yaml changes train_gen.generator.epochs 1 -> 3" in err
    config = yaml.safe_load((scheduled / RUN / "config.yaml").read_text())
    assert config["train_gen"]["generator"]["epochs"] == 3
    edit(setup / "from_2" / "kin_gen.yaml", candidates=5)
    _, plan, _ = call("run", f"{RUN}/setup/from_2/kin_gen.yaml", "--dry-run", "--json")
    assert plan["config"]["from"]["2"]["kin_gen"] == {
        "batches": 3, "motions_per_batch": 1, "save_name": "more", "candidates": 5,
    }  # fmt: skip
    assert plan["config"]["kin_gen"]["candidates"] == 2
    assert yaml.safe_load((scheduled / RUN / "config.yaml").read_text()) == config, "a dry run keeps nothing"


def test_options_apply_after_the_stage_file(call, home):
    assert call("setup", "quick.yaml")[0] == 0
    edit(home / RUN / "setup" / "kin_gen.yaml", candidates=5)
    file = f"{RUN}/setup/kin_gen.yaml"
    _, plan, _ = call("run", file, "--set", "kin_gen.candidates=7", "--dry-run", "--json")
    assert plan["config"]["kin_gen"]["candidates"] == 7
    assert call("run", RUN, "--only", "train_gen")[0] == 0
    assert call("run", file, "--batch", "1")[0] == 0
    assert [path.name for path in RunFolder(home / RUN).iteration(1).batches()] == ["motions_2_3"]
    assert call("run", file)[0] == 0
    _, plan, _ = call("run", file, "--redo", "kin_gen", "--dry-run", "--json")
    assert states(plan)[2:4] == ["redo"] * 2


def test_another_provider_in_a_stage_file_starts_from_its_defaults(call, home):
    assert call("setup", "quick.yaml")[0] == 0
    edit(home / RUN / "setup" / "kin_gen.yaml", selector={"use": "random"}, planner={"use": "astar"})
    code, plan, err = call("run", f"{RUN}/setup/kin_gen.yaml", "--dry-run", "--json")
    assert code == 0, err
    assert plan["config"]["kin_gen"]["selector"]["use"] == "random"
    assert "length" not in plan["config"]["kin_gen"]["planner"]


def test_redo_of_an_earlier_iteration_is_refused_once_a_later_one_has_begun(call, home):
    assert call("setup", "quick.yaml", "--iterations", "2")[0] == 0
    assert call("run", f"{RUN}/setup/train_gen.yaml")[0] == 0
    assert call("run", f"{RUN}/setup/kin_gen.yaml")[0] == 0
    assert call("run", f"{RUN}/setup/kin_gen.yaml", "--redo", "kin_gen")[0] == 0
    superseded = home / RUN / "superseded"
    assert [path.name for path in superseded.iterdir()] == ["iter_001-p2_kin_gen-000-again"]
    assert call("run", RUN)[0] == 0
    code, _, err = call("run", f"{RUN}/setup/kin_gen.yaml", "--redo", "kin_gen")
    assert code == 2
    assert err.endswith(
        "--redo kin_gen: iteration 2 has begun, and builds on iteration 1. Make all iterations again (--redo all), or "
        "begin another run.\n"
    )
    assert len(list(superseded.iterdir())) == 1


def test_mistakes_in_a_stage_file_are_reported_with_their_lines(call, home):
    assert call("setup", "quick.yaml")[0] == 0
    file = home / RUN / "setup" / "wrong.yaml"
    file.write_text(
        "run: ..\nonly: kin_gen\niteration: 1\n"
        "kin_gen:\n  candidats: 3\n  keep: many\n  planner: {use: straight, lenght: 1.0}\n"
    )
    code, _, err = call("run", str(file))
    assert code == 2
    assert f"{file}:5:3: kin_gen.candidats: unknown key 'candidats', closest is 'candidates'" in err
    assert f"{file}:6:9: kin_gen.keep: expected" in err
    assert f"{file}:7:28: kin_gen.planner.lenght: unknown key 'lenght', closest is 'length'" in err
    file.write_text("only: kin_gen\niteration: 0\ntrain_gen: {}\n")
    code, _, err = call("run", str(file))
    assert (code, err.splitlines()) == (
        2,
        [
            f"{file}:1:1: run: the key is missing, expected the path of the run folder",
            f"{file}:2:12: iteration: expected the number of an iteration, 1 or higher, got 0",
            f"{file}:3:1: train_gen: unknown key 'train_gen' in the file of a stage, known are run, only, iteration, "
            "kin_gen",
        ],
    )
    file.write_text("run: ../..\nonly: kin_gen\niteration: 1\n")
    code, _, err = call("run", str(file))
    assert (code, err) == (
        2,
        f"{file}:1:6: run: {home / 'runs'} is not a run folder (config.yaml is missing). Give its path, relative to "
        "this file.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("run", f"{RUN}/setup/kin_gen.yaml", "--only", "train_gen"),
            f"--only train_gen: {RUN}/setup/kin_gen.yaml says `only: kin_gen`. Leave the option out, or give the run "
            f"folder instead of the file: parc run {RUN}",
        ),
        (
            ("run", RUN, "--only", "kin_gen", "--iteration", "2"),
            "--iteration 2: the run has iterations 1..1. To give it more, add --iterations 2.",
        ),
        (
            ("run", RUN, "--iteration", "1"),
            "--iteration chooses the iteration of one stage; give --only STAGE or --redo STAGE with it.",
        ),
        (
            ("setup", f"{RUN}/setup/kin_gen.yaml"),
            f"{RUN}/setup/kin_gen.yaml: the file of a stage. Give an iteration file or a run folder.",
        ),
    ],
    ids=["another-stage", "no-such-iteration", "no-stage", "setup-of-a-stage"],
)
def test_choices_that_cannot_be_are_refused(call, home, arguments, text):
    assert call("setup", "quick.yaml")[0] == 0
    assert call(*arguments) == (2, "", f"{text}\n")


def test_a_later_iteration_cannot_begin_before_the_one_before_it_has_recorded(call, home):
    assert call("setup", "quick.yaml", "--iterations", "2")[0] == 0
    code, _, err = call("run", RUN, "--only", "train_gen", "--iteration", "2")
    assert code == 65
    assert (
        f"{RUN}/iter_001/p4_phys_record: iteration 1 has not recorded its motions yet, and iteration 2 learns from "
        f"them. Finish it first: parc run {RUN} --only phys_record --iteration 1"
    ) in err
    assert not (home / RUN / "iter_002").exists()


# ---------------------------------------------------------------------------------------------------- setup again


def test_setup_again_writes_what_differs_and_keeps_finished_work(call, home):
    assert call("setup", "quick.yaml")[0] == 0
    assert call("run", RUN, "--only", "train_gen")[0] == 0
    setup = home / RUN / "setup"
    before = {path: path.stat().st_ino for path in setup.rglob("*.*")}
    made = results(home / RUN)
    assert call("setup", RUN)[0] == 0
    assert {path: path.stat().st_ino for path in setup.rglob("*.*")} == before, "no file was written"
    edit(setup / "kin_gen.yaml", candidates=9)
    code, _, err = call("setup", RUN, "--set", "kin_gen.batches=1")
    assert code == 0
    text = "is written again with the settings of the run: kin_gen.batches 2 -> 1, kin_gen.candidates 9 -> 2"
    assert f"{RUN}/setup/kin_gen.yaml {text}" in err
    changed = {path.name for path in setup.rglob("*.*") if before.get(path) != path.stat().st_ino}
    assert changed == {"kin_gen.yaml", "commands.sh", "submit.sbatch"}
    assert [path.name for path in (setup / "jobs").iterdir()] == ["iter_001-kin_gen-000.json"]
    assert results(home / RUN) == made


def test_setup_refuses_other_settings_while_others_work(call, home, monkeypatch):
    monkeypatch.setattr("parc_core.runner.settings._ORPHANS_END_S", 0.0)
    assert call("setup", "quick.yaml")[0] == 0
    config = (home / RUN / "config.yaml").read_text()
    code = (
        "import pathlib; from parc_motion.storage import Lease\n"
        f"with Lease(pathlib.Path({str(home / RUN / 'locks')!r}), 'process-other'):\n"
        "    print('here', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "here\n"
        assert call("setup", RUN)[0] == 0, "without changes it may"
        code, _, err = call("setup", RUN, "--set", "kin_gen.candidates=9")
        other.communicate("\n")
    assert code == 75 and "other settings cannot be used while others work here" in err
    assert (home / RUN / "config.yaml").read_text() == config
