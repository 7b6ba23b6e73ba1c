"""Signals and kills during a whole iteration: how soon it ends, how, and that it goes on to the same clips."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from parc_motion.storage import digest_file
from parc_testing.levels import at_level
from parc_testing.runs import heed_hangup

pytestmark = pytest.mark.xdist_group("iteration")  # beside the test that makes the undisturbed run
TINY = pathlib.Path(__file__).parent / "tiny.yaml"
STAGES = ("inputs", "train_gen", "kin_gen", "train_tracker", "phys_record")
CODES = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGKILL: -9}
FIRST_S, SECOND_S = 5.0, 1.0
# at every change: stage, seconds after its start, signals
FEW = [
    ("train_gen", 0.7, [signal.SIGKILL]),
    ("kin_gen", 1.0, [signal.SIGHUP]),
    ("train_tracker", 1.5, [signal.SIGTERM, signal.SIGTERM]),
    ("phys_record", 0.7, [signal.SIGKILL]),
    ("phys_record", 1.0, [signal.SIGINT]),
]


def clip_digests(run: pathlib.Path) -> dict[str, str]:
    return {path.relative_to(run).as_posix(): digest_file(path) for path in sorted(run.rglob("*.npz"))}


def points() -> Iterator[list[tuple[str, float, list[signal.Signals]]]]:
    """For each run, in order, where it is disturbed."""
    yield FEW
    rng, ends = random.Random(0), list(CODES)
    for _ in range(at_level(pr=0, nightly=20)):
        yield [
            (stage, rng.uniform(0.0, 4.0), [rng.choice(ends[:3])] * rng.choice((1, 1, 2)))
            for stage in STAGES[1:]
        ]
        yield [(stage, rng.uniform(0.0, 4.0), [signal.SIGKILL]) for stage in STAGES[1:]]


def disturb(folder: pathlib.Path, stage: str, delay: float, signals: list[signal.Signals]) -> float | None:
    """Start the run and signal it after the stage has begun; s until it ended, None where it was faster."""
    run = folder / "runs" / "tiny"
    command = [sys.executable, "-m", "parc_core.cli.main", "run", str(TINY)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_hangup,
    )
    events = run / "events.jsonl"
    seen = events.stat().st_size if events.exists() else 0
    begun = f'"event": "started", "stage": "{stage}"'
    while begun not in (events.read_bytes()[seen:].decode() if events.exists() else ""):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    time.sleep(delay)
    process.send_signal(signals[0])
    if len(signals) > 1:
        time.sleep(0.3)
        process.send_signal(signals[1])
    sent = time.monotonic()
    errors = process.communicate(timeout=60)[1]
    took = time.monotonic() - sent
    if process.returncode == 0:
        return None
    assert process.returncode == CODES[signals[0]], errors
    assert "Traceback" not in errors and "internal error" not in errors, errors
    return took


def test_disturbed_in_every_stage_it_goes_on_to_the_same_clips(finished, tmp_path, measured):
    whole, _ = finished
    slowest, counts = {1: 0.0, 2: 0.0}, {1: 0, 2: 0}
    for number, disturbances in enumerate(points()):
        folder = tmp_path / f"run_{number}"
        folder.mkdir()
        for stage, delay, signals in disturbances:
            took = disturb(folder, stage, delay, signals)
            if took is None:
                continue
            if signals == [signal.SIGKILL]:
                continue
            many = len(signals)
            print(f"{stage} after {delay:.1f} s, {signals}: {took:.2f} s")
            slowest[many], counts[many] = max(slowest[many], took), counts[many] + 1
        last = subprocess.run(
            [sys.executable, "-m", "parc_core.cli.main", "run", str(TINY)], cwd=folder, capture_output=True
        )
        assert last.returncode == 0, last.stderr
        run = folder / "runs" / "tiny"
        assert clip_digests(run) == clip_digests(whole)
        assert not list(run.rglob("*.partial")) and not list(run.rglob(".*.tmp-*"))
    measured("first signal", f"ends after at most {slowest[1]:.1f} s ({counts[1]} signals)")
    measured("second signal", f"ends after at most {slowest[2]:.1f} s ({counts[2]} signals)")
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # others that work on this machine
    assert slowest[1] <= FIRST_S * busy and slowest[2] <= SECOND_S * busy
    assert counts[1] >= 1
