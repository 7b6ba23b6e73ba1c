"""Metric sink `wandb`: one Weights & Biases run per job."""

from __future__ import annotations

import hashlib
import itertools
import pathlib
from collections.abc import Sequence
from typing import Any

from parc_core.interfaces import JobInfo, MetricRecord, MetricSink
from parc_motion.storage import make_folder
from parc_sinks.config import WandbConfig
from parc_sinks.missing import require

__all__ = ["WandbSink"]


class WandbSink(MetricSink):
    """Logs to a run whose id is derived from where the job's files will lie, so that a resumed job continues that run.

    Its config holds the settings of the iteration, its group is the run of PARC and its job type the stage. Its files
    lie in `wandb/` of the run folder. Steps may repeat after an interruption, which Weights & Biases refuses; they are
    therefore logged as the metric ``step``, the x-axis of all charts.
    """

    def __init__(self, config: WandbConfig, *, folder: pathlib.Path, job: JobInfo | None = None) -> None:
        wandb = require("wandb", "wandb")
        folder = make_folder(pathlib.Path(folder)).resolve()
        lasting = folder if job is None else job.folder.resolve()
        # Files and links of the package change after `finish`, so they cannot be among the results of a job.
        place = folder if job is None else job.run_folder.resolve()
        self._run = wandb.init(
            project=config.project,
            entity=config.entity,
            mode=config.mode,
            dir=str(place),
            id=hashlib.sha256(str(lasting).encode()).hexdigest()[:16],
            resume="allow",
            allow_val_change=True,  # settings that a resumed job has changed, such as its length
            **({"name": "/".join(folder.parts[-3:])} if job is None else _facts(job)),
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def write(self, records: Sequence[MetricRecord]) -> None:
        """Log the records, those of one step together."""
        for step, group in itertools.groupby(records, key=lambda record: record.step):
            together = list(group)
            values = {record.name: float(record.value) for record in together}
            self._run.log({"step": int(step), "_timestamp": together[-1].wall_time, **values})

    def close(self) -> None:
        """Finish the run; may be called twice."""
        if self._run is not None:
            self._run.finish()
            self._run = None


def _facts(job: JobInfo) -> dict[str, Any]:
    """What the run is called, and what it shows of the job."""
    about = {"name": job.name, "iteration": job.iteration, "versions": dict(job.versions)}
    return {
        "name": f"{job.run}/{job.name}",
        "group": job.run,
        "job_type": job.stage,
        "config": {**job.settings, "job": about},
    }
