"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins import Provider, hookimpl

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        Provider(
            kind="agent",
            name="ppo",
            target="parc_ppo.ppo:PpoAgent",
            config="parc_ppo.config:PpoConfig",
            summary="proximal policy optimisation",
        ),
        Provider(
            kind="agent",
            name="dmppo",
            target="parc_ppo.dmppo:DmPpoAgent",
            config="parc_ppo.config:DmPpoConfig",
            summary="PPO with fail-rate curriculum and tracking metrics",
        ),
    ]
