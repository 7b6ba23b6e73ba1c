"""The verb `parc data info`."""

from __future__ import annotations

import pathlib
from typing import Any

import click

from parc_data.command.options import json_option, paths_argument, print_json, print_table

__all__ = ["info"]

_HEADINGS = (
    "class", "clips", "seconds", "frames", "weight", "fps", "length s", "terrain cells", "height m", "contact",
    "speed m/s",
)  # fmt: skip


@click.command("info", short_help="statistics of clips, class by class")
@paths_argument
@json_option
def info(paths: tuple[pathlib.Path, ...], as_json: bool) -> None:
    """Print statistics of PATHS (clips, folders, manifests), class by class."""
    from parc_data.tools.find import find_clips, load_found
    from parc_data.tools.statistics import class_statistics

    found = find_clips(paths)
    weights = [None if item.entry is None else item.entry.weight for item in found]
    *classes, total = class_statistics((load_found(item) for item in found), weights)
    if as_json:
        print_json({"clips": total["clips"], "classes": classes, "all": total})
        return
    print_table(_HEADINGS, [_cells(row) for row in [*classes, {**total, "class": "all"}]])


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["terrain_cells"] or ("", "")
    cells = (
        "-" if not low else "x".join(map(str, low)) + ("" if low == high else ".." + "x".join(map(str, high)))
    )
    missing = f" ({row['without_terrain']} without)" if low and row["without_terrain"] else ""
    slowest, mean, fastest = row["speed_m_s"]
    return [
        row["class"],
        str(row["clips"]),
        f"{row['seconds']:.1f}",
        str(row["frames"]),
        f"{row['weight']:.4f}",
        ", ".join(f"{fps:g}" for fps in row["fps"]),
        _span(row["length_s"]),
        cells + missing,
        _span(row["terrain_height_m"]),
        f"{100 * row['contact_share']:.0f} %"
        + (f" ({row['no_contacts']} none)" if row["no_contacts"] else ""),
        f"{slowest:.1f}..{fastest:.1f}, mean {mean:.2f}",
    ]


def _span(values: list[float] | None) -> str:
    if values is None:
        return "-"
    return f"{values[0]:.2f}" if values[0] == values[1] else f"{values[0]:.2f}..{values[1]:.2f}"
