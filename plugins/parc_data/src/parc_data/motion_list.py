"""Motion source `list`: the motions of a weighted list."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Iterator

import attrs

from parc_core.config import setting
from parc_core.interfaces import MotionSource, SeedStreams
from parc_data.formats.detect import detect
from parc_data.formats.fields import naming
from parc_data.import_settings import ImportSettings
from parc_data.importing import import_file
from parc_data.parc_ms import read_published
from parc_data.tools.findings import reason_to_leave_out
from parc_motion.clips import ListedMotion, MotionClip, load_clip, read_motion_list
from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.skeletons import Skeleton
from parc_motion.storage import digest_unchanged

__all__ = ["ListConfig", "ListSource"]

log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class ListConfig(ImportSettings):
    """Settings of `list`; those of the import apply to files that are not PARC's own."""

    path: str = setting(
        path=True,
        help="Motion list (.yaml): a manifest of `parc data merge` or `parc data weights`, or `motions:` with rows of "
        "file, weight and class. Relative files are taken from the folder of the list.",
    )
    min_num_frames: int = setting(
        15, ge=1, le=1_000_000, unit="frames", help="Shorter clips are left out and named in the log."
    )
    max_terrain_dim: int = setting(
        1001,
        ge=1,
        le=100000,
        unit="cells",
        help="Clips on terrain with more cells per side are left out and named in the log.",
    )


class ListSource(MotionSource):
    """Clips of the files that a motion list names, in its order, with its classes and weights.

    A file is a clip of PARC or of any format that `auto` detects. Where the list does not state a class, a clip of PARC
    keeps its own, and other files take the name of their folder.

    Raises:
        DataError: something in the list is wrong, or a file is missing.
    """

    def __init__(self, config: ListConfig, *, skeleton: Skeleton, seeds: SeedStreams) -> None:
        self.config, self.skeleton = config, skeleton
        path = pathlib.Path(config.path).expanduser()
        if not path.is_file():
            raise DataError(f"{path}: no such file (looked from {pathlib.Path.cwd()}). Correct `path`.")
        self.list = read_motion_list(path)
        self.list.require_files()
        self._weights: dict[str, float] = {}

    def clips(self) -> Iterator[MotionClip]:
        """The clips that are long enough and whose terrain is not too wide."""
        seen: dict[str, pathlib.Path] = {}
        for motion in self.list.motions:
            found = self._read(motion)
            for clip in found:
                reason = self._unfit(clip)
                if reason:
                    log.warning("%s: left out: %s", motion.file, reason)
                    continue
                if clip.name in seen:
                    raise DataError(
                        f"{self.list.path}: two clips are called '{clip.name}': those of {seen[clip.name]} and "
                        f"{motion.file}. Rename one."
                    )
                seen[clip.name] = motion.file
                self._weights[clip.name] = motion.weight / len(found)
                yield clip
        if not seen:
            raise DataError(
                f"{self.list.path}: none of its {len(self.list.motions)} motions can be used; the log says why."
            )

    def weight_of(self, clip: MotionClip) -> float:
        """The weight that the list gives the clip's file; several clips of one file share it."""
        return self._weights[clip.name]

    def _read(self, motion: ListedMotion) -> list[MotionClip]:
        file = motion.file
        if motion.digest is not None and digest_unchanged(file) != motion.digest:
            raise CorruptArtifact(
                f"{file}: changed since {self.list.path} was made; its SHA-256 differs. Make the list again "
                "(`parc data weights`)."
            )
        known = detect(file)
        motion_class = motion.motion_class or file.parent.name
        if known is None:
            clip = load_clip(file)
            with naming(file):
                clip.require_skeleton(self.skeleton.id, self.skeleton.num_joints)
            return [attrs.evolve(clip, motion_class=motion.motion_class or clip.motion_class or motion_class)]
        if known.name == "parc_ms":
            return [read_published(file, self.skeleton, motion_class)]
        return [one.clip for one in import_file(file, known, self.skeleton, self.config, motion_class)]

    def _unfit(self, clip: MotionClip) -> str:
        shape, most = None if clip.terrain is None else clip.terrain.shape, self.config.max_terrain_dim
        return reason_to_leave_out(clip.num_frames, shape, self.config.min_num_frames, (most, most))
