"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins import Command, Provider, hookimpl

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
            kind="terrain_source",
            name="stairs",
            target="parc_terrain.stairs:StairTerrain",
            config="parc_terrain.stairs:StairConfig",
            summary="straight staircases in any direction",
        ),
        Provider(
            kind="terrain_source",
            name="paths",
            target="parc_terrain.paths:PathsTerrain",
            config="parc_terrain.paths:PathsConfig",
            summary="winding tracks of different height",
        ),
        Provider(
            kind="terrain_source",
            name="file",
            target="parc_terrain.from_file:FileTerrain",
            config="parc_terrain.from_file:FileConfig",
            summary="random windows of stored terrains",
        ),
        Provider(
            kind="terrain_source",
            name="mixture",
            target="parc_terrain.mixture:MixtureTerrain",
            config="parc_terrain.mixture:MixtureConfig",
            summary="one of several sources, drawn by weight",
        ),
        Provider(
            kind="planner",
            name="astar",
            target="parc_terrain.astar:AStarPlanner",
            config="parc_terrain.astar:AStarConfig",
            summary="cheapest route over cells, with jumps",
        ),
        Provider(
            kind="planner",
            name="straight",
            target="parc_terrain.straight:StraightPlanner",
            config="parc_terrain.straight:StraightConfig",
            summary="a straight line over any ground",
        ),
        Provider(
            kind="planner",
            name="spline",
            target="parc_terrain.spline:SplinePlanner",
            config="parc_terrain.spline:SplineConfig",
            summary="a smooth curve through random points",
        ),
    ]


@hookimpl
def parc_commands() -> list[Command]:
    """The verbs of this distribution."""
    return [
        Command(
            name="terrain",
            target="parc_terrain.preview.command:terrain",
            summary="draw terrains with their planned paths",
        )
    ]
