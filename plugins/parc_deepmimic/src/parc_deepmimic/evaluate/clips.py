"""The motions to evaluate on: files, folders, data sets and motion sources."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Sequence

import attrs

from parc_core.config import Use, load_settings, setting
from parc_core.interfaces import RunFolder, SeedStreams
from parc_core.plugins import Registry
from parc_motion.clips import MotionClip, MotionDataset, load_clip
from parc_motion.errors import DataError
from parc_motion.skeletons import Skeleton

__all__ = ["load_clips", "load_files"]

_NAME = re.compile(r"([\w.-]+:)?[a-z][a-z0-9_]*")


@attrs.frozen(kw_only=True)
class _Sources:
    """Motion sources as the command line names them."""

    dataset: tuple[Use, ...] = setting(kind="motion_source", help="Where the motions come from.")


def load_clips(
    given: Sequence[str], registry: Registry, skeleton: Skeleton, seed: int = 0
) -> list[MotionClip]:
    """The clips of all that is given, each with a class.

    Args:
        given: clip files, folders of them, manifests of data sets (`dataset.yaml`), names of motion sources
            (``procedural``) or their settings (``{use: procedural, classes: [walk]}``).
        seed: of motion sources; a run with this seed gets the same clips from them.

    Raises:
        DataError: there are no clips, or a clip is of another character.
    """
    clips: list[MotionClip] = []
    known = {item.provider.name for item in registry.providers("motion_source")}
    for text in given:
        path = pathlib.Path(text).expanduser()
        if text not in known and path.exists():
            clips += load_files(path)
        elif text.lstrip().startswith("{") or _NAME.fullmatch(text):
            clips += _from_source(text, registry, skeleton, seed)
        else:
            raise DataError(
                f"{text}: no such file or folder. Give a clip, a folder of clips, a data set's manifest, or a motion "
                f"source ({', '.join(sorted(known))})."
            )
    for clip in clips:
        clip.require_skeleton(skeleton.id, skeleton.num_joints)
    names = [clip.name for clip in clips]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"the data set holds {names.count(twice[0])} clips called '{twice[0]}'. Give folders whose names differ."
        )
    return clips


def load_files(path: pathlib.Path) -> list[MotionClip]:
    """The clips of a file, a manifest, or a folder; a clip without a class gets its folder's name.

    Raises:
        DataError: there are none.
    """
    if path.suffix in (".yaml", ".yml"):
        dataset = MotionDataset.load(path)
        pairs = zip(dataset, dataset.entries)
        return [attrs.evolve(clip, motion_class=entry.motion_class) for clip, entry in pairs]
    run = RunFolder(path)
    if run.exists:
        raise DataError(
            f"{path}: a run, which holds the same motions at several stages. Name one, e.g. "
            f"{run.iteration(1).dataset}."
        )
    files = [path] if path.is_file() else sorted(path.rglob("*.npz"))
    if not files:
        raise DataError(f"{path}: no clips (.npz) there. `parc data import` makes clips of other formats.")
    clips = [(file, load_clip(file)) for file in files]
    return [
        attrs.evolve(clip, motion_class=clip.motion_class or file.resolve().parent.name)
        for file, clip in clips
    ]


def _from_source(text: str, registry: Registry, skeleton: Skeleton, seed: int) -> list[MotionClip]:
    settings, _ = load_settings(f"dataset: [{text}]\n", "--dataset", _Sources, registry)
    clips = []
    for number, use in enumerate(settings.dataset):
        seeds = SeedStreams(seed).child("inputs", source=number)  # as a run makes them for its first source
        source = registry.create("motion_source", use, skeleton=skeleton, seeds=seeds)
        clips += list(source.clips())
    if not clips:
        raise DataError(f"--dataset {text}: the motion source has no clips. Check its settings.")
    return clips
