"""What a setting names as a stage's input: a generator, a policy or clips, by the path of whatever holds them."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Iterable

from parc_core.config import IterationConfig
from parc_core.interfaces import IterationFolder, RunFolder
from parc_core.stages.manifests import balance, clip_files, entries_of
from parc_core.stages.weighting import weighted
from parc_motion.clips import MotionDataset
from parc_motion.errors import DataError
from parc_motion.storage import MODEL

__all__ = ["given_clips", "given_generator", "given_policy"]


def given_generator(setting: str, path: str) -> pathlib.Path:
    """Folder of the generator at a path: of a run's last iteration, an iteration, a stage, a checkpoint, or itself.

    Args:
        setting: name of the setting, for errors.

    Raises:
        DataError: there is none.
    """
    return _model(
        setting, path, "generator.json", "generator", lambda one: [one.generator, one.path / "final_model"]
    )


def given_policy(setting: str, path: str) -> pathlib.Path:
    """Folder of the policy at a path: of a run's last iteration, an iteration, a stage, a checkpoint, or itself.

    Args:
        setting: name of the setting, for errors.

    Raises:
        DataError: there is none.
    """
    return _model(setting, path, "policy.json", "policy", lambda one: [one.policy, one.path / "policy"])


def given_clips(setting: str, path: str, origin: str, config: IterationConfig | None = None) -> MotionDataset:
    """The clips at a path, with the weights of their motion list, or with those of `weighted` where there is none.

    A path is a motion list (`.yaml`: a manifest, or the published form over clips), a run (the data set of its last
    iteration), an iteration (its data set), stage `kin_gen` (refined clips), stage `phys_record` (recorded clips), or a
    folder of clips.

    Args:
        setting: name of the setting, for errors.
        origin: of clips without a manifest that says it.
        config: how clips without a list are weighted; None balances classes.

    Raises:
        DataError: there is no clip.
    """
    place = pathlib.Path(path)
    if place.is_file():
        try:
            return MotionDataset.load(place)
        except DataError as err:
            raise type(err)(f"{setting}: {err}") from err
    if not place.is_dir():
        raise DataError(
            f"{setting}: {place} does not exist. Give a motion list, a run, an iteration, a stage or a folder."
        )
    if RunFolder(place).exists:
        manifests = [one.dataset for one in RunFolder(place).iterations() if one.dataset.is_file()]
    else:
        manifests = [file for file in (IterationFolder(place).dataset,) if file.is_file()]
    if manifests:
        return MotionDataset.load(manifests[-1])
    entries = [entry for folder in _clip_folders(place) for entry in entries_of(folder, origin)]
    if not entries:
        raise DataError(f"{setting}: there is no clip below {place}.")
    return MotionDataset(entries=tuple(balance(entries) if config is None else weighted(entries, config)))


def _model(
    setting: str,
    path: str,
    marker: str,
    what: str,
    inside: Callable[[IterationFolder], list[pathlib.Path]],
) -> pathlib.Path:
    place = pathlib.Path(path)
    iterations: Iterable[IterationFolder] = [IterationFolder(place)]
    if RunFolder(place).exists:
        iterations = reversed(RunFolder(place).iterations())
    for folder in (place, *(folder for one in iterations for folder in inside(one)), *_of_checkpoints(place)):
        if (folder / marker).is_file():
            return folder
    raise DataError(
        f"{setting}: there is no {what} at {place} ({marker} is missing). Give a run, an iteration, a stage, a "
        f"checkpoint, or the folder that holds {marker}."
    )


def _of_checkpoints(place: pathlib.Path) -> list[pathlib.Path]:
    """Models in a checkpoint, or in those of a training, the newest first, also while it goes on."""
    unfinished = place.with_name(f"{place.name}.partial")
    found = [place / MODEL]
    for folder in (place, place / "checkpoints", unfinished / "checkpoints"):
        steps = [path for path in folder.glob("*_*") if re.fullmatch(r".+_\d{10}", path.name)]
        found += [path / MODEL for path in sorted(steps, key=lambda path: path.name[-10:], reverse=True)]
    return found


def _clip_folders(place: pathlib.Path) -> list[pathlib.Path]:
    """The folders below a stage that have manifests, if they hold every clip of it; otherwise the folder itself."""
    found = sorted(file.parent for file in place.glob("*/clips.yaml"))
    covered = all(any(file.is_relative_to(one) for one in found) for file in clip_files(place))
    return found if found and covered else [place]
