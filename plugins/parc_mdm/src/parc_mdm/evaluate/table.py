"""The evaluation as lines for a person."""

from __future__ import annotations

from typing import Any

from parc_mdm.evaluate.measure import NEAR

__all__ = ["table"]

_MEANING = {
    "FWD": "from the motion's end to the path's end",
    "TPL": "depth inside the ground, per motion",
    "TCL": "contacts away from the ground, per motion",
    "HJF": "frames with a jerk above 11666 m/s^3",
    "arrived": f"of the motions end within {NEAR:g} m of the path's end",
}


def table(document: dict[str, Any]) -> list[str]:
    """Head and one line per figure, with its interval over terrains."""
    lines = [
        f"{document['checkpoint']}: {document['motions']} motions on each of {document['terrains']} terrains, "
        f"{document['seconds_per_motion']:.1f} s and {document['cpu_s_per_motion']:.2f} s of CPU per motion"
    ]
    for name, row in document["figures"].items():
        between = "" if row["low"] is None else f"  ({row['low']:.4g} to {row['high']:.4g})"
        unit = "" if row["unit"] == "share" else row["unit"]
        lines.append(f"  {name:8s} {row['mean']:9.4g} {unit:2s}{between:24s}  {_MEANING[name]}")
    return lines
