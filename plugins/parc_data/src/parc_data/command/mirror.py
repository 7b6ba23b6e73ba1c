"""The verb `parc data mirror`."""

from __future__ import annotations

import pathlib

import click

from parc_data.command.options import (
    character_option,
    folder_option,
    json_option,
    overwrite_option,
    paths_argument,
    print_json,
)

__all__ = ["mirror"]


@click.command("mirror", short_help="write mirror images of clips")
@paths_argument
@folder_option
@click.option("--keep", is_flag=True, help="Also write the clips themselves.")
@character_option
@overwrite_option
@json_option
def mirror(
    paths: tuple[pathlib.Path, ...],
    output: pathlib.Path,
    keep: bool,
    character: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write PATHS (clips, folders, manifests) with left and right swapped, as OUTPUT/<class>/<name>_flipped.npz.

    Terrain, path, touched cells and height bounds are mirrored with the motion.
    """
    from parc_data.tools.derive import derived
    from parc_data.tools.find import find_clips, load_found_clips
    from parc_data.tools.output import new_folder, save_in
    from parc_motion.clips import mirror_clip
    from parc_motion.skeletons import load_skeleton
    from parc_motion.storage import digest_file

    skeleton, found = load_skeleton(character), find_clips(paths)
    written = []
    with new_folder(output, [item.file for item in found], overwrite=overwrite) as folder:
        for item, clip in load_found_clips(found):
            flipped = derived(mirror_clip(clip, skeleton), "mirror", digest_file(item.file))
            for made in (clip, flipped) if keep else (flipped,):
                written.append(save_in(folder, made).relative_to(folder).as_posix())
    if as_json:
        print_json({"output": str(output), "clips": len(written), "files": written})
    else:
        click.echo(f"{output}: {len(written)} clips" + (f", {len(found)} of them mirrored" if keep else ""))
