"""What a run writes for whoever looks at it: a log per stage, and metrics with times and settings."""

from __future__ import annotations

import json
import time

import attrs
import pytest

from parc_core.cli.main import main
from parc_core.interfaces import JobSpec, RunFolder
from parc_core.runner.stop import StopFlag
from parc_core.stages.marker import read_marker, write_marker
from parc_core.stages.record import read_record, write_record
from parc_core.stages.working_time import WorkingTime
from parc_motion.storage import read_json, write_json

RUN = "runs/quick"
STAGES = ["iter_001-p1_train_gen", "iter_001-p2_kin_gen", "iter_001-p3_tracker", "iter_001-p4_phys_record"]

SINKS = '''
import json
import attrs
from parc_core.config import setting
from parc_core.interfaces import MetricSink


@attrs.frozen(kw_only=True)
class NoSettings:
    pass


class OldSink(MetricSink):
    """Written before there was a job to know."""

    def __init__(self, config: NoSettings, *, folder):
        self.file = folder / "old.txt"

    def write(self, records):
        with self.file.open("a") as stream:
            stream.writelines(f"{one.step} {one.name} {one.value}\\n" for one in records)


class NewSink(MetricSink):
    def __init__(self, config: NoSettings, *, folder, job=None):
        plain = {**attrs.asdict(job), "folder": str(job.folder), "run_folder": str(job.run_folder)}
        (folder / "job.json").write_text(json.dumps(plain))

    def write(self, records):
        pass
'''


