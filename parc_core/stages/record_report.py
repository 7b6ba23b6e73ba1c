"""`report.json` of stage 4: the outcome of every motion, rewritten after each chunk."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs

from parc_core.interfaces import Recorded, RecordReport, furthest
from parc_motion.clips import MotionDataset

__all__ = ["FORMAT", "extended", "missing", "report_of", "summary_of"]

FORMAT = 1


def report_of(motions: MotionDataset, recorded: list[dict], lost: dict[str, dict]) -> dict[str, Any]:
    """The document: ``format``, ``summary``, ``recorded`` (a row per clip) and ``lost`` {motion: why}.

    A row of a part also says why the rest of its motion is missing.
    """
    summary = summary_of(motions, recorded, lost)
    return {"format": FORMAT, "summary": summary, "recorded": recorded, "lost": lost}


def extended(
    document: dict[str, Any], report: RecordReport, motions: MotionDataset, files: dict[str, str]
) -> dict[str, Any]:
    """The document with what a chunk gave.

    Args:
        motions: all motions of the stage.
        files: clip name -> where the clip was written, relative to the stage's folder.
    """
    entries = {entry.name: entry for entry in motions.entries}
    rows = [_row(one, entries[one.motion].origin, files[one.clip.name]) for one in report.recorded]
    lost = {
        name: {
            "origin": entries[name].origin,
            "reason": furthest(misses).reason,
            "text": furthest(misses).text,
            "tries": [attrs.asdict(miss) for miss in misses],
        }
        for name, misses in report.lost.items()
    }
    return report_of(motions, document["recorded"] + rows, document["lost"] | lost)


def missing(document: dict[str, Any], names: list[str]) -> bool:
    """Whether the document does not say of all of these motions what became of them."""
    known = {row["motion"] for row in document["recorded"]} | set(document["lost"])
    return not known.issuperset(names)


def summary_of(motions: MotionDataset, recorded: list[dict], lost: dict[str, dict]) -> dict[str, Any]:
    """Counts: a part is a clip (``out``), but its motion is not ``recorded``."""
    followed = [row for row in recorded if row["kept"] != "partial"]
    names = sorted({name for row in followed for name in row["errors"]})
    generated = {entry.name for entry in motions.entries if entry.origin == "generated"}
    reasons = [row["reason"] for row in lost.values()]
    return {
        "in": len(motions),
        "out": len(recorded),
        "recorded": len(followed),
        "partial": len(recorded) - len(followed),
        "by_agent": dict(sorted(Counter(row["agent"] for row in followed).items())),
        "whole": sum(row["kept"] == "whole" for row in followed),
        "generated": len(generated),
        "generated_recorded": sum(row["motion"] in generated for row in followed),
        "rejected": dict(sorted(Counter(reasons).items())),
        "errors": {
            name: sum(row["errors"].get(name, 0.0) for row in followed) / len(followed) for name in names
        },
    }


def _row(one: Recorded, origin: str, file: str) -> dict[str, Any]:
    row = {
        "motion": one.motion,
        "clip": one.clip.name,
        "file": file,
        "origin": origin,
        "agent": one.agent,
        "kept": one.kept,
        "start_fraction": one.start_fraction,
        "start_s": one.clip.provenance.notes.get("start_s"),
        "length_s": one.clip.length,
        "attempts": one.attempts,
        "errors": {name: float(value) for name, value in one.errors.items()},
        "scores": {name: float(value) for name, value in one.clip.provenance.scores.items()},
        "tries": [attrs.asdict(miss) for miss in one.misses],
    }
    if one.kept == "partial" and one.misses:
        main = furthest(one.misses)
        row |= {"reason": main.reason, "text": main.text}
    return row
