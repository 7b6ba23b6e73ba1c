"""Metric sink `tensorboard`: event files for TensorBoard."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Sequence

import numpy as np

from parc_core.interfaces import MetricRecord, MetricSink
from parc_motion.errors import StorageError
from parc_sinks.config import TensorBoardConfig
from parc_sinks.missing import require

__all__ = ["TensorBoardSink"]


class TensorBoardSink(MetricSink):
    """Writes scalars in double precision to an event file; a resumed job adds another file to the same folder.

    Every write is flushed, so that TensorBoard shows a running job.
    """

    def __init__(self, config: TensorBoardConfig, *, folder: pathlib.Path) -> None:
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
                self._events.Event(wall_time=time.time(), step=int(record.step), summary=summary)
            )
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the file; may be called twice."""
        self._writer.close()
