"""Makes the generator, the terrain source and the planner of an evaluation."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import attrs

from parc_core.config import Use, dump, load_settings, setting
from parc_core.interfaces import Generator, Planner, TerrainSource
from parc_core.plugins import Registry
from parc_motion.errors import DataError
from parc_motion.skeletons import Skeleton, load_skeleton
from parc_motion.storage import read_manifest

__all__ = ["Parts", "load_parts"]

_PLACES = ("", "final_model", "p1_train_gen/final_model")


@attrs.frozen(kw_only=True)
class _Settings:
    """The keys that ``--set`` may change."""

    generator: Use = setting(kind="generator", help="makes the motions")
    terrain: Use = setting(kind="terrain_source", help="where terrains come from")
    planner: Use = setting(kind="planner", help="finds a path over a terrain")


@attrs.frozen(kw_only=True, eq=False)
class Parts:
    """What is evaluated, and on what."""

    folder: pathlib.Path
    generator: Generator
    terrain: TerrainSource
    planner: Planner
    skeleton: Skeleton
    settings: dict[str, Any]  # plain data


def load_parts(
    registry: Registry,
    checkpoint: pathlib.Path,
    terrain: str,
    planner: str,
    overrides: Sequence[str] = (),
    device: str = "cpu",
) -> Parts:
    """The parts for a generator's folder; its settings are those it was saved with, then the overrides.

    Args:
        checkpoint: folder with `generator.json`, or one that holds it as an iteration or its first stage does.
        terrain: YAML text, a name or a record with `use`.
        planner: likewise.

    Raises:
        DataError: there is no generator, or it is damaged.
        ConfigError: a setting is wrong.
    """
    folder = _find(checkpoint)
    fields = read_manifest(folder, "generator")
    known = {"use": fields["provider"], **fields.get("settings", {})}
    text = f"generator: {json.dumps(known)}\nterrain: {terrain}\nplanner: {planner}\n"
    chosen, _ = load_settings(text, str(checkpoint), _Settings, registry, overrides=overrides)
    skeleton = load_skeleton(fields["skeleton"]) if fields.get("skeleton") else load_skeleton()
    generator = registry.create("generator", chosen.generator, skeleton=skeleton, device=device)
    generator.restore(folder)
    return Parts(
        folder=folder,
        generator=generator,
        terrain=registry.create("terrain_source", chosen.terrain),
        planner=registry.create("planner", chosen.planner),
        skeleton=skeleton,
        settings={name: dump(getattr(chosen, name)) for name in ("generator", "terrain", "planner")},
    )


def _find(path: pathlib.Path) -> pathlib.Path:
    for place in _PLACES:
        if (path / place / "generator.json").is_file():
            return path / place
    raise DataError(
        f"{path}: no generator here (generator.json is missing). Give a folder that a generator wrote, e.g. "
        "RUN/iter_001/p1_train_gen/final_model, or the iteration's."
    )
