"""From a file of any format to clips: read, resample, retarget, fit the ground, label contacts."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import attrs
import numpy as np

from parc_core.interfaces import stop_point
from parc_data.contacts import label_clip
from parc_data.formats.format import Format, ReadOptions
from parc_data.import_settings import ImportSettings
from parc_data.resample import resample
from parc_data.retarget import Retargeted, RetargetOptions, RetargetReport, retarget
from parc_data.source_motion import SourceMotion
from parc_data.terrain_fit import FitConfig, fit_clip
from parc_motion.clips import MotionClip, Provenance
from parc_motion.errors import DataError
from parc_motion.skeletons import Skeleton
from parc_motion.storage import digest_file

__all__ = ["Imported", "import_file", "import_motion"]

_UNSAFE = re.compile(r"[^\w.+-]+")


@attrs.frozen(kw_only=True, eq=False)
class Imported:
    """A clip and the report of its import."""

    clip: MotionClip
    file: pathlib.Path
    format: str
    report: RetargetReport
    ground: dict[str, Any]  # where the terrain comes from, JSON values

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "clip": self.clip.name,
            "file": str(self.file),
            "format": self.format,
            "frames": self.clip.num_frames,
            "fps": self.clip.fps,
            "ground": self.ground,
            "retarget": self.report.to_json(),
        }


def import_file(
    path: pathlib.Path, known: Format, skeleton: Skeleton, settings: ImportSettings, motion_class: str = ""
) -> list[Imported]:
    """The motions of a file as clips of a character.

    Raises:
        DataError: the file is damaged or of another kind, or its motion does not fit the character.
    """
    digest = digest_file(path)
    options = ReadOptions(
        scale=settings.scale, up=settings.up, fps=settings.source_fps, rest_frame=settings.rest_frame
    )
    results = []
    for motion in known.read(path, options):
        stop_point()
        try:
            results.append(import_motion(motion, path, skeleton, settings, digest))
        except DataError as err:
            text = str(err)
            raise err if text.startswith(str(path)) else type(err)(f"{path}: {text}") from err
    return [attrs.evolve(one, clip=attrs.evolve(one.clip, motion_class=motion_class)) for one in results]


def import_motion(
    motion: SourceMotion, path: pathlib.Path, skeleton: Skeleton, settings: ImportSettings, digest: str
) -> Imported:
    """One motion as a clip of a character, with ground under it and contact labels.

    Args:
        digest: SHA-256 of the file, for the clip's provenance.
    """
    source_fps = motion.fps
    motion = resample(motion, settings.fps)
    result = retarget(motion, skeleton, RetargetOptions(method=settings.retarget))
    labeled = motion.contacts is not None and motion.body_names == skeleton.body_names
    contacts = motion.contacts if labeled else np.zeros((motion.num_frames, skeleton.num_bodies))
    notes = {
        "file": path.name,
        "format": motion.format,
        "source_fps": source_fps,
        "retarget": result.report.method,
        "scale": result.report.scale,
        "warnings": list(result.report.warnings),
        **{key: value for key, value in motion.notes.items() if key not in ("file", "format")},
    }
    clip = MotionClip(
        name=_UNSAFE.sub("_", motion.name).lstrip(".") or "motion",
        root_pos=result.root_pos,
        root_rot=result.root_rot,
        joint_rot=result.joint_rot,
        contacts=contacts,
        fps=motion.fps,
        loop=motion.loop,
        skeleton=skeleton.id,
        terrain=motion.terrain,
        path=motion.path,
        touched=motion.touched,
        provenance=Provenance(stage="dataset", provider=motion.format, parents=(digest,), notes=notes),
    )
    clip, ground = _with_ground(clip, skeleton, result, settings)
    if not labeled:
        clip = _labeled(clip, skeleton, result, settings)
    return Imported(clip=clip, file=path, format=motion.format, report=result.report, ground=ground)


def _labeled(
    clip: MotionClip, skeleton: Skeleton, result: Retargeted, settings: ImportSettings
) -> MotionClip:
    """The clip with contact labels: retargeting decides for feet, distance and speed for other bodies."""
    clip = label_clip(clip, skeleton, settings.contacts)
    if result.report.method != "ik":
        return clip
    feet = list(skeleton.feet)
    contacts = np.array(clip.contacts)
    contacts[:, feet] = result.held[:, feet]
    return attrs.evolve(clip, contacts=contacts)


def _with_ground(
    clip: MotionClip, skeleton: Skeleton, result: Retargeted, settings: ImportSettings
) -> tuple[MotionClip, dict[str, Any]]:
    """The clip on its own terrain or on fitted terrain, and where the terrain comes from."""
    if clip.terrain is not None:
        return clip, {"from": "file", "cells": list(clip.terrain.shape)}
    # feet that were held in place are known to be in contact, whatever a fit would find
    standing = attrs.evolve(clip, contacts=result.held.astype(np.float32)) if result.held.any() else clip
    fit = fit_clip(standing, skeleton, FitConfig(mode=settings.terrain))
    ground = {
        "from": fit.mode,
        "cells": list(fit.terrain.shape),
        "residual_m": fit.residual_m,
        "deepest_m": fit.max_depth_m,
        "stands": fit.num_stances,
    }
    return attrs.evolve(clip, terrain=fit.terrain), ground
