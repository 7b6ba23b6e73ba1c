"""The providers of this distribution, for discovery."""

from __future__ import annotations

from parc_core.plugins import Provider, hookimpl

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        Provider(
            kind="metric_sink",
            name="tensorboard",
            target="parc_sinks.tensorboard:TensorBoardSink",
            config="parc_sinks.config:TensorBoardConfig",
            summary="event files for TensorBoard",
        ),
        Provider(
            kind="metric_sink",
            name="wandb",
            target="parc_sinks.wandb:WandbSink",
            config="parc_sinks.config:WandbConfig",
            summary="one Weights & Biases run per job",
        ),
    ]
