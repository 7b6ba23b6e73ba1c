"""What is checked before a run begins, so that an iteration that is days away does not end for it."""

from __future__ import annotations

import glob
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from parc_core.config import STAGES, IterationConfig, Use, key_of
from parc_core.errors import ConfigError
from parc_core.plugins import Registry
from parc_core.runner.plan import ALL
from parc_core.stages import inputs, kin_gen, phys_record, train_gen, train_tracker
from parc_core.stages.context import RunContext
from parc_core.stages.given import given_clips, given_generator, given_policy
from parc_core.stages.manifests import balance, clip_files
from parc_core.stages.record import read_record
from parc_motion.errors import DataError

__all__ = ["check_choice", "check_files", "check_processes", "check_redo"]

_OF_FIRST = ("input_model_path", "in_model_file")  # later iterations take the model of the iteration before


def check_files(runs: Sequence[RunContext], only: str | None = None) -> None:
    """Nothing, if the files that providers of unfinished stages read are there.

    So are the models and clips that settings name, and that a stage would otherwise miss after days. Files inside the
    run folder may be made by the run itself. Motion sources are not looked at: they are read first of all.

    Args:
        runs: the iterations that will run; what is in their `gone` is made again.
        only: the stage that will run, None for all.

    Raises:
        ConfigError: a file is missing; the text names the iteration and the setting.
        DataError: there is no model or clip at a path, or two clips there have the same name.
    """
    for run in runs:
        for stage in STAGES if only is None else (only,):
            if _is_finished(run, stage):
                continue
            _check_given(run, stage)
            missing = _first_missing(run, stage)
            if missing is not None:
                key, path = missing
                raise ConfigError(
                    f"{key}: {path} does not exist (looked from {pathlib.Path.cwd()}), and iteration {run.iteration} "
                    "needs it. Correct the path, or put the file there."
                )


def check_processes(
    config: IterationConfig, registry: Registry, only: str | None, world_size: int, device: str | None
) -> None:
    """Refuse what no training could begin with, and processes of torchrun that would have nothing to do."""
    trainings = {train_gen.STAGE: train_gen.check, train_tracker.STAGE: train_tracker.check}
    wanted = [stage for stage in trainings if only in (None, stage)]
    if world_size > 1 and not wanted:
        raise ConfigError(
            f"--only {only} trains nothing, but torchrun has started {world_size} processes. Start it without torchrun."
        )
    for stage in wanted:
        trainings[stage](config, registry, device, world_size)


def check_choice(
    only: str | None,
    iteration: int | None,
    batch: int | None,
    config: IterationConfig,
    redo: str | None = None,
) -> None:
    """Refuse a stage, iteration or batch that there is not.

    Raises:
        ConfigError: the text says which there are.
    """
    if only is not None and only not in STAGES:
        raise ConfigError(f"--only {only}: no such stage. Stages: {', '.join(STAGES)}.")
    if iteration is not None:
        if only is None and redo is None:
            raise ConfigError(
                "--iteration chooses the iteration of one stage; give --only STAGE or --redo STAGE with it."
            )
        if not 1 <= iteration <= config.iterations:
            raise ConfigError(
                f"--iteration {iteration}: the run has iterations 1..{config.iterations}. To give it more, add "
                f"--iterations {max(iteration, 1)}."
            )
    if batch is None:
        return
    if only != kin_gen.STAGE:
        raise ConfigError("--batch chooses a batch of kin_gen; give --only kin_gen with it.")
    number = config.iterations if iteration is None else iteration
    batches = config.at(number).kin_gen.batches
    if not 0 <= batch < batches:
        raise ConfigError(f"--batch {batch}: kin_gen has batches 0..{batches - 1}.")


def check_redo(redo: str | None) -> None:
    """Refuse to make something again that there is not."""
    choices = (inputs.STAGE, *STAGES, ALL)
    if redo is not None and redo not in choices:
        raise ConfigError(f"--redo {redo}: no such stage. Give one of {', '.join(choices)}.")


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


def _check_given(run: RunContext, stage: str) -> None:
    """Passes if the models and clips that a stage is given are there."""
    settings = getattr(run.config, stage)
    for name, find in _GIVEN[stage].items():
        path = getattr(settings, name)
        if path is None or (name in _OF_FIRST and run.iteration > 1):
            continue
        if not pathlib.Path(path).expanduser().resolve().is_relative_to(run.run_folder.path.resolve()):
            find(f"{stage}.{name}", path)


def _clips(setting: str, path: str) -> None:
    """Passes if there are clips at a path, of different names as far as manifests tell; clips are not opened."""
    place = pathlib.Path(path)
    if place.is_dir() and not any(place.rglob("*.yaml")):
        if not clip_files(place):
            raise DataError(f"{setting}: there is no clip below {place}.")
        return
    balance(given_clips(setting, path, "input").entries)


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


_GIVEN: dict[str, dict[str, Callable[[str, str], object]]] = {  # how each setting is looked for
    train_gen.STAGE: {"input_model_path": given_generator, "dataset": _clips},
    kin_gen.STAGE: {"generator_path": given_generator},
    train_tracker.STAGE: {"in_model_file": given_policy, "dataset": _clips},
    phys_record.STAGE: {"dataset": _clips, "policy": given_policy},
}
