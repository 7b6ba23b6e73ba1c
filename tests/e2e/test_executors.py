"""The tiny iteration, whose stages are all real, on every executor: what each makes is the same to the byte.

Each run takes about a minute, so only `make nightly` runs them. The executors' own
suites run there with providers that take no time.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import threading
import time

import pytest

from parc_core.cli.main import main
from parc_core.interfaces import RunFolder
from parc_motion.storage import digest_folder

TINY = pathlib.Path(__file__).parent / "tiny.yaml"
SIZE = ("--set", "kin_gen.batches=4", "--set", "phys_record.chunk=1")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("executors"),
    pytest.mark.nightly,
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the run in one process, `runs/serial`, and its beginning, `runs/trained`."""
    folder = tmp_path_factory.mktemp("executors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(TINY, "--only", "train_gen", "--set", "name=trained")
        run(TINY, "--set", "name=serial", "--set", "executor.workers=1")
    return folder


@pytest.fixture
def expected(home, monkeypatch):
    monkeypatch.chdir(home)
    found = results(home / "runs/serial")
    assert len([name for name in found if "p2_kin_gen" in name and name.endswith(".npz")]) >= 2
    assert len([name for name in found if "recorded_motions" in name]) >= 2
    return found


def run(*arguments):
    """Carry out a run; an iteration file is made larger, a run folder keeps its settings."""
    parc("run", *arguments, *(SIZE if arguments[0] == TINY else ()))


def parc(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in arguments])
    assert ended.value.code == 0, arguments


def results(folder):
    """SHA-256 of every clip and model by its name."""
    files = digest_folder(folder, skip=("cache/", "superseded/", "logs/", "locks/", "jobs/", "import"))
    return {name: file["sha256"] for name, file in files.items() if name.endswith((".npz", ".safetensors"))}


@pytest.mark.parametrize("workers", [2, 4])
def test_local_workers(home, expected, workers):
    name = f"local{workers}"
    run(TINY, "--set", f"name={name}", "--set", f"executor.workers={workers}", "--set", "threads=4")
    assert results(home / "runs" / name) == expected


def test_ray_with_two_nodes_one_of_which_is_lost(home, expected, capsys):
    ray = pytest.importorskip("ray", reason="pip install 'parc-ray[ray]'")
    from ray.cluster_utils import Cluster

    nodes = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**nodes, "include_dashboard": False})
    try:
        node = cluster.add_node(**nodes)
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        raylet = node.all_processes["raylet"][0].process.pid
        remover = threading.Thread(target=remove_at_work, args=(cluster, node, raylet))
        remover.start()
        run(TINY, "--set", "name=ray", "--set", "executor={use: ray}")
        remover.join()
        assert cluster.worker_nodes == set()
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert "its worker died" in capsys.readouterr().err
    assert results(home / "runs/ray") == expected


def remove_at_work(cluster, node, raylet):
    """Remove the node as soon as a job has been at work there for a moment."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        shown = subprocess.run(["ps", "-ewwo", "pid=,ppid=,args="], capture_output=True, text=True).stdout
        rows = [line.split(None, 2) for line in shown.splitlines()]
        parents = {row[0]: row[1] for row in rows}
        jobs = [row[0] for row in rows if "job run" in row[2] and "/parc-ray-" in row[2]]
        if any(parents.get(parents[job]) == str(raylet) for job in jobs):
            time.sleep(3.0)
            cluster.remove_node(node, allow_graceful=False)
            return
        time.sleep(0.1)


def test_a_real_slurm(home, expected, tmp_path, monkeypatch):
    slurm = pytest.importorskip("parc_testing.slurm")
    if slurm.missing():
        pytest.skip(slurm.missing())
    cluster = slurm.Cluster(tmp_path)
    try:
        monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
        run(TINY, "--set", "name=slurm", "--set", "executor={use: slurm, poll_s: 0.5}")
    finally:
        cluster.stop()
    assert results(home / "runs/slurm") == expected


def test_two_copies_of_a_run_that_are_merged(home, expected):
    """Each copy makes two batches; after the merge and the tracker, two chunks travel as exported jobs."""
    first, second = home / "runs/copy1", home / "runs/copy2"
    shutil.copytree(home / "runs/trained", first)
    shutil.copytree(first, second)
    for copy, batch in ((first, 0), (second, 1), (first, 2), (second, 3)):
        run(copy, "--only", "kin_gen", "--batch", batch)
    parc("job", "import", first, second)
    run(first, "--only", "train_tracker")
    for chunk in (1, 3):
        job = home / f"chunk_{chunk}.zip"
        parc("job", "export", first, "--stage", "phys_record", "--part", chunk, "-o", job)
        parc("job", "run", job)
        parc("job", "import", first, job.with_suffix(".result.zip"))
    parts = RunFolder(first).iteration(1).path / "p4_phys_record.partial" / ".parts"
    assert sorted(path.name for path in parts.iterdir() if path.is_dir()) == ["chunk_00001", "chunk_00003"]
    run(first)
    assert results(first) == expected
