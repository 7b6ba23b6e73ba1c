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
            name="sac",
            target="parc_sac.sac:SacAgent",
            config="parc_sac.config:SacConfig",
            summary="soft actor-critic (FastSAC): off-policy, distributional critics",
        ),
    ]
