"""The verb `parc data export`."""

from __future__ import annotations

import pathlib
from typing import Any

import click

from parc_data.command.options import (
    character_option,
    folder_option,
    json_option,
    overwrite_option,
    paths_argument,
    print_json,
    settings_from,
    settings_options,
)
from parc_data.export.config import ExportConfig

__all__ = ["export"]


@click.command("export", short_help="write clips as npz, MimicKit npz, BVH or CSV")
@paths_argument
@folder_option
@click.option(
    "--format",
    "file_format",
    required=True,
    type=click.Choice(("npz", "mimickit", "bvh", "csv")),
    help="npz: PARC's own; mimickit: frames, fps and loop_mode without pickles.",
)
@settings_options(ExportConfig)
@character_option
@overwrite_option
@json_option
def export(
    paths: tuple[pathlib.Path, ...],
    output: pathlib.Path,
    file_format: str,
    character: str,
    overwrite: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Write PATHS (clips, folders, manifests) for other programs, as OUTPUT/<class>/<name>.<suffix>.

    Only npz keeps everything: MimicKit and BVH cannot store contacts and terrain, CSV cannot store terrain.
    """
    from parc_data.tools.export import FORMATS, export_clip
    from parc_data.tools.find import find_clips, load_found_clips
    from parc_data.tools.output import clip_path, new_folder
    from parc_motion.errors import DataError
    from parc_motion.skeletons import load_skeleton

    skeleton, found, config = load_skeleton(character), find_clips(paths), settings_from(ExportConfig, given)
    suffix, _ = FORMATS[file_format]
    written: list[str] = []
    with new_folder(output, [item.file for item in found], overwrite=overwrite) as folder:
        for item, clip in load_found_clips(found):
            place = clip_path(clip, suffix)
            if (folder / place).exists():
                raise DataError(
                    f"{item.file}: another clip is also called '{clip.name}'. Merge with --rename first."
                )
            export_clip(folder / place, clip, skeleton, file_format, config)
            written.append(place.as_posix())
    if as_json:
        print_json({"output": str(output), "format": file_format, "clips": len(written), "files": written})
    else:
        click.echo(f"{output}: {len(written)} clips as {file_format}")
