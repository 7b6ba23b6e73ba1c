"""`parc verify`: which files of a run are whole, damaged or missing, and by which command they are made again."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from parc_core.config import check_kept, read_text
from parc_core.errors import ConfigError
from parc_core.interfaces import RunFolder
from parc_core.runner.records import FinishedJob, finished_jobs
from parc_core.stages.manifests import kept_dataset
from parc_core.stages.marker import read_marker
from parc_core.stages.places import PARTIAL, PARTS
from parc_motion import storage
from parc_motion.clips import MotionDataset
from parc_motion.errors import ParcError

__all__ = ["verify"]


def verify(
    path: pathlib.Path, progress: Callable[[int, str], None] = lambda done, name: None
) -> dict[str, Any]:
    """Compare every file that the work of a run reads with what was recorded when it was written.

    Args:
        path: a run folder.
        progress: told how many files are done, and the name of the job at which it is.

    Returns:
        ``{"folder", "files", "damaged", "jobs": [{"name", "state", "files", "problems": [...], "command"}]}``; states
        are "whole", "begun" and "damaged", which includes missing files; ``files`` counts files that were read.

    Raises:
        ConfigError: it is not a run folder.
    """
    run = RunFolder(path)
    if not run.exists:
        raise ConfigError(f"{path}: not a run folder (config.yaml is missing).")
    rows = [_settings(run)]
    for job in finished_jobs(run):
        progress(sum(row["files"] for row in rows), job.name)
        rows.append(_finished(run, job))
    rows += _data_sets(run, {row["name"] for row in rows if row["problems"]})
    rows += _begun(run)
    damaged = sum(len(row["problems"]) for row in rows)
    return {"folder": str(path), "files": sum(row["files"] for row in rows), "damaged": damaged, "jobs": rows}


def _row(name: str, state: str, files: int, problems: list[str], command: str = "") -> dict[str, Any]:
    state = "damaged" if problems else state
    return {
        "name": name,
        "state": state,
        "files": files,
        "problems": problems,
        "command": command if problems else "",
    }


def _settings(run: RunFolder) -> dict[str, Any]:
    problems = []
    try:
        check_kept(read_text(run.config), str(run.config))
    except ParcError as err:
        problems.append(str(err))
    return _row(
        "config.yaml", "whole", 1, problems, f"parc run {run.path}  (after its first line was removed)"
    )


def _finished(run: RunFolder, job: FinishedJob) -> dict[str, Any]:
    command = _command(run, job)
    if job.record is None:
        return _row(job.name, "damaged", 1, [job.damage], command)
    found = (job.record.problem(job.folder, name) for name in job.record.files)
    problems = [text for text in found if text is not None]
    return _row(job.name, "whole", 1 + len(job.record.files), problems, command)


def _command(run: RunFolder, job: FinishedJob) -> str:
    """What makes a finished job again."""
    if job.iteration == 0:
        return f"parc run {run.path} --redo inputs"
    # the data set of the next iteration is there before anything is made of it
    last = max(one.number for one in run.iterations() if any(path.is_dir() for path in one.path.iterdir()))
    if job.iteration < last:
        return (
            f"parc run {run.path} --redo all  (later iterations build on it; better restore it from a copy)"
        )
    return f"parc run {run.path} --redo {job.stage} --iteration {job.iteration}"


def _data_sets(run: RunFolder, damaged: set[str]) -> Iterator[dict[str, Any]]:
    """The lists of data sets, each compared with what the record of its iteration's generator says."""
    for iteration in run.iterations():
        name = iteration.dataset.relative_to(run.path).as_posix()
        if iteration.dataset.is_file():
            if iteration.train_gen.relative_to(run.path).as_posix() in damaged:
                problems = _problems(MotionDataset.load, iteration.dataset)
            else:
                problems = _problems(kept_dataset, iteration)
            command = f"parc run {run.path}  (after the file was moved away)"
            yield _row(name, "whole", 1, problems, command)
        elif iteration.train_gen.is_dir():
            yield _row(name, "damaged", 0, [f"{iteration.dataset}: missing."], f"parc run {run.path}")


def _begun(run: RunFolder) -> Iterator[dict[str, Any]]:
    """Folders at work, and the checkpoints in them."""
    for iteration in run.iterations():
        found = [*iteration.path.glob(f"*{PARTIAL}"), *iteration.kin_gen.glob(f"*{PARTIAL}")]
        found += iteration.path.glob(f"*{PARTIAL}/{PARTS}/*{PARTIAL}")
        for folder in sorted(found):
            problems, files = _problems(read_marker, folder), 1
            for place in sorted(folder.glob("checkpoints/*_*")):
                stem, _, step = place.name.rpartition("_")
                if step.isdigit():
                    files += 1
                    store = storage.CheckpointStore(folder=place.parent, stem=stem)
                    problems += _problems(store.load, int(step))
            name = folder.relative_to(run.path).as_posix()
            yield _row(
                name, "begun", files, problems, f"parc run {run.path}  (after {folder} was moved away)"
            )


def _problems(check: Callable[..., object], *arguments: Any) -> list[str]:
    try:
        check(*arguments)
    except ParcError as err:
        return [str(err)]
    return []
