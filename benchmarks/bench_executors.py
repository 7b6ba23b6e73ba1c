"""Executors: what a job costs beside its work, and what a run costs that has many motions.

Jobs are batches of providers that take no time, so all that is measured is the run itself: starting workers, reading
settings, locks, files. Each command is a process of its own, as a user starts it, and so counts the import of PyTorch.

Run: ``python benchmarks/bench_executors.py [--jobs 24] [--motions 2000] [--executors local:1,ray] [--json]``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from measure import Figure, report

from parc_core.cli.main import main as parc
from parc_motion.clips import MotionDataset, save_clip
from parc_testing.builders import make_clip
from parc_testing.quick import ITERATION_FILE


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=24, help="batches per executor")
    parser.add_argument("--motions", type=int, default=2000, help="motions of the large run")
    parser.add_argument("--executors", default="local:1,local:2", help="names, local with its workers")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        _inputs()
        for name in options.executors.split(","):
            figures += _executor(name, options.jobs)
        for count in (options.motions // 2, options.motions):
            figures += _large(count)
    report(figures, options.json)


def _inputs() -> None:
    save_clip(pathlib.Path("clips/walk.npz"), make_clip(40, name="walk", speed=1.0, motion_class="walk"))
    pathlib.Path("quick.yaml").write_text(ITERATION_FILE)


def _executor(name: str, jobs: int) -> Iterator[Figure]:
    use, _, workers = name.partition(":")
    settings = [f"name={use}{workers}", f"executor.use={use}", f"kin_gen.batches={jobs}"]
    settings += [f"executor.workers={workers}"] if workers else []
    _run("quick.yaml", "--only", "train_gen", *_sets(settings))
    one = [*settings[:2], *settings[3:], "kin_gen.batches=2"]
    first = _measure(lambda: _run_alone(f"runs/{use}{workers}", "--only", "kin_gen", *_sets(one[2:])))
    more = ("--set", f"kin_gen.batches={jobs + 2}")
    rest = _measure(lambda: _run_alone(f"runs/{use}{workers}", "--only", "kin_gen", *more))
    wall, cpu = ((long - short) / (jobs - 2) for long, short in zip(rest, first))  # both start the workers
    yield Figure(name=f"{name}: parc run of two jobs, wall", value=first[0], unit="s")
    yield Figure(name=f"{name}: parc run of two jobs, CPU", value=first[1], unit="s")
    yield Figure(name=f"{name}: a further job, wall", value=wall, unit="s")
    yield Figure(name=f"{name}: a further job, CPU", value=cpu, unit="s")


def _large(count: int) -> Iterator[Figure]:
    """A whole run with many motions in batches of fifty, and how long later commands take to look at it."""
    name = f"large{count}"
    settings = [
        f"name={name}",
        "executor.workers=1",
        "kin_gen.motions_per_batch=50",
        f"kin_gen.batches={count // 50}",
    ]
    wall, cpu = _measure(lambda: _run("quick.yaml", *_sets(settings)))
    yield Figure(
        name=f"{count} motions: a whole iteration, per motion, CPU", value=1000 * cpu / count, unit="ms"
    )
    yield Figure(
        name=f"{count} motions: a whole iteration, per motion, wall", value=1000 * wall / count, unit="ms"
    )
    again = _measure(lambda: _run(f"runs/{name}"))
    yield Figure(name=f"{count} motions: parc run when all is finished, CPU", value=again[1], unit="s")
    plan = _measure(lambda: _run(f"runs/{name}", "--dry-run", "--iterations", "2"))
    yield Figure(name=f"{count} motions: --dry-run of the next iteration, CPU", value=plan[1], unit="s")
    dataset = pathlib.Path(f"runs/{name}/iter_002/dataset.yaml")
    loaded = _measure(lambda: MotionDataset.load(dataset))
    yield Figure(name=f"{count} motions: its data set is loaded, CPU", value=loaded[1], unit="s")
    size = sum(file.stat().st_size for file in pathlib.Path(f"runs/{name}").rglob("*") if file.is_file())
    yield Figure(name=f"{count} motions: bytes of the run, per motion", value=size / count, unit="B")


def _sets(settings: list[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def _run(*arguments: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            parc(["run", *arguments])
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(errors.getvalue()[-2000:]) from None


def _run_alone(*arguments: str) -> None:
    command = [sys.executable, "-m", "parc_core.cli.main", "run", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _measure(work: Callable[[], object]) -> tuple[float, float]:
    """Wall time and CPU time of this process and its children, s."""
    before = time.perf_counter(), _cpu()
    work()
    return time.perf_counter() - before[0], _cpu() - before[1]


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
