"""The verb `parc data cut`."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from parc_data.command.options import (
    character_option,
    folder_option,
    json_option,
    overwrite_option,
    paths_argument,
    print_json,
)

if TYPE_CHECKING:
    from parc_data.tools.cut import Piece
    from parc_motion.clips import MotionClip

__all__ = ["cut"]

_RANGE = re.compile(r"(\d+(?:\.\d*)?|\.\d+):(\d+(?:\.\d*)?|\.\d+)")


@click.command("cut", short_help="write parts of clips")
@paths_argument
@folder_option
@click.option("--time", "times", multiple=True, metavar="A:B", help="From A to B seconds. May be repeated.")
@click.option("--frames", multiple=True, metavar="A:B", help="Frames A to B, both included. May be repeated.")
@click.option(
    "--windows", type=click.FloatRange(0, min_open=True), help="Cut into windows of this many seconds."
)
@click.option(
    "--stride",
    type=click.FloatRange(0, min_open=True),
    help="Seconds from one window to the next; the length of a window if left out.",
)
@click.option("--without-flights", is_flag=True, help="Keep the parts between physically impossible flights.")
@click.option(
    "--terrain-margin",
    type=click.FloatRange(0),
    help="Keep only the terrain within this many meters of the root.",
)
@click.option("--name", help="Name of the part, if there is only one.")
@click.option(
    "--min-num-frames", type=click.IntRange(1), default=15, show_default=True, help="Leave shorter parts out."
)
@character_option
@overwrite_option
@json_option
def cut(
    paths: tuple[pathlib.Path, ...],
    output: pathlib.Path,
    times: tuple[str, ...],
    frames: tuple[str, ...],
    windows: float | None,
    stride: float | None,
    without_flights: bool,
    terrain_margin: float | None,
    name: str | None,
    min_num_frames: int,
    character: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write parts of PATHS (clips, folders, manifests) as OUTPUT/<class>/<name>_f<first>_<last>.npz.

    Give one of --time, --frames, --windows, --without-flights; with --terrain-margin alone, clips stay whole.
    """
    ways = [bool(times), bool(frames), windows is not None, without_flights]
    if sum(ways) > 1 or not (any(ways) or terrain_margin is not None):
        raise click.UsageError(
            "give one of --time, --frames, --windows, --without-flights (or --terrain-margin alone)."
        )
    if stride is not None and windows is None:
        raise click.UsageError("--stride needs --windows.")
    from parc_data.tools.cut import PieceOptions, pieces_at_times, pieces_in_windows, write_pieces
    from parc_data.tools.find import find_clips

    seconds, numbers = _ranges("--time", times), _ranges("--frames", frames)
    parting = _parting(character) if without_flights else None

    def pieces_of(clip: MotionClip) -> list[Piece]:
        if times:
            return pieces_at_times(clip, seconds)
        if frames:
            return [(int(first), int(last) + 1) for first, last in numbers]
        if windows is not None:
            return pieces_in_windows(clip, windows, stride)
        return [(0, clip.num_frames)] if parting is None else parting(clip)

    options = PieceOptions(min_num_frames=min_num_frames, margin=terrain_margin, name=name)
    written, short = write_pieces(find_clips(paths), output, pieces_of, options, overwrite=overwrite)
    if as_json:
        print_json({"output": str(output), "clips": len(written), "files": written, "left_out": short})
    else:
        note = f"; {short} parts under {min_num_frames} frames left out" if short else ""
        click.echo(f"{output}: {len(written)} clips{note}")


def _ranges(option: str, texts: tuple[str, ...]) -> list[tuple[float, float]]:
    ranges = []
    for text in texts:
        found = _RANGE.fullmatch(text)
        whole = option != "--frames" or "." not in text
        if found is None or not whole or float(found[1]) > float(found[2]):
            example = "1.5:3" if whole and option == "--time" else "45:90"
            raise click.UsageError(f"{option} '{text}': expected first:last, e.g. {example}.")
        ranges.append((float(found[1]), float(found[2])))
    return ranges


def _parting(character: str) -> Callable[[MotionClip], list[Piece]]:
    """Cuts a clip where flights are impossible."""
    from parc_data.tools.cut import pieces_without
    from parc_data.tools.findings import ValidateConfig
    from parc_data.tools.validate import Validator
    from parc_motion.skeletons import load_skeleton

    config = ValidateConfig()
    validator = Validator(load_skeleton(character), config)

    def part(clip: MotionClip) -> list[Piece]:
        flights = validator.flights(clip)
        bad = flights.impossible(config.max_deficit, config.max_speed_change)
        return pieces_without(clip, flights, bad.numpy())

    return part
