"""The verb `parc eval generator`."""

from __future__ import annotations

import json
import pathlib

import click

__all__ = ["generator"]

_PATH = click.Path(path_type=pathlib.Path)


@click.command("generator", short_help="quality of a generator's motions on unseen terrain")
@click.argument("checkpoint", type=_PATH)
@click.option("--terrains", type=click.IntRange(1), default=100, show_default=True, help="How many terrains.")
@click.option("--motions", type=click.IntRange(1), default=32, show_default=True, help="Motions on each.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides every random choice."
)
@click.option(
    "--terrain", default="boxes", show_default=True, metavar="NAME|YAML", help="Terrain source with settings."
)
@click.option(
    "--planner", default="astar", show_default=True, metavar="NAME|YAML", help="Planner with settings."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting, e.g. generator.use_cfg=true, terrain.num_boxes=20.",
)
@click.option("--device", default="cpu", show_default=True, help="Where the generator computes.")
@click.option("-o", "--output", type=_PATH, help="PNG file to draw some of the motions into.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def generator(
    checkpoint: pathlib.Path,
    terrains: int,
    motions: int,
    seed: int,
    terrain: str,
    planner: str,
    overrides: tuple[str, ...],
    device: str,
    output: pathlib.Path | None,
    as_json: bool,
) -> None:
    """How good the motions of CHECKPOINT are, a folder that a generator wrote, or the iteration that it belongs to.

    FWD: distance from where a motion ends to the end of its path. TPL: depth inside the ground, summed over frames and
    surface points. TCL: contact labels times distance to the ground, summed over frames and bodies. HJF: frames in
    which a body's jerk exceeds 11666 m/s^3. All as they are generated, none chosen, nothing optimized.
    """
    from parc_core.plugins import Registry
    from parc_mdm.evaluate.measure import evaluate
    from parc_mdm.evaluate.parts import load_parts
    from parc_mdm.evaluate.picture import draw_sheet
    from parc_mdm.evaluate.table import table
    from parc_motion import storage
    from parc_motion.draw import png_bytes

    if output is not None and output.suffix.lower() != ".png":
        raise click.UsageError(f"--output {output}: its suffix is '{output.suffix}', expected .png.")
    parts = load_parts(Registry.discover(), checkpoint, terrain, planner, overrides, device)
    document, shown = evaluate(parts, terrains, motions, seed, lambda text: click.echo(text, err=True))
    if output is not None:
        storage.write_bytes(output, png_bytes(draw_sheet(shown, parts.skeleton)))
        document["picture"] = str(output)
    lines = [json.dumps(document, indent=1, allow_nan=False)] if as_json else table(document)
    for line in lines:
        click.echo(line)
