"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins import Command, Provider, hookimpl

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


@hookimpl
def parc_commands() -> list[Command]:
    """The verbs of this distribution."""
    return [
        Command(
            name="eval generator",
            target="parc_mdm.evaluate.command:generator",
            summary="quality of a generator's motions on unseen terrain",
        ),
    ]
