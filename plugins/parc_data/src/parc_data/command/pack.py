"""The verb `parc data pack`."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import click

from parc_data.command.options import json_option, overwrite_option, paths_argument, print_json

if TYPE_CHECKING:
    from parc_motion.clips import PackedClips

__all__ = ["pack"]


@click.command("pack", short_help="write clips into a memory-mapped training store, or check one")
@paths_argument
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=pathlib.Path), help="Folder of the store."
)
@click.option(
    "--check", is_flag=True, help="Write nothing; check that OUTPUT is undamaged and up to date with PATHS."
)
@overwrite_option
@json_option
def pack(
    paths: tuple[pathlib.Path, ...], output: pathlib.Path, check: bool, overwrite: bool, as_json: bool
) -> None:
    """Write PATHS (clips, folders, one manifest) into a memory-mapped store, from which windows of frames are read.

    The weights are those of the manifest; for clips and folders, classes are balanced.
    """
    from parc_data.tools.pack import check_store
    from parc_data.tools.pack import pack as write

    store = check_store(paths, output) if check else write(paths, output, overwrite=overwrite)
    document = _describe(store)
    if as_json:
        print_json(document)
    else:
        state = "undamaged and up to date: " if check else ""
        size = document["bytes"] / 1e6
        click.echo(f"{output}: {state}{document['clips']} clips, {document['frames']} frames, {size:.1f} MB")


def _describe(store: PackedClips) -> dict[str, Any]:
    folder = store.store.folder
    return {
        "output": str(folder),
        "clips": len(store),
        "frames": int(store.first[-1]),
        "bytes": sum(file.stat().st_size for file in folder.iterdir()),
        "dataset_digest": store.dataset_digest,
    }
