"""What the core itself offers, through the same door as everybody else."""

from __future__ import annotations

from parc_core.plugins import Provider, hookimpl

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of the core."""
    return [
        Provider(
            kind="metric_sink",
            name="jsonl",
            target="parc_core.runner.jsonl:JsonlSink",
            config="parc_core.runner.jsonl:JsonlConfig",
            summary="one JSON object per number in metrics.jsonl",
        ),
        Provider(
            kind="executor",
            name="local",
            target="parc_core.runner.local:LocalExecutor",
            config="parc_core.runner.local:LocalConfig",
            summary="one job after the other in this process",
        ),
    ]
