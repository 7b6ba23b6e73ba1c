"""Motion sources that import files of other formats during a run; `parc data import` does the same in advance."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Iterator
from typing import ClassVar

import attrs

from parc_core.config import setting
from parc_core.interfaces import MotionSource, SeedStreams, stop_point
from parc_data.formats.detect import find_format, motion_files
from parc_data.import_settings import ImportSettings
from parc_data.importing import import_file
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.skeletons import Skeleton

__all__ = [
    "AmassSource",
    "AmcSource",
    "AmpSource",
    "AnySource",
    "BvhSource",
    "DeepMimicSource",
    "FilesConfig",
    "FilesSource",
    "JointsSource",
    "MimicKitSource",
    "unused_name",
]

log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class FilesConfig(ImportSettings):
    """Settings of the sources that import files of other formats."""

    path: str = setting(path=True, help="File, or folder that is searched recursively; ~ is expanded.")
    motion_class: str | None = setting(
        None, help="Class of every clip; if left out, the first folder below `path` that the file is in."
    )
    min_num_frames: int = setting(
        15, ge=1, le=1_000_000, unit="frames", help="Shorter clips are left out and named in the log."
    )


class FilesSource(MotionSource):
    """Clips of all files of one format, files sorted by path.

    A file that cannot be used is named in the log and skipped; it is an error if no clip is left.
    """

    format_name: ClassVar[str | None] = None  # None: by content

    def __init__(self, config: FilesConfig, *, skeleton: Skeleton, seeds: SeedStreams) -> None:
        self.config, self.skeleton = config, skeleton

    def clips(self) -> Iterator[MotionClip]:
        """The clips that are long enough."""
        root = pathlib.Path(self.config.path).expanduser()
        only = find_format(self.format_name) if self.format_name else None
        names: set[str] = set()
        last: DataError | None = None
        for file, known in motion_files([root], only):
            stop_point()
            try:
                found = import_file(file, known, self.skeleton, self.config, self._class_of(file, root))
            except DataError as err:
                log.warning("left out: %s", err)
                last = err
                continue
            for one in found:
                clip = attrs.evolve(one.clip, name=unused_name(one.clip.name, one.format, names))
                if clip.num_frames < self.config.min_num_frames:
                    short = f"{clip.num_frames} frames, fewer than {self.config.min_num_frames}"
                    log.warning("%s: left out: %s", file, short)
                    continue
                names.add(clip.name)
                yield clip
        if not names:
            reason = (
                f" The last one: {last}"
                if last
                else f" All are shorter than {self.config.min_num_frames} frames."
            )
            raise DataError(f"{root}: no motion is left.{reason}")

    def _class_of(self, file: pathlib.Path, root: pathlib.Path) -> str:
        if self.config.motion_class is not None:
            return self.config.motion_class
        inside = file.relative_to(root).parts if root.is_dir() else ()
        return inside[0] if len(inside) > 1 else file.resolve().parent.name


def unused_name(name: str, suffix: str, taken: set[str]) -> str:
    """The name, or the name with the format and a number appended if another clip has it."""
    if name not in taken:
        return name
    candidates = (f"{name}_{suffix}", *(f"{name}_{suffix}_{k}" for k in range(2, len(taken) + 3)))
    return next(one for one in candidates if one not in taken)


class AnySource(FilesSource):
    """Files of every known format, detected by their content."""


class BvhSource(FilesSource):
    """BVH files."""

    format_name = "bvh"


class AmcSource(FilesSource):
    """ASF/AMC files; the skeleton lies beside the motions."""

    format_name = "asf_amc"


class AmassSource(FilesSource):
    """AMASS files (SMPL, SMPL-H, SMPL-X)."""

    format_name = "amass"


class DeepMimicSource(FilesSource):
    """DeepMimic's text files."""

    format_name = "deepmimic"


class AmpSource(FilesSource):
    """AMP's .npy files."""

    format_name = "amp"


class MimicKitSource(FilesSource):
    """MimicKit's .pkl files, read in a restricted child process."""

    format_name = "mimickit"


class JointsSource(FilesSource):
    """World positions of joints."""

    format_name = "joints"
