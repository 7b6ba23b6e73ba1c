"""Metric sink `jsonl`: one JSON object per number, in the job's `metrics.jsonl`."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Sequence

import attrs

from parc_core.config import setting
from parc_core.interfaces import MetricRecord, MetricSink
from parc_motion import storage

__all__ = ["JsonlConfig", "JsonlSink"]


@attrs.frozen(kw_only=True)
class JsonlConfig:
    """Settings of the sink."""

    file: str = setting("metrics.jsonl", help="name of the file in the job's folder")

    def __attrs_post_init__(self) -> None:
        if pathlib.PurePath(self.file).name != self.file:
            raise ValueError(f"file is '{self.file}', expected a plain file name")


class JsonlSink(MetricSink):
    """Appends ``{"step", "name", "value", "time"}`` lines; one write is one fsync, however many records it holds.

    `time` is when the value was reported, in seconds since the epoch, to the millisecond.

    JSON has no NaN: a value that is not finite is written as a string ("nan", "inf"), so that it is seen and not lost.
    """

    def __init__(self, config: JsonlConfig, *, folder: pathlib.Path) -> None:
        self.path = pathlib.Path(folder) / config.file

    def write(self, records: Sequence[MetricRecord]) -> None:
        """Append the records; they are on disk when this returns."""
        lines = [_line(record) for record in records]
        if lines:
            storage.append_line(self.path, "\n".join(lines))


def _line(record: MetricRecord) -> str:
    value = float(record.value)
    shown = value if math.isfinite(value) else str(value)
    row = {
        "step": int(record.step),
        "name": record.name,
        "value": shown,
        "time": round(record.wall_time, 3),
    }
    return json.dumps(row, ensure_ascii=False)
