"""What a run folder holds, for tests that compare runs; and the processes of a run."""

from __future__ import annotations

import contextlib
import pathlib
import signal

from parc_core.interfaces import RunFolder
from parc_core.runner.records import finished_jobs

__all__ = ["descendants", "heed_hangup", "is_running", "left_behind", "products"]


def products(folder: pathlib.Path) -> dict[str, str]:
    """SHA-256 of every output of every finished job of a run; metrics tell times, and do not count.

    Raises:
        AssertionError: a record or an output is damaged.
    """
    found: dict[str, str] = {}
    for job in finished_jobs(RunFolder(folder)):
        assert job.record is not None, job.damage
        problems = [job.record.problem(job.folder, name) for name in job.record.files]
        assert problems == [None] * len(problems), problems
        found |= {
            f"{job.name}/{name}": file["sha256"]
            for name, file in job.record.files.items()
            if not name.endswith("metrics.jsonl")
        }
    return found


def left_behind(folder: pathlib.Path) -> list[str]:
    """What dead processes left in a run folder; after a run there is nothing."""
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if ".tmp-" in path.name or ".partial" in path.name or path.name.endswith((".lease", ".job.json"))
    ]


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and those that they have started."""
    parents: dict[int, int] = {}
    for file in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def heed_hangup() -> None:
    """For `preexec_fn` of a process: SIGHUP counts, also where the tests run under nohup, which has it ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def is_running(pid: int) -> bool:
    """Whether a process has not ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
