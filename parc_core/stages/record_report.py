"""`report.json` of stage 4: the outcome of every motion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs

from parc_core.interfaces import Recorded, RecordReport, furthest
from parc_motion.clips import MotionDataset

__all__ = ["FORMAT", "joined", "report_of_chunk", "summary_of"]

FORMAT = 1


def report_of_chunk(report: RecordReport, motions: MotionDataset, files: dict[str, str]) -> dict[str, Any]:
    """The document of a chunk: ``format``, ``summary``, ``recorded`` (a row per clip) and ``lost`` {motion: why}.

    A row of a part also says why the rest of its motion is missing.

    Args:
        motions: the motions of the chunk.
        files: clip name -> where the clip was written, relative to the folder of the document.
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
    return _document(motions, rows, lost)


def joined(documents: Sequence[dict[str, Any]], motions: MotionDataset) -> dict[str, Any]:
    """One document from those of the chunks.

    Args:
        motions: all motions of the stage.
    """
    rows = [row for document in documents for row in document["recorded"]]
    lost = {name: why for document in documents for name, why in document["lost"].items()}
    return _document(motions, rows, lost)


def _document(motions: MotionDataset, recorded: list[dict], lost: dict[str, dict]) -> dict[str, Any]:
    summary = summary_of(motions, recorded, lost)
    return {"format": FORMAT, "summary": summary, "recorded": recorded, "lost": lost}


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
