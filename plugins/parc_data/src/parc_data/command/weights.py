"""The verb `parc data weights`."""

from __future__ import annotations

import math
import pathlib

import click

from parc_data.command.options import (
    json_option,
    overwrite_option,
    paths_argument,
    print_class_table,
    print_json,
)

__all__ = ["weights"]


@click.command("weights", short_help="class-balanced sampling weights, and a manifest with them")
@paths_argument
@click.option("-o", "--output", type=click.Path(path_type=pathlib.Path), help="Manifest (.yaml) to write.")
@click.option(
    "--class-weight",
    "factors",
    multiple=True,
    metavar="CLASS=X",
    help="Sample CLASS X times as often as other classes.",
)
@overwrite_option
@json_option
def weights(
    paths: tuple[pathlib.Path, ...],
    output: pathlib.Path | None,
    factors: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Weight PATHS (clips, folders, manifests) so that every class is sampled equally often.

    Within a class the weight of a clip is in proportion to its length.
    """
    from parc_data.tools.balance import balanced_dataset, class_table
    from parc_data.tools.find import dataset_entry, find_clips, load_found_clips
    from parc_data.tools.output import new_file

    by_class = dict(_factor(text) for text in factors)
    found = find_clips(paths)
    dataset = balanced_dataset((dataset_entry(*pair) for pair in load_found_clips(found)), by_class)
    if output is not None:
        if output.suffix != ".yaml":
            raise click.UsageError(f"--output {output}: a manifest ends in .yaml.")
        dataset.save(
            new_file(output, [*(item.file for item in found), *_manifests(paths)], overwrite=overwrite)
        )
    rows = class_table(dataset)
    if as_json:
        clips = [{"file": str(e.file), "class": e.motion_class, "weight": e.weight} for e in dataset.entries]
        print_json({"classes": rows, "clips": clips, "output": None if output is None else str(output)})
        return
    print_class_table(rows)
    if output is not None:
        click.echo(f"{output}: {len(dataset)} clips")


def _factor(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        factor = float(number)
    except ValueError:
        factor = math.nan
    if not name or not (math.isfinite(factor) and factor >= 0):
        raise click.UsageError(f"--class-weight '{text}': expected CLASS=X with X 0 or more, e.g. climb=2.")
    return name, factor


def _manifests(paths: tuple[pathlib.Path, ...]) -> list[pathlib.Path]:
    return [path for path in paths if path.is_file()]