def metrics(folder, name):
    """(step, value, time) of a metric."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row["value"], row["time"]) for row in rows if row["name"] == name]


def interrupt_at(monkeypatch, folder, checkpoints):
    """The user asks to stop as soon as the training in a folder has written so many checkpoints."""
    monkeypatch.setattr(
        StopFlag, "__call__", lambda self: len(list(folder.glob("checkpoints/*"))) >= checkpoints
    )


def test_each_stage_has_a_log_and_the_run_has_all_of_them(parc, home):
    assert parc("quick.yaml")[0] == 0
    logs = {path.stem: path.read_text() for path in (home / RUN / "logs").iterdir()}
    assert sorted(logs) == ["inputs", *STAGES]
    everything = (home / RUN / "log.txt").read_text()
    for stage, name in zip(("train_gen", "kin_gen", "train_tracker", "phys_record"), STAGES, strict=True):
        lines = logs[name].splitlines()
        assert lines[0].endswith(f"iteration 1, {stage}: started")
        assert f"iteration 1, {stage}: finished  " in lines[-1]
        assert logs[name] in everything


def test_log_of_a_stage_goes_on_after_an_interruption_and_names_the_folder_that_stays(
    parc, home, monkeypatch
):
    more = ("--set", "train_gen.generator.epochs=4")
    with monkeypatch.context() as patch:
        interrupt_at(patch, home / RUN / "iter_001" / "p1_train_gen.partial", 2)
        assert parc("quick.yaml", *more)[0] == 130
    assert parc(RUN, "--set", "train_gen.generator.epochs=6")[0] == 0
    text = (home / RUN / "logs" / "iter_001-p1_train_gen.txt").read_text()
    ends = [
        line.partition("train_gen: ")[2].split()[0] for line in text.splitlines() if "train_gen: " in line
    ]
    assert ends == ["started", "stopped", "started", "finished"]
    lasting = f"{RUN}/iter_001/p1_train_gen continues with providers.generator.settings.epochs 4 -> 6."
    assert lasting in text and (home / RUN / "iter_001" / "p1_train_gen").is_dir()
    assert ".partial" not in (home / RUN / "log.txt").read_text()


def test_log_of_a_failed_stage_says_where(parc, home):
    code, _, err = parc("quick.yaml", "--set", "train_gen.generator.use=parc_testing.quick:BreakingGenerator")
    assert code != 0 and "Traceback" not in err
    text = (home / RUN / "logs" / "iter_001-p1_train_gen.txt").read_text()
    assert "iteration 1, train_gen: failed" in text and "Traceback" in text and "DataError: broken" in text
    assert not (home / RUN / "logs" / "iter_001-p2_kin_gen.txt").exists()


def test_lines_of_workers_say_whose_they_are(parc, home):
    trap = home / "trap"
    trap.mkdir()
    (trap / "err").touch()
    generator = f'{{use: "parc_testing.quick:TrappedGenerator", trap: {trap}}}'
    workers = ("--set", "executor.workers=2", "--set", f"train_gen.generator={generator}")
    assert parc("quick.yaml", *workers)[0] == 70
    text = (home / RUN / "logs" / "iter_001-p2_kin_gen.txt").read_text()
    for batch in (0, 1):
        line = f"parc_core.runner.outcome: iteration 1, kin_gen {batch}: ZeroDivisionError: "
        assert text.count(line) == 1
    assert (home / RUN / "log.txt").read_text().count("Traceback") >= 2


def test_a_single_job_has_a_log_of_its_own(parc, home, capsys):
    assert parc("quick.yaml", "--only", "train_gen")[0] == 0
    job = JobSpec(run=str(home / RUN), iteration=1, stage="kin_gen", part=1)
    write_json(home / "job.json", job.plain())
    with pytest.raises(SystemExit) as ended:
        main(["--debug", "job", "run", "job.json"])
    assert ended.value.code == 0, capsys.readouterr()
    assert RunFolder(home / RUN).stage_log("kin_gen", 1, 1) == home / RUN / "logs/iter_001-p2_kin_gen-1.txt"
    lines = (home / RUN / "logs" / "iter_001-p2_kin_gen-1.txt").read_text().splitlines()
    assert "iteration 1, kin_gen 1: started" in lines[0] and "kin_gen 1: finished" in lines[-1]
    assert "kin_gen 1" not in (home / RUN / "log.txt").read_text()


def test_a_job_of_a_stage_that_does_not_exist_is_refused(home, capsys):
    job = JobSpec(run=".", iteration=1, stage="../kin_gen", part=1)
    write_json(home / "job.json", job.plain())
    with pytest.raises(SystemExit) as ended:
        main(["job", "run", "job.json"])
    expected = (
        "job.json: stage is '../kin_gen', expected one of train_gen, kin_gen, train_tracker, phys_record.\n"
    )
    assert (ended.value.code, capsys.readouterr().err) == (65, expected)


def test_sinks_know_the_job_and_those_that_do_not_ask_work_as_before(parc, home):
    (home / "sinks.py").write_text(SINKS)
    chosen = '[jsonl, {use: "sinks.py:OldSink"}, {use: "sinks.py:NewSink"}]'
    assert parc("quick.yaml", "--set", f"metrics={chosen}", "--set", "seed=9")[0] == 0
    folder = home / RUN / "iter_001" / "p1_train_gen"
    (step, value, _), *_ = metrics(folder, "epoch")
    assert f"{step} epoch {value}\n" in (folder / "old.txt").read_text()
    job = read_json(folder / "job.json")
    assert (job["run"], job["iteration"], job["stage"]) == ("quick", 1, "train_gen")
    assert (job["name"], job["folder"]) == ("iter_001/p1_train_gen", str(folder))
    assert job["run_folder"] == str(home / RUN)
    assert job["settings"]["seed"] == 9 and job["settings"]["train_gen"]["generator"]["epochs"] == 1
    assert {"parc-core", "parc-terrain"} <= set(job["versions"])
    chunk = read_json(home / RUN / "iter_001" / "p4_phys_record" / "chunk_00000" / "job.json")
    assert chunk["name"] == "iter_001/p4_phys_record/chunk_00000"


def test_working_time_adds_up_over_interruptions_and_leaves_out_what_lies_between(parc, home, monkeypatch):
    begun = time.time()
    partial = home / RUN / "iter_001" / "p1_train_gen.partial"
    with monkeypatch.context() as patch:
        interrupt_at(patch, partial, 2)
        assert parc("quick.yaml", "--set", "train_gen.generator.epochs=4")[0] == 130
    marker = read_marker(partial)
    worked = marker["wall_s"]
    assert worked >= metrics(partial, "time/wall_s")[-1][1] > 0
    # as if it had worked for an hour, and the computer had been off since
    write_marker(partial, {**marker, "wall_s": worked + 3600.0, "since": -1e6})
    assert parc(RUN)[0] == 0
    folder = home / RUN / "iter_001" / "p1_train_gen"
    steps, seconds, times = zip(*metrics(folder, "time/wall_s"), strict=True)
    assert steps == (1, 2, 3, 4) and list(seconds) == sorted(seconds)
    assert seconds[1] <= worked and 3600.0 + worked < seconds[2] < 3700.0
    assert begun - 0.001 <= times[0] and list(times) == sorted(times) and times[-1] <= time.time()
    assert 3600.0 < read_json(folder / "DONE.json")["wall_s"] < 3700.0


def test_longer_training_counts_the_time_of_the_one_that_it_continues(parc, home):
    assert parc("quick.yaml", "--set", "train_gen.generator.epochs=2")[0] == 0
    folder = home / RUN / "iter_001" / "p1_train_gen"
    write_record(folder, attrs.evolve(read_record(folder), wall_s=500.0))
    assert parc(RUN, "--set", "train_gen.generator.epochs=3", "--redo", "train_gen")[0] == 0
    assert metrics(folder, "time/wall_s")[-1][1] > 500.0
    assert 500.0 < read_record(folder).wall_s < 600.0


def test_time_that_a_killed_attempt_has_worked_counts(tmp_path, monkeypatch):
    write_json(tmp_path / ".job.json", {"wall_s": 10.0})
    now = iter([100.0, 100.5, 104.0, 104.0, 500.0, 501.0])
    monkeypatch.setattr("parc_core.stages.working_time.time.monotonic", lambda: next(now))
    clock = WorkingTime.begin(tmp_path)  # at 100 s
    clock.keep_now_and_then()  # 0.5 s later: not yet
    assert read_json(tmp_path / ".job.json")["wall_s"] == 10.0
    clock.keep_now_and_then()  # 4 s later; then it is killed
    again = WorkingTime.begin(tmp_path)  # at 500 s
    assert again.seconds() == 15.0
