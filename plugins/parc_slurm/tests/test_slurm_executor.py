"""Executor `slurm` on a real Slurm of one node; skipped where Slurm is not installed."""

from __future__ import annotations

import pathlib
import threading
import time

import pytest

from parc_core.cli.main import main
from parc_core.errors import ConfigError, ProviderUnavailable
from parc_motion.clips import save_clip
from parc_motion.storage import digest_folder
from parc_slurm.config import SlurmConfig
from parc_slurm.executor import SlurmExecutor
from parc_testing.builders import make_clip
from parc_testing.contracts.executor import WorkersContract
from parc_testing.quick import ITERATION_FILE
from parc_testing.slurm import Cluster, missing

pytestmark = [pytest.mark.xdist_group("slurm"), pytest.mark.skipif(bool(missing()), reason=missing() or "-")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    one = Cluster(tmp_path_factory.mktemp("slurm"))
    yield one
    one.stop()


@pytest.fixture(autouse=True)
def here(cluster, monkeypatch):
    """Commands of this process are about that cluster."""
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    return cluster


def executor(**override) -> SlurmExecutor:
    return SlurmExecutor(SlurmConfig(**{"poll_s": 0.5, "retries": 1, **override}))


class TestSlurm(WorkersContract):
    batches = 3

    @pytest.fixture
    def make(self):
        return executor

    def test_arrays_are_split(self, bench):
        bench.make = lambda: executor(max_array=2)
        assert set(bench.run().values()) == {"finished"}
        assert not list((bench.folder / "quick" / "jobs").iterdir())

    def test_task_that_is_killed_from_outside_is_submitted_again(self, bench, here):
        expected = bench.serial()
        bench.lay("hang-once")
        killed = []

        def kill_what_hangs():
            until = time.monotonic() + 60
            while not list((bench.folder / "trap").glob(".hang-*")) and time.monotonic() < until:
                time.sleep(0.2)
            killed.extend(here.call("squeue", "-h", "-r", "-t", "RUNNING", "-o", "%F_%K").split())
            here.call("scancel", "--signal=KILL", "--full", *killed)

        watcher = threading.Thread(target=kill_what_hangs)
        watcher.start()
        states = bench.run()
        watcher.join()
        assert killed and set(states.values()) == {"finished"}
        assert any("died" in text and "submitted again" in text for text in bench.messages)
        assert bench.digests() == expected

    def test_lost_job_names_task_state_and_last_words(self, bench):
        bench.make = lambda: executor(retries=0)
        bench.lay("kill")
        assert bench.run(bench.jobs[:1]) == {0: "lost"}
        text = bench.results[0].error
        assert "Slurm's task" in text and "state " in text and "it wrote last: " in text

    def test_jobs_that_slurm_refuses_are_one_clear_error(self, bench):
        bench.make = lambda: executor(partition="nowhere")
        with pytest.raises(ConfigError, match=r"sbatch refused the jobs: .*partition.*Correct the settings"):
            bench.run()


def test_time_limit_costs_no_try(here, tmp_path, monkeypatch):
    """A job that needs longer than its time limit is told to stop, and goes on in another task."""
    monkeypatch.chdir(tmp_path)
    begin(tmp_path)
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / "wait").touch()  # six seconds for each motion
    trapped = f'"parc_testing.quick:TrappedGenerator", trap: {tmp_path}/trap'
    text = (tmp_path / "quick.yaml").read_text().replace('"parc_testing.quick:QuickGenerator"', trapped)
    (tmp_path / "slow.yaml").write_text(text)
    assert parc("slow.yaml", "--only", "train_gen") == 0
    settings = ["kin_gen.batches=1", "kin_gen.motions_per_batch=4", "executor.use=slurm", "executor.poll_s=1"]
    settings += ["executor.time_limit=1", "executor.stop_s=45", "executor.retries=0"]
    assert parc("runs/quick", "--only", "kin_gen", settings=settings) == 0
    log = (tmp_path / "runs/quick/log.txt").read_text()
    assert log.count("submitted 1 jobs to Slurm") >= 2
    assert sorted(
        path.stem for path in (tmp_path / "runs/quick/iter_001/p2_kin_gen/motions_0_3").glob("*.npz")
    ) == [f"motions_{k}_0_opt" for k in range(4)]


def test_run_on_slurm_equals_one_process(here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begin(tmp_path)
    size = ["kin_gen.batches=6", "phys_record.chunk=4"]
    assert parc("quick.yaml", settings=[*size, "name=serial"]) == 0
    assert parc("quick.yaml", settings=[*size, "executor.use=slurm", "executor.poll_s=0.5"]) == 0
    made = [results(tmp_path / "runs" / name) for name in ("serial", "quick")]
    assert made[0] == made[1] and len(made[0]) > 24


def test_missing_commands_are_one_clear_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProviderUnavailable, match="sbatch, squeue, scancel, scontrol cannot be found"):
        executor()


def begin(folder: pathlib.Path) -> None:
    save_clip(folder / "clips" / "walk.npz", make_clip(40, name="walk", speed=1.0, motion_class="walk"))
    (folder / "quick.yaml").write_text(ITERATION_FILE)


def parc(*arguments: str, settings: list[str] | None = None) -> int:
    options = [word for one in settings or [] for word in ("--set", one)]
    with pytest.raises(SystemExit) as ended:
        main(["run", *arguments, *options])
    return ended.value.code


def results(run: pathlib.Path) -> dict[str, str]:
    files = digest_folder(run, skip=("cache/", "logs/", "locks/", "jobs/"))
    return {name: one["sha256"] for name, one in files.items() if name.endswith((".npz", ".safetensors"))}
