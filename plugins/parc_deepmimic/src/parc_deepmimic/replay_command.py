"""The verb `parc eval replay`."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import click

__all__ = ["replay"]


@click.command("replay", short_help="simulate recorded clips again and compare")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=pathlib.Path))
@click.option(
    "--character", default="", help="Name or file of the character; by default the one that the clip names."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=1e-5,
    show_default=True,
    help="Largest difference of a body position that counts as equal, m.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def replay(paths: tuple[pathlib.Path, ...], character: str, tolerance: float, as_json: bool) -> None:
    """Simulate recorded clips again from the servo targets stored with them; print the largest difference of a body.

    PATHS are recorded clips (.npz), or folders: of a run, of an iteration, or of a recording. The simulator
    and its settings are those of the recording. The exit code is 1 when a clip differs by more than the tolerance.
    """
    from parc_deepmimic.replay_files import recorded_files, replay_file

    rows: list[dict[str, Any]] = []
    for file in recorded_files(paths):
        rows.append(replay_file(file, character))
        if not as_json:
            row = rows[-1]
            click.echo(
                f"{row['clip']:40s} {row['frames']:5d} frames  {row['kept']:8s} {row['difference_m']:.2e} m"
            )
    worst = max(row["difference_m"] for row in rows)
    if as_json:
        click.echo(json.dumps({"clips": rows, "difference_m": worst}, indent=1))
    else:
        click.echo(f"{len(rows)} clips, largest difference {worst:.2e} m")
    if worst > tolerance:
        raise SystemExit(1)
