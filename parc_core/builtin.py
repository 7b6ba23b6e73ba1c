"""The providers of the core, registered like those of any plugin."""

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
            summary="writes one JSON object per metric to metrics.jsonl",
        ),
        Provider(
            kind="executor",
            name="local",
            target="parc_core.runner.local:LocalExecutor",
            config="parc_core.runner.local:LocalConfig",
            summary="runs jobs in worker processes of this machine",
        ),
    ]
