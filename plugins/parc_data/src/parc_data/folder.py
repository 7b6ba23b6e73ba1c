"""Clips in PARC's own `.npz` format, in a folder."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Iterator

import attrs

from parc_core.config import setting
from parc_core.interfaces import MotionSource, SeedStreams
from parc_data.formats.fields import naming
from parc_data.tools.findings import reason_to_leave_out
from parc_motion.clips import MotionClip, load_clip
from parc_motion.errors import DataError
from parc_motion.skeletons import Skeleton

__all__ = ["FolderConfig", "FolderSource"]

log = logging.getLogger(__name__)

_LEFT_OUT = {"ignore", "superseded"}  # folders of a run whose clips are not its results


@attrs.frozen(kw_only=True)
class FolderConfig:
    """Settings of `folder`."""

    path: str = setting(
        path=True,
        help="Folder with .npz clips, searched recursively, folders called ignore or superseded excepted.",
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


class FolderSource(MotionSource):
    """Clips of a folder, files sorted by path.

    The class of a clip is the name of the first sub-folder that it lies in; a clip directly in the folder keeps its own
    class, or takes the name of the folder if it has none.
    """

    def __init__(self, config: FolderConfig, *, skeleton: Skeleton, seeds: SeedStreams) -> None:
        self.config, self.skeleton = config, skeleton
        self.root = pathlib.Path(config.path).expanduser()

    def clips(self) -> Iterator[MotionClip]:
        """The clips that are long enough and whose terrain is not too wide."""
        files = self._files()
        seen: dict[str, pathlib.Path] = {}
        left_out = 0
        for file in files:
            clip = load_clip(file)
            with naming(file):
                clip.require_skeleton(self.skeleton.id, self.skeleton.num_joints)
            reason = self._unfit(clip)
            if reason:
                left_out += 1
                log.warning("%s: left out: %s", file, reason)
                continue
            if clip.name in seen:
                raise DataError(
                    f"{file}: its clip is called '{clip.name}', like that of {seen[clip.name]}. Rename one."
                )
            seen[clip.name] = file
            yield attrs.evolve(clip, motion_class=self._class_of(file, clip))
        if left_out:
            log.info("%s: %d of %d clips left out", self.root, left_out, len(files))
        if not seen:
            raise DataError(
                f"{self.root}: none of its {len(files)} clips can be used: all are shorter than "
                f"{self.config.min_num_frames} frames, on terrain wider than "
                f"{self.config.max_terrain_dim} cells, or without terrain. "
                "Lower min_num_frames or raise max_terrain_dim."
            )

    def _files(self) -> list[pathlib.Path]:
        if not self.root.is_dir():
            raise DataError(
                f"{self.root}: no such folder (looked from {pathlib.Path.cwd()}). Correct `path`."
            )
        files = sorted(
            path
            for path in self.root.rglob("*.npz")
            if path.is_file()
            and not path.name.startswith(".")
            and not _LEFT_OUT & {*path.relative_to(self.root).parts}
        )
        if not files:
            raise DataError(f"{self.root}: holds no .npz clip. `parc_ms` reads published .pkl files.")
        return files

    def _unfit(self, clip: MotionClip) -> str:
        shape, most = None if clip.terrain is None else clip.terrain.shape, self.config.max_terrain_dim
        return reason_to_leave_out(clip.num_frames, shape, self.config.min_num_frames, (most, most))

    def _class_of(self, file: pathlib.Path, clip: MotionClip) -> str:
        inside = file.relative_to(self.root).parts
        if len(inside) > 1:
            return inside[0]
        return clip.motion_class or self.root.resolve().name
