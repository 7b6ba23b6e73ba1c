"""What was once seen to throw finished work away, to change a result, or to pass for a success."""

from __future__ import annotations

import json
import shutil

import pytest

from parc_core.cli.main import main
from parc_core.interfaces import RunFolder
from parc_core.stages.record import read_record
from parc_motion import storage
from parc_testing.faulty import in_child
from parc_testing.runs import products

RUN = "runs/quick"


@pytest.fixture
def run(parc, home):
    """A finished run's folder and its products."""
    assert parc("quick.yaml", "--set", "train_gen.generator.epochs=2")[0] == 0
    return RunFolder(home / RUN), products(home / RUN)


def nothing_made(folder):
    """Whether no job was made since the first start."""
    return (
        not folder.superseded.exists() and folder.events.read_text().count('"started", "stage": "inputs"') > 1
    )


def test_checkpoints_that_were_removed_and_lines_added_to_metrics_change_nothing(run, parc):
    folder, made = run
    shutil.rmtree(folder.iteration(1).train_gen / "checkpoints")
    with (folder.iteration(1).train_gen / "metrics.jsonl").open("a") as stream:
        stream.write("\n")
    assert parc(RUN)[0] == 0 and nothing_made(folder)
    found = {job: record for job, record in made.items() if "p1_train_gen" in job}
    record = read_record(folder.iteration(1).train_gen)
    assert {
        f"iter_001/p1_train_gen/{n}": f["sha256"] for n, f in record.files.items() if n != "metrics.jsonl"
    } == found


def test_a_note_beside_the_model_that_training_started_from_is_no_other_model(run, parc, home, monkeypatch):
    folder, _ = run
    shutil.copytree(folder.iteration(1).generator, home / "given")
    chosen = (
        "--set",
        "name=second",
        "--set",
        "train_gen.input_model_path=given",
        "--set",
        "train_gen.generator.epochs=3",
    )
    assert parc("quick.yaml", *chosen)[0] == 0
    (home / "given" / "note.txt").write_text("from last spring")
    _, plan, _ = parc("runs/second", "--dry-run", "--json")
    assert [row["changed"] for row in plan["jobs"]] == [[]] * len(plan["jobs"])
    shutil.rmtree(home / "given")  # or it does not exist on this machine
    assert parc("runs/second")[0] == 0 and nothing_made(RunFolder(home / "runs/second"))


def test_settings_changed_and_changed_back_take_back_what_was_made(run, parc):
    folder, made = run
    assert parc(RUN, "--set", "seed=4", "--redo", "train_gen")[0] == 0
    assert products(folder.path) != made
    times = {path: path.stat().st_mtime for path in folder.superseded.rglob("*.safetensors")}
    assert times
    assert parc(RUN, "--set", "seed=3", "--redo", "train_gen")[0] == 0
    assert products(folder.path) == made
    assert "is taken back from" in folder.log.read_text()
    model = folder.iteration(1).generator / "model.safetensors"
    assert model.stat().st_mtime in times.values(), "the model was made again"


def test_a_source_that_is_away_for_a_moment_costs_nothing(run, parc, home):
    folder, made = run
    (home / "clips").rename(home / "elsewhere")
    assert parc(RUN)[0] == 0 and nothing_made(folder)
    (home / "elsewhere").rename(home / "clips")
    assert parc(RUN)[0] == 0 and nothing_made(folder) and products(folder.path) == made


def test_a_bit_of_a_date_in_an_input_clip_is_noticed_by_whoever_reads_it(run, parc):
    folder, _ = run
    (clip,) = folder.input_folders()[0].rglob("*.npz")
    data = bytearray(clip.read_bytes())
    data[10] ^= 1  # the time of the first member of the archive
    clip.write_bytes(data)
    assert parc(RUN)[0] == 0 and nothing_made(folder)
    code, _, err = parc(RUN, "--iterations", "2")
    assert code == 65 and str(clip) in err and "SHA-256" in err


def test_a_generated_clip_that_is_gone_is_an_error_and_no_success(parc, home):
    assert parc("quick.yaml", "--only", "train_gen")[0] == 0
    assert parc(RUN, "--only", "kin_gen")[0] == 0
    assert parc(RUN, "--only", "train_tracker")[0] == 0
    clip = next((home / RUN).glob("iter_001/p2_kin_gen/*/*.npz"))
    clip.unlink()
    code, _, err = parc(RUN, "--only", "phys_record")
    assert code == 65 and str(clip) in err and not (home / RUN / "iter_001" / "p4_phys_record").exists()


