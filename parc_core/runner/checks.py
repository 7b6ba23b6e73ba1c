"""What is checked before a run begins, so that an iteration that is days away does not end for it."""

from __future__ import annotations

import glob
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from parc_core.config import STAGES, Use, key_of
from parc_core.errors import ConfigError
from parc_core.stages import kin_gen, phys_record, train_gen, train_tracker
from parc_core.stages.context import RunContext
from parc_core.stages.job import read_record

__all__ = ["check_files"]


def check_files(runs: Sequence[RunContext], only: str | None = None) -> None:
    """Nothing, if the files that providers of unfinished stages read are there.

    Files inside the run folder may be made by the run itself. Motion sources are not looked at: they are read first of
    all. Models and clips that a stage is given are not either: another run may make them meanwhile.

    Args:
        runs: the iterations that will run; what is in their `gone` is made again.
        only: the stage that will run, None for all.

    Raises:
        ConfigError: a file is missing; the text names the iteration and the setting.
    """
    for run in runs:
        for stage in STAGES if only is None else (only,):
            missing = None if _is_finished(run, stage) else _first_missing(run, stage)
            if missing is not None:
                key, path = missing
                raise ConfigError(
                    f"{key}: {path} does not exist (looked from {pathlib.Path.cwd()}), and iteration {run.iteration} "
                    "needs it. Correct the path, or put the file there."
                )


def _is_finished(run: RunContext, stage: str) -> bool:
    folders = {
        train_gen.STAGE: run.folder.train_gen,
        kin_gen.STAGE: run.folder.kin_gen,
        train_tracker.STAGE: run.folder.train_tracker,
        phys_record.STAGE: run.folder.phys_record,
    }
    if folders[stage] in run.gone:
        return False
    jobs = kin_gen.batch_folders(run) if stage == kin_gen.STAGE else [folders[stage]]
    return all(read_record(job) is not None for job in jobs)


def _first_missing(run: RunContext, stage: str) -> tuple[str, str] | None:
    settings = getattr(run.config, stage)
    inside = run.run_folder.path.resolve()
    for key, path in _paths_of_providers(settings, stage):
        place = pathlib.Path(path).expanduser()
        exists = place.exists() or bool(glob.glob(str(place), recursive=True))
        if path and not exists and not place.resolve().is_relative_to(inside):
            return key, path
    return None


def _paths_of_providers(value: Any, key: str, inside: bool = False) -> Iterator[tuple[str, str]]:
    """Key and path of every setting that names files, of providers and of those inside their settings."""
    if isinstance(value, Use):
        yield from _paths_of_providers(value.config, key, True)
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _paths_of_providers(one, f"{key}.{name}", inside)
    elif isinstance(value, (tuple, list)):
        for number, one in enumerate(value):
            yield from _paths_of_providers(one, f"{key}.{number}", inside)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            inner, where = getattr(value, field.name), f"{key}.{key_of(field)}"
            if not field.metadata.get("path"):
                yield from _paths_of_providers(inner, where, inside)
            elif inside:
                paths = inner if isinstance(inner, (tuple, list)) else (inner,)
                yield from ((where, str(path)) for path in paths if path is not None)
