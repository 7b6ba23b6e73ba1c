"""What this distribution offers. Nothing heavy is imported here: the targets are imported when they are chosen."""

from __future__ import annotations

from parc_core.plugins import Provider, hookimpl

PARC_API = (1, 0)  # the version of the plugin interface that this was written for


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        Provider(
            kind="terrain_source",
            name="spiral",
            target="parc_spiral_terrain.spiral:SpiralTerrain",
            config="parc_spiral_terrain.spiral:SpiralConfig",
            summary="a stairway that winds up, or down, around a center",
        )
    ]
