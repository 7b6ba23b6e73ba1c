"""Metric sink `wandb`: one Weights & Biases run per job."""

from __future__ import annotations

import hashlib
import itertools
import pathlib
from collections.abc import Sequence

from parc_core.interfaces import MetricRecord, MetricSink
from parc_motion.storage import make_folder
from parc_sinks.config import WandbConfig
from parc_sinks.missing import require

__all__ = ["WandbSink"]


class WandbSink(MetricSink):
    """Logs to a run whose id is derived from the job's folder, so that a resumed job continues the same run.

    Steps may repeat after an interruption, which Weights & Biases refuses; they are therefore logged as the metric
    ``step``, the x-axis of all charts.
    """

    def __init__(self, config: WandbConfig, *, folder: pathlib.Path) -> None:
        wandb = require("wandb", "wandb")
        folder = pathlib.Path(folder).resolve()
        make_folder(folder)
        self._run = wandb.init(
            project=config.project,
            entity=config.entity,
            mode=config.mode,
            dir=str(folder),
            name="/".join(folder.parts[-3:]),
            id=hashlib.sha256(str(folder).encode()).hexdigest()[:16],
            resume="allow",
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def write(self, records: Sequence[MetricRecord]) -> None:
        """Log the records, those of one step together."""
        for step, group in itertools.groupby(records, key=lambda record: record.step):
            values = {record.name: float(record.value) for record in group}
            self._run.log({"step": int(step), **values})

    def close(self) -> None:
        """Finish the run; may be called twice."""
        if self._run is not None:
            self._run.finish()
            self._run = None
