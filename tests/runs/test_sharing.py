"""Several processes and machines on one run, and jobs that travel."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from parc_core.cli.main import main
from parc_core.interfaces import JobSpec, RunFolder
from parc_core.stages.record import read_record
from parc_motion.storage import Lease, digest_folder
from parc_testing.levels import at_level
from parc_testing.runs import descendants

RUN = "runs/quick"
SIZE = ("--set", "kin_gen.batches=6", "--set", "phys_record.chunk=4")


def results(folder):
    """Digest of every clip and model of a run by its name."""
    files = digest_folder(folder, skip=("cache/", "superseded/", "logs/", "locks/", "import"))
    return {
        name: file["sha256"]
        for name, file in files.items()
        if name.endswith((".npz", ".safetensors")) or (name.endswith("report.json") and "/p4" in name)
    }


@pytest.fixture
def expected(parc, home):
    """What one undisturbed process makes."""
    assert parc("quick.yaml", *SIZE, "--set", "name=serial")[0] == 0
    found = results(home / "runs/serial")
    assert sum(name.endswith("_opt.npz") for name in found) == 12
    assert sum("recorded_motions" in name and name.endswith("_dm.npz") for name in found) == 12
    return found


def start(*arguments, cwd="."):
    command = [sys.executable, "-m", "parc_core.cli.main", *arguments]
    return subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_make_what_one_process_makes(parc, home, expected, workers):
    assert parc("quick.yaml", *SIZE, "--set", f"executor.workers={workers}")[0] == 0
    assert results(home / RUN) == expected


def test_three_processes_share_a_run(home, expected):
    processes = [start("run", "quick.yaml", *SIZE) for _ in range(3)]
    shown = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], shown
    assert results(home / RUN) == expected
    assert not any(path.name.endswith(".lease") for path in (home / RUN / "locks").iterdir())


def test_explicit_batch_that_another_process_has_is_refused(parc, home):
    assert parc("quick.yaml", "--only", "train_gen")[0] == 0
    with Lease(home / RUN / "locks", "p2_kin_gen-motions_2_3"):
        code, _, err = parc("quick.yaml", "--only", "kin_gen", "--batch", "1")
        assert (code, "works on it" in err) == (75, True)
        assert parc("quick.yaml", "--only", "kin_gen", "--batch", "0")[0] == 0
    assert parc("quick.yaml", "--only", "kin_gen", "--batch", "1")[0] == 0


def test_settings_stay_while_another_process_works(parc, home, monkeypatch):
    monkeypatch.setattr("parc_core.runner.settings._ORPHANS_END_S", 0.5)
    assert parc("quick.yaml", "--only", "train_gen")[0] == 0
    text = (home / RUN / "config.yaml").read_text()
    waits = "import pathlib, sys, time\nfrom parc_motion.storage import Lease\n"
    waits += "with Lease(pathlib.Path(sys.argv[1]), 'p2_kin_gen-motions_0_1'):\n print(flush=True)\n time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", waits, RUN + "/locks"], stdout=subprocess.PIPE)
    other.stdout.readline()
    try:
        for change in (("--set", "kin_gen.candidates=3"), ("--redo", "train_gen"), ("--iterations", "2")):
            code, _, err = parc(RUN, *change)
            assert (code, f"process {other.pid}" in err) == (75, True), err
        assert (home / RUN / "config.yaml").read_text() == text
    finally:
        other.kill()
        other.wait()
    assert parc(RUN, "--set", "kin_gen.candidates=3")[0] == 0


def test_job_of_a_dead_machine_is_taken_over(parc, home):
    assert parc("quick.yaml", "--only", "train_gen")[0] == 0
    locks = home / RUN / "locks"
    lease = locks / "p2_kin_gen-motions_0_1.1.lease"
    owner = {"host": "far", "machine": "far", "pid": 1, "started": "1", "command": "parc", "token": "x"}
    lease.write_text(json.dumps(owner))
    os.utime(lease, (time.time() - 600,) * 2)
    assert parc(RUN)[0] == 0
    assert not lease.exists()


def test_jobs_travel_to_machines_without_the_folder(parc, home, expected):
    assert parc("quick.yaml", *SIZE, "--only", "train_gen")[0] == 0
    for part in range(6):
        assert (
            call("job", "export", RUN, "--stage", "kin_gen", "--part", str(part), "-o", f"g{part}.zip") == 0
        )
        assert call("job", "run", f"g{part}.zip") == 0
    assert call("job", "import", RUN, *(f"g{part}.result.zip" for part in range(6))) == 0
    assert parc(RUN, "--only", "kin_gen")[0] == 0
    assert parc(RUN, "--only", "train_tracker")[0] == 0
    for part in range(3):
        assert (
            call("job", "export", RUN, "--stage", "phys_record", "--part", str(part), "-o", f"r{part}.zip")
            == 0
        )
    hidden = home / "elsewhere"
    hidden.mkdir()
    (home / RUN).rename(hidden / "quick")  # nothing of it is within reach of the jobs
    for part in range(3):
        assert call("job", "run", f"r{part}.zip") == 0
    (hidden / "quick").rename(home / RUN)
    assert call("job", "import", RUN, *(f"r{part}.result.zip" for part in range(3))) == 0
    assert parc(RUN)[0] == 0
    assert results(home / RUN) == expected


def test_two_copies_of_a_run_are_merged(parc, home, expected):
    assert parc("quick.yaml", *SIZE, "--only", "train_gen")[0] == 0
    shutil.copytree(home / RUN, home / "copy")
    for batch in range(6):
        where = RUN if batch % 2 else "copy"
        assert parc(where, "--only", "kin_gen", "--batch", str(batch))[0] == 0
    assert call("job", "import", RUN, "copy") == 0
    assert parc(RUN)[0] == 0
    assert results(home / RUN) == expected


def test_result_of_other_settings_or_damaged_is_refused(parc, home, capsys):
    assert parc("quick.yaml", "--only", "train_gen")[0] == 0
    shutil.copytree(home / RUN, home / "copy")
    assert parc("copy", "--only", "kin_gen", "--batch", "0", "--set", "kin_gen.candidates=3")[0] == 0
    assert call("job", "import", RUN, "copy") == 65
    assert "candidates 3 -> 2" in capsys.readouterr().err
    assert parc("copy", "--set", "kin_gen.candidates=2", "--only", "kin_gen", "--batch", "1")[0] == 0
    clip = next((home / "copy/iter_001/p2_kin_gen/motions_2_3").glob("*.npz"))
    clip.write_bytes(clip.read_bytes()[:-1] + b"x")
    shutil.rmtree(home / "copy/iter_001/p2_kin_gen/motions_0_1")
    assert call("job", "import", RUN, "copy") == 65
    assert "differs from what DONE.json says" in capsys.readouterr().err
    assert not list((home / RUN / "iter_001").glob("p2_kin_gen/motions*"))


def test_archive_that_names_files_outside_is_not_unpacked(parc, home, capsys):
    import zipfile

    with zipfile.ZipFile("evil.zip", "w") as archive:
        archive.writestr("../outside.txt", "x")
    assert call("job", "run", "evil.zip") == 65
    assert "outside of itself" in capsys.readouterr().err
    assert not (home / "outside.txt").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("[]", "not a job"), ("{", "not a JSON file"), ('{"format": 1, "run": 1}', "not a job")],
)
def test_file_that_holds_no_job_is_one_clear_error(home, capsys, text, reason):
    (home / "job.json").write_text(text)
    assert call("job", "run", "job.json") == 65
    assert reason in capsys.readouterr().err


def job_with_lines(file):
    command = [sys.executable, "-m", "parc_core.cli.main", "job", "run", file, "--json-lines"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_job_tells_a_program_what_it_does(parc, home):
    assert parc("quick.yaml", "--only", "train_gen")[0] == 0
    job = JobSpec(run=RUN, iteration=1, stage="kin_gen", part=0, ids=(0, 2))
    (home / "job.json").write_text(json.dumps(job.plain()))
    with job_with_lines("job.json") as process:
        lines = [json.loads(line) for line in process.stdout]
        assert process.wait(timeout=60) == 0
    assert {kind for line in lines for kind in line} == {"alive", "log", "update", "result"}
    assert lines[-1] == {"result": {"state": "finished", "error": "", "exit_code": 0}}
    (home / "job.json").write_text("[]")
    with job_with_lines("job.json") as process:
        *_, last = process.stdout
        assert process.wait(timeout=60) == 65
    assert "not a job" in json.loads(last)["result"]["error"]


def test_job_ends_with_the_program_that_started_it(parc, home):
    assert parc("quick.yaml", "--only", "train_gen")[0] == 0
    job = JobSpec(run=RUN, iteration=1, stage="kin_gen", part=0, ids=(0, 2))
    (home / "job.json").write_text(json.dumps(job.plain()))
    with job_with_lines("job.json") as process:
        assert json.loads(process.stdout.readline()) == {"alive": True}
        process.stdin.close()
        assert b"result" not in process.stdout.read()
        assert process.wait(timeout=60) == 0
    assert parc(RUN)[0] == 0


def test_killed_workers_cost_nothing_but_time(home, expected):
    """Workers, and the server that forks them, are killed at random moments until the run is done."""
    kills = at_level(pr=3, nightly=20)
    rng, killed = random.Random(5), 0
    run = start(
        "run", "quick.yaml", *SIZE, "--set", "executor.workers=2", "--set", f"executor.retries={kills}"
    )
    try:
        while run.poll() is None:
            time.sleep(rng.uniform(0.05, 0.4))
            workers = descendants(run.pid)
            if workers and killed < kills:
                os.kill(rng.choice(workers), signal.SIGKILL)
                killed += 1
        assert run.returncode == 0, run.stderr.read()
    finally:
        run.kill()
    assert killed == kills
    assert results(home / RUN) == expected
    iteration = RunFolder(home / RUN).iteration(1)
    assert all(read_record(batch) for batch in iteration.batches())
