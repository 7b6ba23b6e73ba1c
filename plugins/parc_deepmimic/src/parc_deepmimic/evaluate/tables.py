"""The results of evaluations as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from parc_deepmimic.errors import ERROR_UNITS

__all__ = ["cross_table", "tracker_table"]


def tracker_table(document: dict[str, Any]) -> Iterator[str]:
    """Lines for people: figures with their intervals, then classes, then clips."""
    yield (
        f"{document['agent']} in {document['env']} on {document['simulator']}, {document['motions']} motions "
        f"(settings: {document['settings_from']})"
    )
    yield ""
    yield from _figures(document)
    columns = ["success", *(name for name in ("survival", "perturbed") if name in document), "joint_error"]
    yield ""
    rows = [("class", "clips", *columns)]
    rows += [(name, str(row["clips"]), *_cells(row, columns)) for name, row in document["classes"].items()]
    yield from _aligned(rows)
    yield ""
    rows = [("clip", "followed s", *columns)]
    for row in document["clips"]:
        followed = f"{row['tracked_s']:.2f} of {row['length_s']:.2f}"
        rows.append((row["motion"], followed, *_cells(row, columns)))
    yield from _aligned(rows)


def cross_table(document: dict[str, Any]) -> Iterator[str]:
    """Lines for people: a row per generator, a column per tracker."""
    yield f"{document['clips']} clips of generators (rows), followed by trackers (columns): success, joint error"
    yield ""
    trackers = [tracker["label"] for tracker in document["trackers"]]
    found = {(cell["generator"], cell["tracker"]): cell for cell in document["cells"]}
    rows = [("generator", "clips", *(f"tracker {label}" for label in trackers))]
    for generator in document["generators"]:
        cells = (_cross_cell(found.get((generator["label"], label))) for label in trackers)
        rows.append((generator["label"], str(generator["clips"]), *cells))
    yield from _aligned(rows)


def _figures(document: dict[str, Any]) -> Iterator[str]:
    rows = [("figure", "value", "95 %", "")]
    one = document["success"]
    rows.append(
        ("success", _percent(one["share"]), _range(one), f"{one['survived']} of {one['starts']} from frame 0")
    )
    if "survival" in document:
        one = document["survival"]
        text = f"{one['survived']} of {one['starts']} start frames"
        rows.append(("survival", _percent(one["share"]), _range(one), text))
    if "perturbed" in document:
        one = document["perturbed"]
        seeds = ", ".join(_percent(share) for share in one["by_seed"])
        text = f"{one['survived']} of {one['starts']} perturbed starts; by seed {seeds}"
        rows.append(("perturbed", _percent(one["share"]), _range(one), text))
    one = document["joint_error"]
    if one is not None:
        known = one["low"] is not None
        rows.append(
            (
                "joint error",
                _meters(one["mean"]),
                _span(one, "{:.3f}") if known else "-",
                "all steps followed",
            )
        )
    yield from _aligned(rows)
    errors = (
        f"{name} {value:.3f} {ERROR_UNITS.get(name, '')}".rstrip()
        for name, value in document["errors"].items()
    )
    yield f"errors       {', '.join(errors)}"


def _cells(row: dict[str, Any], columns: list[str]) -> list[str]:
    return [_meters(row[name]) if name == "joint_error" else _percent(row[name]) for name in columns]


def _cross_cell(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "-"
    error = cell["joint_error"]
    return f"{_percent(cell['success']['share'])}  {_meters(None if error is None else error['mean'])}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _meters(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} m"


def _range(one: dict[str, Any]) -> str:
    if one["low"] is None:
        return "-"
    return f"{100 * one['low']:.0f}..{100 * one['high']:.0f} %"


def _span(one: dict[str, Any], form: str) -> str:
    return f"{form.format(one['low'])}..{form.format(one['high'])}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip()