def test_a_policy_whose_text_was_changed_is_not_used(run, parc):
    folder, _ = run
    file = folder.iteration(1).policy / "policy.json"
    file.write_text(file.read_text().replace('"agent": "quick"', '"agent": "quack"'))
    code, _, err = parc(RUN, "--redo", "phys_record")
    assert code == 65 and str(file.relative_to(folder.path.parents[1])) in err and "damaged" in err
    assert len(list(folder.superseded.iterdir())) == 1


def test_a_kill_between_the_raw_clips_and_the_batch_makes_no_motion_again(parc, home):
    assert parc("quick.yaml", "--only", "train_gen")[0] == 0
    batch = home / RUN / "iter_001" / "p2_kin_gen" / "motions_0_1"
    shutil.copytree(home / RUN, home / "before")
    command = lambda: main(["run", RUN, "--only", "kin_gen", "--batch", "0"])  # noqa: E731
    total = in_child(command, home / "out.txt").operations
    for number in range(total, 0, -1):
        shutil.rmtree(home / RUN)
        shutil.copytree(home / "before", home / RUN)
        in_child(command, home / "out.txt", f"crash@{number}")
        raw = home / RUN / "iter_001" / "p2_kin_gen" / "ignore" / "raw" / "motions_0_1"
        if raw.exists() and not batch.exists():
            break
    else:
        pytest.fail("there is no such moment")
    begun = batch.parent / "motions_0_1.partial" / "raw"
    clips = {path.name: path.stat().st_mtime_ns for path in begun.glob("*.npz")}
    assert len(clips) == 2
    assert parc(RUN, "--only", "kin_gen", "--batch", "0")[0] == 0
    assert {path.name: path.stat().st_mtime_ns for path in raw.glob("*.npz")} == clips
    assert not (batch / "raw").exists()


def test_torch_threads_are_among_what_a_result_depends_on(parc, home):
    assert parc("quick.yaml")[0] == 0
    code, plan, _ = parc(RUN, "--set", "torch_threads=2", "--dry-run", "--json")
    changed = {text for row in plan["jobs"] for text in row["changed"]}
    assert code == 0 and changed == {"torch_threads null -> 2"}
    assert parc(RUN, "--set", "torch_threads=2")[0] == 0
    assert "made with other settings: torch_threads null -> 2" in (home / RUN / "log.txt").read_text()
    record = read_record(home / RUN / "iter_001" / "p1_train_gen")
    assert record.machine["threads"]["torch"] == 1


def test_a_training_begun_with_one_thread_goes_on_with_one(parc, home, monkeypatch):
    import torch

    seen = []
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    total = in_child(lambda: main(["run", "quick.yaml", "--only", "train_gen"]), home / "out.txt").operations
    shutil.rmtree(home / RUN)
    for number in range(total, 0, -5):
        in_child(
            lambda: main(["run", "quick.yaml", "--only", "train_gen"]), home / "out.txt", f"crash@{number}"
        )
        if (home / RUN / "iter_001" / "p1_train_gen.partial" / ".job.json").exists():
            break
        shutil.rmtree(home / RUN)
    assert parc(RUN, "--only", "train_gen", "--set", "torch_threads=2")[0] == 0
    assert (
        seen[-1] == 1
        and read_record(home / RUN / "iter_001" / "p1_train_gen").machine["threads"]["torch"] == 1
    )


def test_the_manifest_tells_what_was_made_and_not_what_was_started(run, parc, monkeypatch):
    folder, _ = run
    before = storage.read_json(folder.manifest)
    jobs = [name for entry in before["made_with"] for name in entry["jobs"]]
    assert "iter_001/p3_tracker" in jobs and len(jobs) == 6
    monkeypatch.setattr("parc_core.stages.context.__version__", "9.9.9")
    assert parc(RUN)[0] == 0
    assert storage.read_json(folder.manifest) == before
    assert parc(RUN, "--redo", "phys_record")[0] == 0
    made_with = storage.read_json(folder.manifest)["made_with"]
    assert [entry["jobs"] for entry in made_with if entry["versions"]["parc-core"] == "9.9.9"] == [
        ["iter_001/p4_phys_record"]
    ]


def test_a_run_that_was_moved_goes_on(run, parc, home):
    folder, made = run
    (home / "other place").mkdir()
    moved = home / "other place" / "run"
    folder.path.rename(moved)
    assert str(home / RUN) not in (moved / "iter_001" / "p3_tracker" / "motions.yaml").read_text()
    assert parc(str(moved), "--iterations", "2")[0] == 0
    assert {name: digest for name, digest in products(moved).items() if name in made} == made


