"""The verb `parc terrain`."""

from __future__ import annotations

import pathlib

import click

__all__ = ["terrain"]

_MOST = 400  # tiles; more make a picture that no viewer opens


@click.group("terrain", short_help="inspect terrains and planned paths")
def terrain() -> None:
    """Look at terrains and the paths over them."""


@terrain.command("preview", short_help="draw terrains with their planned paths")
@click.argument("iteration", required=False, type=click.Path(path_type=pathlib.Path))
@click.option(
    "--source",
    "--terrain",
    "sources",
    multiple=True,
    metavar="NAME|YAML",
    help="Terrain source, e.g. boxes or '{use: boxes, num_boxes: 20}'. May be repeated; boxes without a file.",
)
@click.option(
    "--planner",
    metavar="NAME|YAML",
    help="Planner, e.g. '{use: astar, preset: moderate}'; astar without a file.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting, e.g. kin_gen.terrain.num_boxes=20. May be repeated.",
)
@click.option(
    "--count", type=click.IntRange(1, _MOST), default=12, show_default=True, help="Number of terrains."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Random seed; the seed of the file by default, 0 without a file.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=pathlib.Path), help="PNG file to write."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was drawn as one JSON object.")
def preview(
    iteration: pathlib.Path | None,
    sources: tuple[str, ...],
    planner: str | None,
    overrides: tuple[str, ...],
    count: int,
    seed: int | None,
    output: pathlib.Path,
    as_json: bool,
) -> None:
    """Draw terrains with their planned paths into one picture, to judge settings by looking.

    With ITERATION, an iteration file, its kin_gen.terrain and kin_gen.planner are used, and the terrains are those on
    which a run of the file makes its first motions. --source and --planner take their place.
    """
    import json

    from parc_core.plugins import Registry
    from parc_motion import storage
    from parc_motion.draw import png_bytes
    from parc_terrain.preview.sample import report, sample_tiles
    from parc_terrain.preview.settings import load_ground
    from parc_terrain.preview.sheet import draw_sheet

    if output.suffix.lower() != ".png":
        raise click.UsageError(f"--output {output}: its suffix is '{output.suffix}', expected .png.")
    registry = Registry.discover()
    ground = load_ground(registry, iteration, sources, planner, overrides, seed)
    tiles = sample_tiles(ground, registry, count)
    storage.write_bytes(output, png_bytes(draw_sheet(ground, tiles)))
    result = {"output": str(output), **report(ground, tiles)}
    if as_json:
        click.echo(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        click.echo(f"{output}: {result['with_path']} of {count} terrain{'s' * (count > 1)} with a path")
