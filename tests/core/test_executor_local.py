"""Executor `local`, in this process and with workers."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from parc_core.runner import local
from parc_core.runner.local import LocalConfig, LocalExecutor
from parc_core.stages import fork_server
from parc_testing.contracts.executor import ExecutorContract, WorkersContract


class TestInThisProcess(ExecutorContract):
    @pytest.fixture
    def make(self):
        return lambda: LocalExecutor(LocalConfig(workers=1))


class TestTwoWorkers(WorkersContract):
    batches = 3

    @pytest.fixture
    def make(self):
        return lambda: LocalExecutor(LocalConfig(workers=2, retries=1))

    def test_worker_that_makes_no_progress_is_replaced(self, bench):
        expected = bench.serial()
        bench.make = lambda: LocalExecutor(LocalConfig(workers=2, stall_timeout_s=5.0))
        bench.lay("hang-once")
        assert set(bench.run().values()) == {"finished"}
        assert bench.digests() == expected

    def test_worker_that_gives_no_sign_of_life_is_replaced(self, bench, monkeypatch):
        monkeypatch.setattr(local, "_SILENT_S", 6.0)
        expected = bench.serial()
        threading.Thread(target=_stop_one_worker, daemon=True).start()
        assert set(bench.run().values()) == {"finished"}
        assert bench.digests() == expected

    def test_no_worker_outlives_the_run(self, bench):
        bench.run()
        assert _workers() == []


def test_one_process_runs_nothing_ahead_of_its_caller():
    ran = []

    class Context:
        def should_stop(self):
            return False

        def run_here(self, job):
            ran.append(job)

    results = LocalExecutor(LocalConfig(workers=1)).run(["a", "b"], Context())
    next(results)
    assert ran == ["a"]


def test_workers_end_with_the_process_that_started_them(tmp_path):
    code = (
        "import sys, time\nfrom parc_core.runner.local import _Worker\n"
        "worker = _Worker()\nprint(worker.process.pid, flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 20
    while _is_alive(worker) and time.monotonic() < until:
        time.sleep(0.1)
    assert not _is_alive(worker)


def _is_alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _workers():
    server = fork_server._running()
    shown = subprocess.run(
        ["ps", "-o", "pid=,stat=", "--ppid", str(server.process.pid)], capture_output=True, text=True
    )
    processes = [line.split() for line in shown.stdout.splitlines()]
    return [int(pid) for pid, state in processes if state[0] not in "ZX"]


def _stop_one_worker():
    until = time.monotonic() + 60
    while time.monotonic() < until:
        workers = _workers()
        if workers:
            os.kill(workers[0], signal.SIGSTOP)
            return
        time.sleep(0.05)
