"""The verb `parc render`."""

from __future__ import annotations

import pathlib
import re

import click

__all__ = ["render", "render_files"]

_SUFFIXES = (".png", ".mp4", ".gif")


@click.command("render", short_help="draw clips to PNG, MP4 or GIF")
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=pathlib.Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=pathlib.Path),
    help="File to write: .png, .mp4 or .gif.",
)
@click.option("--sheet", is_flag=True, help="Draw one row per clip, even for a single clip (PNG).")
@click.option(
    "--size",
    default="",
    metavar="WxH",
    help="Size of the picture, or of the first picture of each row of a sheet, in pixels.",
)
@click.option(
    "--fps",
    type=click.FloatRange(1, 120),
    default=None,
    help="Frames per second; 30 for MP4 and 15 for GIF by default.",
)
@click.option(
    "--frames",
    type=click.IntRange(2, 60),
    default=8,
    show_default=True,
    help="Number of poses per clip in a PNG.",
)
@click.option("--limit", type=click.IntRange(1), default=None, help="Maximum number of clips.")
@click.option("--character", default="humanoid", show_default=True, help="Built-in character or MJCF file.")
def render(
    clips: tuple[pathlib.Path, ...],
    output: pathlib.Path,
    sheet: bool,
    size: str,
    fps: float | None,
    frames: int,
    limit: int | None,
    character: str,
) -> None:
    """Draw CLIPS (files, folders of clips, run folders) without a display.

    One clip to a PNG gives its poses over time in one picture, several give a contact sheet with a row for each.
    Bodies with contact labels are red.
    """
    from parc_mujoco.render.find import clip_files

    files = clip_files(clips)
    shown = files if limit is None else files[:limit]
    render_files(shown, output, sheet=sheet, size=_size(size), fps=fps, poses=frames, character=character)
    click.echo(
        f"{output}: {len(shown)} of {len(files)} clips"
        if len(shown) < len(files)
        else f"{output}: {len(files)} clips"
    )


def render_files(
    files: list[pathlib.Path],
    output: pathlib.Path,
    *,
    sheet: bool = False,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    poses: int = 8,
    character: str = "humanoid",
) -> None:
    """Draw clip files into one picture or film; its suffix says which.

    Raises:
        RenderUnavailable: no off-screen OpenGL, or no ffmpeg for a film.
        DataError: a file holds no clip.
    """
    from parc_motion.clips import load_clip
    from parc_motion.draw import label
    from parc_motion.skeletons import load_skeleton
    from parc_mujoco.render.film import film, write_gif, write_mp4
    from parc_mujoco.render.scene import Screen
    from parc_mujoco.render.sheet import contact_sheet, overview, title, write_png

    suffix = output.suffix.lower()
    if suffix not in _SUFFIXES:
        raise click.UsageError(
            f"--output {output}: its suffix is '{output.suffix}', expected .png, .mp4 or .gif."
        )
    skeleton = load_skeleton(character)
    loaded = (load_clip(file) for file in files)
    if suffix == ".png" and (sheet or len(files) > 1):
        with Screen(*(size or (480, 230))) as screen:
            write_png(output, contact_sheet(loaded, skeleton, screen, poses))
    elif suffix == ".png":
        with Screen(*(size or (1280, 600))) as screen:
            clip = next(loaded)
            write_png(output, label(overview(clip, skeleton, screen, poses), title(clip), size=18))
    else:
        rate = fps or (30.0 if suffix == ".mp4" else 15.0)
        pixels = size or ((640, 480) if suffix == ".mp4" else (400, 300))
        with Screen(*pixels) as screen:
            pictures = film(loaded, skeleton, screen, rate)
            if suffix == ".mp4":
                write_mp4(output, pictures, pixels, rate)
            else:
                write_gif(output, pictures, rate)


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    if found is None:
        raise click.UsageError(f"--size '{text}': expected width x height in pixels, e.g. 640x480.")
    width, height = int(found[1]), int(found[2])
    if width % 2 or height % 2:
        raise click.UsageError(f"--size {text}: both numbers have to be even (H.264 has no odd sizes).")
    return width, height
