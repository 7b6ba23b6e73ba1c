"""Five minutes of work: memory does not grow, files are closed, nothing is left in the temporary folder."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

E2E = pathlib.Path(__file__).parents[1] / "e2e"
TINY = E2E / "tiny.yaml"
SECONDS = 300.0
EVERY_S = 1.0
TORCH = "torchinductor_"  # an empty folder that torch makes when it is imported
MOST_MB = 5.0  # of growth over the last 80 % of the time

pytestmark = [pytest.mark.nightly, pytest.mark.slow]

WORK = {
    # two short paths per iteration: one that no motion follows to its end does not end the run
    "iterations": [
        str(E2E / "smallest.yaml"), "--iterations", "100",
        "--set", "kin_gen.batches=2", "--set", "kin_gen.planner.min_start_end_xy_dist=1.5",
    ],
    "train_gen": [str(TINY), "--only", "train_gen", "--set", "train_gen.generator.epochs=100000"],
    "train_tracker": [
        str(TINY), "--only", "train_tracker",
        "--set", "train_tracker.generated_weight=0",
        "--set", "train_tracker.agent.max_samples=100000000",
    ],
}  # fmt: skip


@pytest.mark.parametrize("what", WORK)
def test_memory_and_files_stay_as_they_are(home, what, measured):
    (home / "tmp").mkdir()
    environ = {**os.environ, "TMPDIR": str(home / "tmp"), "OMP_NUM_THREADS": "1"}
    if what == "train_tracker":  # it needs the data set alone
        _parc(home, environ, str(TINY), "--only", "train_gen").wait(timeout=300)
    process = _parc(home, environ, *WORK[what])
    if what == "iterations":  # after the first ones, what is imported, compiled or allocated once is there
        _wait_for(home / "runs" / "smallest" / "iter_006", process)
    samples = []
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        time.sleep(EVERY_S)
        assert process.poll() is None, (home / "out.txt").read_text()
        samples.append((time.monotonic(), _megabytes(process.pid), _open_files(process.pid)))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143, (home / "out.txt").read_text()
    last = np.array(samples[len(samples) // 5 :])
    slope = np.polyfit(last[:, 0], last[:, 1], 1)[0] * (last[-1, 0] - last[0, 0])
    files = [int(np.median(part)) for part in np.array_split(last[:, 2], 4)]
    if (
        what == "iterations"
    ):  # each takes memory and gives it back: what stays is the least in an eighth of the time
        parts = np.array_split(last, 8)
        times, least = [part[:, 0].mean() for part in parts], [part[:, 1].min() for part in parts]
        slope = np.polyfit(times, least, 1)[0] * (last[-1, 0] - last[0, 0])
        files = [int(part[:, 2].min()) for part in parts]
    measured(
        f"five minutes of {what}",
        f"{slope:+.1f} MB over the last 80 %, at most {last[:, 1].max():.0f} MB; open files {files}",
    )
    assert slope < MOST_MB and files[-1] <= files[0]
    left = [path for path in (home / "tmp").rglob("*") if not path.name.startswith(TORCH)]
    assert left == []


def _wait_for(folder: pathlib.Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + SECONDS
    while not folder.exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(EVERY_S)


def _parc(home: pathlib.Path, environ: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    with (home / "out.txt").open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "parc_core.cli.main", "run", *arguments],
            cwd=home,
            env=environ,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )


def _megabytes(pid: int) -> float:
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _open_files(pid: int) -> int:
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
