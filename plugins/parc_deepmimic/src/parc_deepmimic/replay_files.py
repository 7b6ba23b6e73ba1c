"""Finds recorded clips, each with the file of its start state and servo targets, and replays them."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import attrs

from parc_core.config import Use, load_settings, setting
from parc_core.plugins import Registry
from parc_deepmimic.replay import replay_difference
from parc_motion.clips import execution_file, load_clip, load_execution
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton

__all__ = ["recorded_files", "replay_file"]


@attrs.frozen(kw_only=True)
class _Settings:
    simulator: Use = setting(Use("mujoco"), kind="simulator", help="The simulator that recorded the clip.")


def recorded_files(paths: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    """The recorded clips at the paths and in folders below them, sorted within each.

    Raises:
        DataError: there are none.
    """
    files: list[pathlib.Path] = []
    for path in paths:
        if path.is_file():
            files.append(path)
            continue
        found = sorted(file for file in path.rglob("*.npz") if execution_file(file).is_file())
        if not found:
            raise DataError(
                f"{path}: no recorded clips below it, clips with an .execution beside them. Give a run's folder."
            )
        files += found
    return files


def replay_file(clip_file: pathlib.Path, character: str = "") -> dict[str, Any]:
    """Replay one clip in the simulator that recorded it: ``clip``, ``file``, ``frames``, ``kept``, ``difference_m``.

    Args:
        character: name or file; empty for the one that the clip names.
    """
    clip, execution = load_clip(clip_file), load_execution(execution_file(clip_file))
    registry = Registry.discover()
    source = json.dumps({"simulator": execution.simulator or "mujoco"})
    settings, _ = load_settings(source, str(clip_file), _Settings, registry)
    simulator = registry.create("simulator", settings.simulator, device="cpu", threads=1)
    try:
        skeleton = load_skeleton(character or clip.skeleton)
        difference = replay_difference(clip, execution, skeleton, simulator)
    finally:
        simulator.close()
    return {
        "clip": clip.name,
        "file": str(clip_file),
        "frames": clip.num_frames,
        "kept": clip.provenance.notes.get("kept", ""),
        "difference_m": difference,
    }
