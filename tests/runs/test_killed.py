"""Runs of two iterations with two workers, killed at random moments: all continue, to identical products."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import signal
import sys
import time

import attrs

from parc_core.cli.main import main
from parc_testing.levels import at_level
from parc_testing.runs import descendants, is_running, left_behind, products

KILLS = at_level(pr=30, nightly=300)
SIZE = ("--iterations", "2", "--set", "executor.workers=2", "--set", "phys_record.chunk=3")
RETRIES = ("--set", "executor.retries=50")
MOST_STARTS = 4  # of one run before that which is left in peace


def test_killed_runs_continue_to_identical_products(home, measured):
    expected, duration = _undisturbed(home)
    rng, killed, runs, places = random.Random(11), 0, 0, set()
    while killed < KILLS:
        name = f"run{runs}"
        runs += 1
        for _ in range(rng.randint(1, MOST_STARTS)):
            process = _start(home, name)
            while process.poll() is None and killed < KILLS:
                time.sleep(rng.uniform(0.1, 0.6 * duration))
                victims = [process.pid, *descendants(process.pid)]
                if process.poll() is not None:
                    break
                # the run itself as often as one of its workers or the server that forks them, after which it goes on
                victim = process.pid if rng.random() < 0.5 else rng.choice(victims)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    killed += 1
                places.add("run" if victim == process.pid else "worker")
                if victim == process.pid:
                    process.wait(timeout=10)
                    _wait_for_orphans(victims)
            if process.code != -signal.SIGKILL:  # nobody killed the run itself: it has come to its end
                assert process.wait(timeout=120) == 0, (home / "out.txt").read_text()
                break
        process = _start(home, name)
        assert process.wait(timeout=120) == 0, (home / "out.txt").read_text()
        folder = home / "runs" / name
        assert products(folder) == expected, (name, killed)
        assert left_behind(folder) == [] and not (folder / "superseded").exists()
        assert "Traceback" not in (home / "out.txt").read_text()
    assert places == {"run", "worker"}
    measured(
        "SIGKILL",
        f"{killed} kills of {runs} runs of two iterations with two workers: all resumed, all identical",
    )


def _undisturbed(home: pathlib.Path) -> tuple[dict[str, str], float]:
    """Its products, and how long it takes, s."""
    started = time.monotonic()
    assert _start(home, "undisturbed").wait(timeout=120) == 0, (home / "out.txt").read_text()
    return products(home / "runs" / "undisturbed"), time.monotonic() - started


@attrs.define
class _Run:
    """`parc run` in a fork of this process, which has imported everything already."""

    pid: int
    code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self, timeout: float) -> int:
        until = time.monotonic() + timeout
        while self.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        return self.code


def _start(home: pathlib.Path, name: str) -> _Run:
    pid = os.fork()
    if pid:
        return _Run(pid)
    code = 1
    try:
        os.setsid()
        stream = (home / "out.txt").open("w")
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        sys.stdout = sys.stderr = stream
        main(["run", "quick.yaml", *SIZE, *RETRIES, "--set", f"name={name}"])
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        os._exit(code)


def _wait_for_orphans(pids: list[int]) -> None:
    """They end on their own."""
    until = time.monotonic() + 10.0
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < until, "a worker outlives its run"
        time.sleep(0.05)
