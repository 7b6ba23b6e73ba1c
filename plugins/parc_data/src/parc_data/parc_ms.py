"""Motion source for the motion-terrain files of the published system; `formats.parc_ms` reads the files."""

from __future__ import annotations

import glob
import logging
import pathlib
from collections.abc import Iterator

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.interfaces import MotionSource, SeedStreams
from parc_data.formats.fields import naming
from parc_data.formats.parc_ms import read_file
from parc_motion.clips import MotionClip, Provenance
from parc_motion.errors import DataError
from parc_motion.skeletons import Skeleton

__all__ = ["PublishedConfig", "PublishedSource", "read_published"]

log = logging.getLogger(__name__)

_DEFAULT_CLASS = "parkour"


@attrs.frozen(kw_only=True)
class PublishedConfig:
    """Settings of `parc_ms`."""

    path: str = setting(
        path=True, help="A .pkl file, a folder (searched recursively) or a glob pattern; ~ is expanded."
    )
    cut_s: tuple[float, float] | None = setting(
        None,
        unit="s",
        ge=0,
        le=10000,
        help="Keep only this time window of every motion; the clip name states it.",
    )
    motion_class: str | None = setting(
        None,
        help="Class of every clip; if left out, the name of the folder, or 'parkour' for a file or pattern.",
    )


class PublishedSource(MotionSource):
    """Clips of published motion-terrain files; the file's stem is the clip's name."""

    def __init__(self, config: PublishedConfig, *, skeleton: Skeleton, seeds: SeedStreams) -> None:
        self.config = config
        self.skeleton = skeleton

    def clips(self) -> Iterator[MotionClip]:
        """The clips, files sorted by path."""
        seen: dict[str, pathlib.Path] = {}
        for file in _files(self.config.path):
            if file.stem in seen:
                raise DataError(
                    f"{file}: another file, {seen[file.stem]}, gives a clip of the same name '{file.stem}'. Rename one."
                )
            seen[file.stem] = file
            clip = read_published(file, self.skeleton, self._class_of(file))
            yield clip if self.config.cut_s is None else _cut(clip, self.config.cut_s, file)

    def _class_of(self, file: pathlib.Path) -> str:
        if self.config.motion_class is not None:
            return self.config.motion_class
        return file.parent.name if pathlib.Path(self.config.path).expanduser().is_dir() else _DEFAULT_CLASS


def read_published(file: pathlib.Path, skeleton: Skeleton, motion_class: str) -> MotionClip:
    """The clip in a published motion-terrain file.

    Raises:
        DataError: the file is damaged, hostile or not of that kind, has no terrain, or belongs to another character.
    """
    stored = read_file(file)
    for warning in stored.warnings:
        log.warning("%s: %s", file, warning)
    contacts = stored.contacts
    if contacts is None:
        log.warning("%s: has no contact labels; every contact is 0", file)
        contacts = np.zeros((len(stored.root_pos), skeleton.num_bodies))
    with naming(file):
        if stored.terrain is None:
            raise DataError("it has no terrain (terrain_data is empty). Clips need the ground they move on.")
        clip = MotionClip(
            name=file.stem,
            root_pos=stored.root_pos,
            root_rot=stored.root_rot,
            joint_rot=stored.joint_rot,
            contacts=contacts,
            fps=stored.fps,
            loop=stored.loop,
            skeleton=skeleton.id,
            motion_class=motion_class,
            terrain=stored.terrain,
            touched=stored.touched,
            path=stored.path,
            provenance=Provenance(stage="dataset", provider="parc_ms", notes={"file": file.name}),
        )
        clip.require_skeleton(skeleton.id, skeleton.num_joints)
    return clip


def _files(pattern: str) -> list[pathlib.Path]:
    path = pathlib.Path(pattern).expanduser()
    if path.is_dir():
        files = sorted(path.rglob("*.pkl"))
    elif path.exists():
        files = [path]
    else:
        files = sorted(pathlib.Path(name) for name in glob.glob(str(path), recursive=True))
    if not files:
        raise DataError(
            f"{path}: no .pkl file there (looked from {pathlib.Path.cwd()}). Give a file, a folder or a pattern."
        )
    return files


def _cut(clip: MotionClip, window: tuple[float, float], file: pathlib.Path) -> MotionClip:
    start, end = window
    first = round(start * clip.fps)
    stop = min(round(end * clip.fps) + 1, clip.num_frames)
    if not 0 <= first < stop:
        raise DataError(
            f"{file}: cut_s is {start} to {end} s, the motion lasts {clip.length:.2f} s; no frame is left. Widen it."
        )
    return clip.frames(first, stop, name=f"{clip.name}_{start:.1f}s_{end:.1f}s")
