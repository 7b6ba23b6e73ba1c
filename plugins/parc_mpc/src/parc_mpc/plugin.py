"""The providers of this distribution, for discovery."""

from __future__ import annotations

from parc_core.plugins import Provider, hookimpl

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        Provider(
            kind="agent",
            name="mpc",
            target="parc_mpc.agent:MpcAgent",
            config="parc_mpc.config:MpcConfig",
            summary="sampling-based planning in the simulator, without training",
        ),
    ]
