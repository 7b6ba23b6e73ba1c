"""The verb `parc data import`."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

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
from parc_data.import_settings import ImportSettings

if TYPE_CHECKING:
    from parc_data.formats.format import Format
    from parc_data.importing import Imported
    from parc_motion.skeletons import Skeleton

__all__ = ["import_files"]

_BAD_DATA = 65
_SETTINGS = ("fps", "scale", "up", "source_fps", "rest_frame", "retarget", "terrain")


@click.command("import", short_help="import motions of other formats as clips")
@paths_argument
@folder_option
@click.option(
    "--format",
    "format_name",
    default="auto",
    show_default=True,
    help="Format of the files; auto detects it by content.",
)
@character_option
@settings_options(ImportSettings, only=_SETTINGS)
@click.option(
    "--class",
    "motion_class",
    default=None,
    help="Class of every clip; the folder of the file if left out.",
)
@overwrite_option
@json_option
def import_files(
    paths: tuple[pathlib.Path, ...],
    output: pathlib.Path,
    format_name: str,
    character: str,
    motion_class: str | None,
    overwrite: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Read PATHS (files and folders) and write OUTPUT/<class>/<name>.npz.

    Every motion is resampled, retargeted onto the character, and gets terrain and contact labels. A file that cannot be
    read is skipped: the others are written, and the exit code is 65.
    """
    from parc_data.formats.detect import find_format, motion_files
    from parc_data.tools.output import new_folder
    from parc_motion.errors import DataError
    from parc_motion.skeletons import load_skeleton

    settings, skeleton = settings_from(ImportSettings, given), load_skeleton(character)
    only = None if format_name == "auto" else find_format(format_name)
    files = motion_files(list(paths), only)
    with new_folder(output, [file for file, _ in files], overwrite=overwrite) as folder:
        imported, failed = _import_all(files, folder, skeleton, settings, motion_class, not as_json)
        if not imported:
            raise DataError("\n".join(failed))
        _write_report(folder, imported, failed)
    if as_json:
        print_json({"output": str(output), "clips": [one.to_json() for one in imported], "failed": failed})
    else:
        click.echo(f"{output}: {len(imported)} clips of {len(files)} files")
        for text in failed:
            click.echo(f"not imported: {text}", err=True)
    if failed:
        raise click.exceptions.Exit(_BAD_DATA)


def _import_all(
    files: list[tuple[pathlib.Path, Format]],
    folder: pathlib.Path,
    skeleton: Skeleton,
    settings: ImportSettings,
    motion_class: str | None,
    show: bool,
) -> tuple[list[Imported], list[str]]:
    """The imported clips, in order, and an error text for every file that failed."""
    import attrs

    from parc_data.importing import import_file
    from parc_data.sources import unused_name
    from parc_data.tools.output import save_in
    from parc_motion.errors import DataError

    imported: list[Imported] = []
    failed: list[str] = []
    taken: set[str] = set()
    for file, known in files:
        try:
            found = import_file(file, known, skeleton, settings, motion_class or file.resolve().parent.name)
        except DataError as err:
            failed.append(str(err))
            continue
        for one in found:
            name = unused_name(one.clip.name, one.format, taken)
            taken.add(name)
            one = attrs.evolve(one, clip=attrs.evolve(one.clip, name=name))
            save_in(folder, one.clip)
            imported.append(one)
            if show:
                click.echo(f"{name}: {one.format}, {one.clip.num_frames} frames. {one.report.sentence}")
    return imported, failed


def _write_report(folder: pathlib.Path, imported: list[Imported], failed: list[str]) -> None:
    from parc_motion import storage

    storage.write_json(
        folder / "import.json", {"clips": [one.to_json() for one in imported], "failed": failed}
    )
