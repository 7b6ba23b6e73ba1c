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
            name="ray",
            target="parc_ray.executor:RayExecutor",
            config="parc_ray.config:RayConfig",
            summary="each job is a task of a Ray cluster, or of Ray on this machine",
        )
    ]
