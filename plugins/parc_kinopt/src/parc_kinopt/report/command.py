"""The verb `parc kinopt`."""

from __future__ import annotations

import pathlib

import click

__all__ = ["kinopt"]


@click.group("kinopt", short_help="inspect the refinement of generated clips")
def kinopt() -> None:
    """LossDerivatives at what refinement did to generated clips."""


@kinopt.command("report", short_help="draw losses before and after refinement, and the worst clip")
@click.argument("place", type=click.Path(path_type=pathlib.Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=pathlib.Path), help="PNG file to write."
)
@click.option(
    "--poses",
    type=click.IntRange(2, 16),
    default=8,
    show_default=True,
    help="Number of poses drawn of the worst clip.",
)
@click.option("--character", default="humanoid", show_default=True, help="Built-in character or MJCF file.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as one JSON object.")
def report(place: pathlib.Path, output: pathlib.Path, poses: int, character: str, as_json: bool) -> None:
    """Draw the refinement of the clips below PLACE, a run folder, an iteration or a batch, into one picture.

    It shows every loss term before and after, the worst clips, and poses of the worst one before and
    after.
    """
    import json

    from parc_kinopt.report.rows import find_rows, summary
    from parc_kinopt.report.sheet import draw_report
    from parc_motion import storage
    from parc_motion.draw import png_bytes
    from parc_motion.skeletons import load_skeleton

    if output.suffix.lower() != ".png":
        raise click.UsageError(f"--output {output}: its suffix is '{output.suffix}', expected .png.")
    rows = find_rows(place)
    storage.write_bytes(output, png_bytes(draw_report(place.name, rows, load_skeleton(character), poses)))
    result = {"output": str(output), **summary(rows)}
    if as_json:
        click.echo(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        count = f"{len(rows)} clip{'s' * (len(rows) != 1)}"
        click.echo(f"{output}: {count}, {result['unresolved']} with something unresolved")
