"""Metric sink `tensorboard`: event files for TensorBoard."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Sequence

import numpy as np
import yaml

from parc_core.interfaces import JobInfo, MetricRecord, MetricSink
from parc_motion.errors import StorageError
from parc_sinks.config import TensorBoardConfig
from parc_sinks.missing import require

__all__ = ["TensorBoardSink"]


class TensorBoardSink(MetricSink):
    """Writes scalars in double precision to an event file; a resumed job adds another file to the same folder.

    Every file begins with the text ``job`` at step 0: run, stage, versions and settings as YAML. Every write is
    flushed, so that TensorBoard shows a running job.
    """

    def __init__(
        self, config: TensorBoardConfig, *, folder: pathlib.Path, job: JobInfo | None = None
    ) -> None:
        writer = require("tensorboard.summary.writer.event_file_writer", "tensorboard")
        self._events = require("tensorboard.compat.proto.event_pb2", "tensorboard")
        self._summaries = require("tensorboard.compat.proto.summary_pb2", "tensorboard")
        self._tensors = require("tensorboard.util.tensor_util", "tensorboard")
        scalars = require("tensorboard.plugins.scalar.metadata", "tensorboard")
        self._metadata = scalars.create_summary_metadata(display_name="", description="")
        place = pathlib.Path(folder) / config.subfolder
        try:
            self._writer = writer.EventFileWriter(str(place))
        except OSError as err:
            raise StorageError(f"{place}: TensorBoard's event file cannot be written: {err}.") from err
        if job is not None:
            texts = require("tensorboard.plugins.text.summary_v2", "tensorboard")
            summary = texts.text_pb("job", _as_code(_yaml(job)))
            self._writer.add_event(self._events.Event(wall_time=time.time(), step=0, summary=summary))
            self._writer.flush()

    def write(self, records: Sequence[MetricRecord]) -> None:
        """Append the records."""
        if not records:
            return
        for record in records:
            value = self._summaries.Summary.Value(
                tag=record.name,
                metadata=self._metadata,
                tensor=self._tensors.make_tensor_proto(float(record.value), dtype=np.float64),
            )
            summary = self._summaries.Summary(value=[value])
            self._writer.add_event(
                self._events.Event(wall_time=record.wall_time, step=int(record.step), summary=summary)
            )
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the file; may be called twice."""
        self._writer.close()


def _yaml(job: JobInfo) -> str:
    facts = {
        "run": job.run,
        "job": job.name,
        "iteration": job.iteration,
        "stage": job.stage,
        "folder": str(job.folder),
        "versions": dict(job.versions),
        "settings": dict(job.settings),
    }
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)


def _as_code(text: str) -> str:
    """Markdown that shows the text as it is."""
    return "".join(f"    {line}\n" for line in text.splitlines())
