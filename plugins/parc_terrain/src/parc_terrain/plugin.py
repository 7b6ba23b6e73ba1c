"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins.hookspecs import hookimpl
from parc_core.plugins.provider import Provider

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        Provider(
            kind="terrain_source",
            name="boxes",
            target="parc_terrain.boxes:BoxTerrain",
            config="parc_terrain.boxes:BoxConfig",
            summary="boxes scattered over a flat field",
        ),
        Provider(
            kind="terrain_source",
            name="flat",
            target="parc_terrain.flat:FlatTerrain",
            config="parc_terrain.flat:FlatConfig",
            summary="level ground",
        ),
        Provider(
            kind="planner",
            name="astar",
            target="parc_terrain.astar:AStarPlanner",
            config="parc_terrain.astar:AStarConfig",
            summary="cheapest route over cells, with jumps",
        ),
    ]