@pytest.mark.parametrize("change", ["candidates: 5", "edited"])
def test_settings_that_were_edited_by_hand_are_refused_with_the_way(run, parc, change):
    folder, _ = run
    text = folder.config.read_text()
    folder.config.write_text(text.replace("candidates: 2", change) if ":" in change else text + "# edited\n")
    code, _, err = parc(RUN)
    assert code == 2 and f"{folder.config.relative_to(folder.config.parents[2])}" in err and "--set" in err
    folder.config.write_text(folder.config.read_text().partition("\n")[2])
    assert parc(RUN)[0] == 0 and nothing_made(folder)


def test_verify_says_what_is_damaged_and_the_command_that_makes_it_again(run, parc, capsys):
    folder, made = run

    def verify():
        with pytest.raises(SystemExit) as ended:
            main(["verify", RUN, "--json"])
        return ended.value.code, json.loads(capsys.readouterr().out)

    code, document = verify()
    assert (code, document["damaged"]) == (0, 0) and {row["state"] for row in document["jobs"]} == {"whole"}
    recorded = next(folder.iteration(1).recorded_motions.rglob("*.npz"))
    recorded.write_bytes(recorded.read_bytes()[:-1])
    next(folder.iteration(1).recorded_motions.rglob("*.execution")).unlink()
    code, document = verify()
    (row,) = [row for row in document["jobs"] if row["state"] == "damaged"]
    assert (code, document["damaged"], row["name"]) == (65, 2, "iter_001/p4_phys_record")
    text = f"{recorded.relative_to(folder.path.parents[1])}: differs from what phys_record wrote"
    assert text in "".join(row["problems"])
    assert row["command"] == f"parc run {RUN} --redo phys_record --iteration 1"
    assert parc(*row["command"].split()[2:])[0] == 0
    assert verify()[0] == 0 and products(folder.path) == made


@pytest.mark.parametrize("name", ["p1_train_gen/DONE.json", "p3_tracker/DONE.json", "dataset.yaml"])
def test_files_of_two_iterations_that_were_swapped_are_noticed(run, parc, home, capsys, name):
    folder, _ = run
    assert parc(RUN, "--iterations", "2")[0] == 0
    one, two = folder.iteration(1).path / name, folder.iteration(2).path / name
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    with pytest.raises(SystemExit) as ended:
        main(["verify", RUN])
    assert ended.value.code == 65 and capsys.readouterr().out.count("\ndamaged ") == 2
    code, _, err = parc(RUN)
    assert code == 65 and f"{RUN}/iter_001/{name}" in err and "swapped" in err
    one.write_bytes(first)
    two.write_bytes(second)
    assert parc(RUN)[0] == 0 and not folder.superseded.exists()


def test_a_run_without_its_settings_is_no_folder_of_clips(run, capsys):
    folder, _ = run
    folder.config.rename(folder.path / "config.yaml.away")
    with pytest.raises(SystemExit) as ended:
        main(["info", RUN])
    assert ended.value.code == 65 and f"{RUN}/config.yaml: missing" in capsys.readouterr().err


def test_a_data_set_list_that_is_missing_is_named_and_made_again(run, parc, capsys):
    folder, made = run
    folder.iteration(1).dataset.unlink()
    with pytest.raises(SystemExit) as ended:
        main(["verify", RUN])
    assert ended.value.code == 65 and "iter_001/dataset.yaml: missing" in capsys.readouterr().out
    assert parc(RUN)[0] == 0 and nothing_made(folder)
    assert products(folder.path) == made


def test_a_source_is_read_once_by_all_starts_of_a_run(run, parc, home, monkeypatch):
    folder, _ = run
    clip, read = home / "clips" / "walk.npz", []
    unchanged = storage.digest_unchanged
    monkeypatch.setattr(storage, "digest_unchanged", lambda path: read.append(path.name) or unchanged(path))
    kept = folder.source_digests
    assert parc(RUN)[0] == 0 and clip.name not in read
    kept.write_text(kept.read_text()[:-9])  # damaged: it is made again
    assert parc(RUN)[0] == 0 and read.count(clip.name) == 1
    assert parc(RUN)[0] == 0 and read.count(clip.name) == 1
    spoiled = bytearray(clip.read_bytes())
    spoiled[-1] ^= 1
    clip.write_bytes(spoiled)
    assert parc(RUN)[0] == 0 and read.count(clip.name) == 2 and nothing_made(folder)
    assert "made with other settings: providers.source.settings.path" in folder.log.read_text()
