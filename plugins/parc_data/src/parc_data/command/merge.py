"""The verb `parc data merge`."""

from __future__ import annotations

import pathlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from parc_data.command.options import (
    json_option,
    overwrite_option,
    print_class_table,
    print_json,
    settings_from,
    settings_options,
)
from parc_data.tools.merge import MergeConfig

if TYPE_CHECKING:
    from parc_data.tools.merge import Merged

__all__ = ["merge"]

_OPTIONS = (
    "min_num_frames", "max_terrain_dim_x", "max_terrain_dim_y", "compute_preprocessing_data",
    "override_old_hf_mask_inds", "rename",
)  # fmt: skip


@click.command("merge", short_help="merge folders into one data set")
@click.argument("paths", nargs=-1, type=click.Path(path_type=pathlib.Path))
@click.option("-o", "--output", help="Folder to write, or a manifest (.yaml) that refers to the inputs.")
@click.option("--config", type=click.Path(path_type=pathlib.Path), help="File with these settings (YAML).")
@click.option(
    "--halve", multiple=True, metavar="CLASS", help="Keep only every second clip of a class. May be repeated."
)
@settings_options(MergeConfig, only=_OPTIONS)
@click.option("--character", help="Built-in character or an MJCF file, for the preprocessing.")
@overwrite_option
@json_option
def merge(
    paths: tuple[pathlib.Path, ...],
    output: str | None,
    config: pathlib.Path | None,
    halve: tuple[str, ...],
    character: str | None,
    overwrite: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Merge PATHS (folders, clips, manifests) into one data set with class-balanced weights.

    The class of a clip is the first sub-folder that it lies in; files under a name with "ignore" are left out. An
    OUTPUT folder holds copies of the clips and `dataset.yaml`. Equal names are an error, or numbered by --rename.
    """
    from parc_data.tools.merge import merge as write

    given |= {
        "folder_paths": tuple(str(path) for path in paths),
        "save_path": output,
        "char_filepath": character,
        "cut_some_classes_in_half": bool(halve) or None,
        "motion_classes_to_cut_in_half": halve,
    }
    settings = settings_from(MergeConfig, given, _load(config))
    if not settings.folder_paths or not settings.save_path:
        raise click.UsageError("PATHS to merge and --output are missing; give them here or in --config.")
    _report(write(settings, overwrite=overwrite), settings, as_json)


def _load(path: pathlib.Path | None) -> MergeConfig:
    if path is None:
        return MergeConfig()
    from parc_core.config import load_settings, read_text
    from parc_core.plugins import Registry

    settings, _ = load_settings(
        read_text(path), str(path), MergeConfig, Registry.discover(), base=path.parent
    )
    return settings


def _report(merged: Merged, settings: MergeConfig, as_json: bool) -> None:
    from parc_data.tools.balance import class_table

    rows = class_table(merged.dataset)
    if as_json:
        print_json(
            {
                "output": settings.save_path,
                "clips": len(merged.dataset),
                "classes": rows,
                "left_out": [{"file": file, "why": why} for file, why in merged.left_out],
                "renamed": [{"file": file, "name": name} for file, name in merged.renamed],
            }
        )
        return
    print_class_table(rows)
    for why, count in Counter(why for _, why in merged.left_out).most_common():
        click.echo(f"left out: {count}  {why}")
    for file, name in merged.renamed:
        click.echo(f"renamed: {file}  {name}")
    click.echo(f"{settings.save_path}: {len(merged.dataset)} clips")
