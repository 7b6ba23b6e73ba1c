"""Executor `ray` on a cluster of two nodes of one CPU each, and on the Ray that it starts by itself."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from parc_core.cli.main import main
from parc_core.errors import ConfigError
from parc_core.interfaces import ExecutorContext
from parc_motion.clips import save_clip
from parc_motion.storage import digest_folder
from parc_ray.config import RayConfig
from parc_ray.executor import RayExecutor
from parc_testing.builders import make_clip
from parc_testing.contracts.executor import WorkersContract
from parc_testing.quick import ITERATION_FILE

ray = pytest.importorskip("ray", reason="pip install 'parc-ray[ray]'")
pytestmark = pytest.mark.xdist_group("ray")
SIZE = ("--set", "kin_gen.batches=6", "--set", "phys_record.chunk=4")


@pytest.fixture(scope="module")
def cluster():
    """Two nodes, each with its own daemon, on this machine."""
    from ray.cluster_utils import Cluster

    before = os.environ.get("RAY_USAGE_STATS_ENABLED")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    nodes = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**nodes, "include_dashboard": False})
    cluster.add_node(**nodes)
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    if before is None:
        del os.environ["RAY_USAGE_STATS_ENABLED"]


@pytest.mark.usefixtures("cluster")
class TestRay(WorkersContract):
    batches = 3

    @pytest.fixture
    def make(self):
        return lambda: RayExecutor(RayConfig(retries=1))

    def test_process_without_progress_is_replaced(self, bench):
        bench.make = lambda: RayExecutor(RayConfig(retries=1, stall_timeout_s=12.0))
        bench.lay("hang-once")
        assert bench.run(bench.jobs[:1]) == {0: "finished"}
        assert bench.messages == [
            "iteration 1, kin_gen 0: its worker died: it made no progress for 12 s (executor.stall_timeout_s). The job "
            "is tried again."
        ]

    def test_nodes_of_another_version_are_refused(self, bench, monkeypatch):
        monkeypatch.setattr("parc_core.__version__", "9.9.9")
        assert bench.run(bench.jobs[:1]) == {0: "failed"}
        assert "has parc-core 0.1.0, this run has 9.9.9. Install the same" in bench.results[0].error

    def test_jobs_that_travel_give_the_same(self, bench):
        expected, before = bench.serial(), _folders()
        bench.make = lambda: RayExecutor(RayConfig(retries=1, shared_folder=False))
        bench.lay("kill-once")
        assert set(bench.run().values()) == {"finished"}
        assert "signal 9 (SIGKILL)" in bench.messages[0]
        assert bench.digests() == expected
        assert _folders() == before

    def test_caller_that_leaves_leaves_no_process_behind(self, bench, monkeypatch):
        before = _folders()
        bench.lay("hang")
        monkeypatch.setattr(bench, "updates", _Leaving())
        with pytest.raises(KeyboardInterrupt):
            bench.run()
        assert _until(lambda: not _jobs() and _folders() == before)

    def test_more_than_any_node_has_is_told_and_waited_for(self, bench):
        looks = iter([False, False, True])
        ctx = ExecutorContext(
            run_here=None,
            update=None,
            message=bench.messages.append,
            should_stop=lambda: next(looks),
            pack=None,
            unpack=None,
        )
        text = "executor: no node of Ray has what a job reserves (CPU 64). Nodes: CPU 1; CPU 1."
        results = dict(RayExecutor(RayConfig(address="auto", cpus=64)).run(bench.jobs[:1], ctx))
        assert [result.state for result in results.values()] == ["stopped"]
        assert bench.messages == [f"{text} The jobs wait for a node that joins."]
        with pytest.raises(ConfigError) as caught:  # no node joins a Ray that the run has started by itself
            next(RayExecutor(RayConfig(cpus=64)).run(bench.jobs[:1], ctx))
        assert str(caught.value).startswith(text)


class _Leaving(list):
    """The user leaves as soon as the process of a job is there."""

    def append(self, update):
        assert _until(_jobs)
        raise KeyboardInterrupt


def _folders():
    """Folders of jobs on the nodes; another test may have left some of a node that it killed."""
    return set(pathlib.Path(tempfile.gettempdir()).glob("parc-ray-*"))


def _until(condition, seconds=60.0):
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return bool(condition())


def _jobs(raylet=None):
    """Processes of jobs that Ray started: on all nodes, or on that of a raylet, whose children are Ray's workers."""
    shown = subprocess.run(["ps", "-ewwo", "pid=,ppid=,args="], capture_output=True, text=True).stdout
    parents, jobs = {}, []
    for line in shown.splitlines():
        pid, parent, command = line.split(None, 2)
        parents[int(pid)] = int(parent)
        if "job run" in command and "/parc-ray-" in command:
            jobs.append(int(pid))
    return [job for job in jobs if raylet in (None, parents.get(parents[job]))]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with an iteration file and its clip, the current directory."""
    (tmp_path / "clips").mkdir()
    save_clip(tmp_path / "clips" / "walk.npz", make_clip(40, name="walk", speed=1.0, motion_class="walk"))
    (tmp_path / "quick.yaml").write_text(ITERATION_FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parc(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["run", *arguments])
    return ended.value.code


def results(folder):
    """Digest of every clip and model of a run by its name."""
    files = digest_folder(folder, skip=("cache/", "superseded/", "logs/", "locks/", "import"))
    return {name: file["sha256"] for name, file in files.items() if name.endswith((".npz", ".safetensors"))}


def test_node_that_is_lost_costs_nothing_but_time(home, cluster, capsys):
    assert parc("quick.yaml", *SIZE, "--set", "name=serial") == 0
    expected = results(home / "runs/serial")
    assert sum("recorded_motions" in name for name in expected) == 12
    capsys.readouterr()
    (node,) = cluster.worker_nodes
    remover = threading.Thread(target=_remove_when_it_has_a_job, args=(cluster, node))
    remover.start()
    code = parc("quick.yaml", *SIZE, "--set", "executor={use: ray}")
    remover.join()
    shown = capsys.readouterr().err
    assert (code, cluster.worker_nodes) == (0, set()), shown
    assert "its worker died" in shown
    assert results(home / "runs/quick") == expected


def _remove_when_it_has_a_job(cluster, node):
    raylet = node.all_processes["raylet"][0].process.pid
    if _until(lambda: _jobs(raylet)):
        cluster.remove_node(node, allow_graceful=False)


def test_ray_that_the_run_starts_by_itself(home):
    """Both stages of a run, jobs that travel, nothing of Ray on the screen, and nothing left of it afterwards."""
    assert parc("quick.yaml", "--set", "name=serial") == 0
    command = [sys.executable, "-m", "parc_core.cli.main", "run", "quick.yaml", "--set", "threads=2"]
    command += ["--set", "executor={use: ray, shared_folder: false}"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environ)
    assert done.returncode == 0, done.stderr
    assert results(home / "runs/quick") == results(home / "runs/serial")
    strange = [line for line in done.stderr.splitlines() if not line[:8].replace(":", "").isdigit()]
    assert strange == []


def test_sigterm_stops_at_a_safe_point_and_the_run_goes_on(home):
    command = [sys.executable, "-m", "parc_core.cli.main", "run", "quick.yaml", "--set", "threads=1"]
    run = subprocess.Popen(
        [*command, "--set", "executor={use: ray}"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert _until(_jobs)
    run.send_signal(signal.SIGTERM)
    shown = run.communicate(timeout=100)[1]
    assert run.returncode == 143, shown
    assert "stopped; continue with: parc run" in shown
    assert _jobs() == []
    assert parc("runs/quick", "--set", "executor={use: local, workers: 1}") == 0


def test_cluster_that_does_not_answer_is_one_clear_error():
    code = (
        "from parc_ray.cluster import connect\nfrom parc_ray.config import RayConfig\n"
        "from parc_core.errors import ConfigError\n"
        "try: connect(RayConfig(address='127.0.0.1:1'), 2)\n"
        "except ConfigError as err: print(err)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.stdout.startswith("executor.address: 127.0.0.1:1: no connection to Ray: "), done.stderr
