"""The provider of this distribution, for discovery."""

from __future__ import annotations

from parc_core.plugins import Provider, hookimpl

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The provider of this distribution."""
    return [
        Provider(
            kind="executor",
            name="slurm",
            target="parc_slurm.executor:SlurmExecutor",
            config="parc_slurm.config:SlurmConfig",
            summary="submits batches and chunks to Slurm as array jobs",
        )
    ]
