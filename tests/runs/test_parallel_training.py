"""A training in two processes: started by `parc run` or torchrun, stopped, failed, and orphaned."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import pytest

from parc_core.errors import ConfigError, StageFailed
from parc_core.runner.run import run_file
from parc_motion.errors import DataError

PROVIDERS = pathlib.Path(__file__).with_name("parallel_generator.py")
# the mean of 0..9 is 4.5; five steps of 0.2 of the way to it
VALUE = 4.5 * (1.0 - 0.8**5)
TORCHRUN = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


class Collected:
    """A reporter that keeps what it is told."""

    def __init__(self):
        self.updates = []

    def message(self, stage, text):
        pass

    def update(self, stage, done, total, note):
        self.updates.append((stage, done, total, note))


def iteration_file(folder: pathlib.Path, name: str = "OneNumber") -> pathlib.Path:
    path = folder / "parallel.yaml"
    path.write_text(
        f"""
parc: 1
name: parallel
output: {folder}
device: cpu
dataset:
  - {{use: procedural, classes: [walk]}}
train_gen: {{processes: 2, generator: {{use: "{PROVIDERS}:{name}"}}}}
"""
    )
    return path


def train(path: pathlib.Path, *overrides: str, reporter: Collected | None = None) -> None:
    run_file(path, overrides=overrides, only="train_gen", reporter=reporter or Collected())


def start(path: pathlib.Path, *words: str) -> subprocess.Popen:
    command = [
        *(words or (sys.executable, "-m")),
        "parc_core.cli.main",
        "run",
        str(path),
        "--only",
        "train_gen",
    ]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def stage_folder(path: pathlib.Path, *, partial: bool = False) -> pathlib.Path:
    return path.parent / "parallel" / "iter_001" / ("p1_train_gen.partial" if partial else "p1_train_gen")


def learned(path: pathlib.Path) -> float:
    return json.loads((stage_folder(path) / "final_model" / "generator.json").read_text())["fields"]["value"]


def steps_of(path: pathlib.Path) -> list[int]:
    lines = (stage_folder(path) / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [row["step"] for row in rows if row["name"] == "train_gen/loss/value"]


def pids_at_work(path: pathlib.Path) -> list[int]:
    """Process ids of both processes, once they train."""
    deadline = time.monotonic() + 60.0
    files = [stage_folder(path, partial=True) / f"pid_{rank}.txt" for rank in (0, 1)]
    while not all(file.is_file() for file in files):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [int(file.read_text()) for file in files]


def is_alive(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def listening(pids: list[int]) -> set[str]:
    """Addresses at which processes listen, as the kernel writes them: 127.0.0.1 is 0100007F."""
    sockets = set()
    for pid in pids:
        for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                sockets.add(os.readlink(link).removeprefix("socket:[").removesuffix("]"))
    tables = [pathlib.Path(f"/proc/{pids[0]}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in sockets}


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 20.0
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, f"left behind: {pids}"
        time.sleep(0.05)


@pytest.mark.slow
def test_two_processes_train_one_generator_and_report_once(tmp_path):
    path, reporter = iteration_file(tmp_path), Collected()
    train(path, reporter=reporter)
    assert learned(path) == pytest.approx(VALUE)
    assert steps_of(path) == [0, 1, 2, 3, 4]
    updates = [update for update in reporter.updates if update[0] == "train_gen"]
    assert updates == [("train_gen", step, 5, "learning") for step in range(1, 6)]


@pytest.mark.slow
@pytest.mark.parametrize(("fails", "how"), [("exits", "exit code 9"), ("is killed", "signal SIGKILL")])
def test_process_that_ends_stops_the_others_and_is_named(tmp_path, fails, how):
    path = iteration_file(tmp_path)
    with pytest.raises(StageFailed) as caught:
        train(path, f"train_gen.generator.fails={fails}")
    said = "the GPU has fallen off the bus" if fails == "exits" else "nothing"
    assert str(caught.value) == (
        f"train_gen: process 1 of 2 has ended with {how}. The others were stopped; checkpoints remain, and the same "
        f"command continues. Its last lines:\n  {said}"
    )
    folder = stage_folder(path, partial=True)
    wait_until_gone([int((folder / f"pid_{rank}.txt").read_text()) for rank in (0, 1)])


@pytest.mark.slow
def test_error_of_a_process_is_that_of_the_stage(tmp_path):
    with pytest.raises(DataError) as caught:
        train(iteration_file(tmp_path), "train_gen.generator.fails=raises")
    assert str(caught.value) == "clip 7 is damaged. Remove it."


@pytest.mark.slow
def test_stopped_training_goes_on_in_one_process(tmp_path):
    path = iteration_file(tmp_path)
    path.write_text(path.read_text().replace('"}}', '", step_s: 0.5}}'))
    run = start(path)
    pids_at_work(path)
    run.send_signal(signal.SIGTERM)
    printed = run.communicate(timeout=60)[0]
    assert run.returncode == 143, printed
    assert (stage_folder(path, partial=True) / "checkpoints").is_dir()
    train(path, "train_gen.processes=1", "train_gen.generator.step_s=0.5")
    assert learned(path) == pytest.approx(VALUE)
    assert steps_of(path) == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_no_process_outlives_the_one_that_started_it_or_listens_to_others(tmp_path):
    path = iteration_file(tmp_path)
    path.write_text(path.read_text().replace('"}}', '", fails: hangs}}'))
    run = start(path)
    pids = pids_at_work(path)
    assert listening([run.pid, *pids]) <= {
        "0100007F",
        "0000000000000000FFFF00000100007F",
        f"{0:024X}01000000",
    }
    run.kill()
    run.communicate(timeout=60)
    wait_until_gone(pids)


@pytest.mark.slow
def test_torchrun_trains_and_only_its_main_process_writes(tmp_path):
    path = iteration_file(tmp_path)
    run = start(
        path, sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"
    )
    printed = run.communicate(timeout=100)[0]
    assert run.returncode == 0, printed
    assert learned(path) == pytest.approx(VALUE)
    assert steps_of(path) == [0, 1, 2, 3, 4]
    events = [json.loads(line) for line in (tmp_path / "parallel" / "events.jsonl").read_text().splitlines()]
    assert [(event["event"], event["stage"]) for event in events] == [
        ("started", "inputs"),
        ("finished", "inputs"),
        ("started", "train_gen"),
        ("finished", "train_gen"),
    ]


@pytest.mark.slow
def test_two_processes_train_one_tracker_in_mujoco(tmp_path):
    path = iteration_file(tmp_path)
    settings = {
        "processes": 2,
        "generated_weight": 0,
        "env.preset": "cpu",
        "simulator.num_envs": 8,
        "agent.preset": "cpu",
        "agent.max_samples": 512,
        "agent.eval_every_iters": 0,
        "agent.normalizer_warmup_steps": 0,
        "agent.model.actor_net": "mlp_16",
        "agent.model.critic_net": "mlp_16",
    }
    overrides = tuple(f"train_tracker.{name}={value}" for name, value in settings.items())
    run_file(path, overrides=overrides, only="train_tracker", reporter=Collected())
    folder = path.parent / "parallel" / "iter_001" / "p3_tracker"
    summary = json.loads((folder / "DONE.json").read_text())["summary"]
    assert summary["in"] == 3 and summary["num_samples"] == 512
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert len(evaluation["motions"]) == 3 and evaluation["success_rate"] == summary["success_rate"]
    policy = json.loads((folder / "policy" / "policy.json").read_text())["fields"]
    assert policy["extra"]["trained_in"]["agent"]["max_samples"] == 512


def test_generator_for_one_process_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError) as caught:
        train(iteration_file(tmp_path, "InOneProcess"))
    assert str(caught.value) == (
        f"train_gen: generator '{PROVIDERS}:InOneProcess' trains in one process only, but 2 are to train together. Set "
        "train_gen.processes to 1 and start without torchrun, or choose another generator."
    )
    assert not (tmp_path / "parallel").exists()


def test_number_of_processes_must_be_that_of_torchrun(tmp_path, monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        train(iteration_file(tmp_path), "train_gen.processes=3")
    assert str(caught.value) == (
        "train_gen.processes is 3, but torchrun has started 2 processes. Leave the setting out, or start without "
        "torchrun."
    )
    with pytest.raises(ConfigError) as caught:
        run_file(iteration_file(tmp_path), only="kin_gen", reporter=Collected())
    assert str(caught.value) == (
        "--only kin_gen trains nothing, but torchrun has started 2 processes. Start it without torchrun."
    )


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (
            ["train_tracker.processes=3"],
            "train_tracker.simulator.num_envs is 256, which 3 processes cannot divide evenly. Choose a multiple of "
            "their number.",
        ),
        (
            ["train_tracker.processes=2", "train_tracker.agent.use=mpc"],
            f"train_tracker: agent 'mpc' of parc-mpc {version('parc-mpc')} trains in one process only, but 2 are to "
            "train together. Set train_tracker.processes to 1 and start without torchrun, or choose another agent.",
        ),
        (
            ["train_tracker.processes=2", "device=cuda:1"],
            "train_tracker: device is 'cuda:1', but 2 processes need a GPU each. Set device: cuda, or choose GPUs with "
            "the environment variable CUDA_VISIBLE_DEVICES.",
        ),
        (
            ["train_tracker.processes=2", "device=cuda"],
            "train_tracker.processes is 2, but torch sees 1 CUDA device(s), and every process needs its own. Lower it, "
            "or set device: cpu.",
        ),
    ],
    ids=["environments", "agent", "one GPU", "too few GPUs"],
)
def test_tracker_that_cannot_train_in_these_processes_is_refused(tmp_path, monkeypatch, overrides, text):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2 if "device=cuda:1" in overrides else 1)
    with pytest.raises(ConfigError) as caught:
        run_file(
            iteration_file(tmp_path), overrides=tuple(overrides), only="train_tracker", reporter=Collected()
        )
    assert str(caught.value) == text
    assert not (tmp_path / "parallel").exists()
