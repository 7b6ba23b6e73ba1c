"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins.hookspecs import hookimpl
from parc_core.plugins.provider import Provider

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        Provider(
            kind="generator",
            name="mdm",
            target="parc_mdm.generator:MdmGenerator",
            config="parc_mdm.config:MdmConfig",
            summary="terrain-aware motion diffusion model",
        ),
    ]
