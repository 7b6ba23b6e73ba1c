"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins.hookspecs import hookimpl
from parc_core.plugins.provider import Command, Provider

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        Provider(
            kind="tracker_env",
            name="deepmimic",
            target="parc_deepmimic.env:DeepMimicEnv",
            config="parc_deepmimic.config:DeepMimicConfig",
            summary="imitation on terrain",
        ),
        *(
            Provider(
                kind="agent",
                name=name,
                target=f"parc_deepmimic.untrained:{name.capitalize()}Agent",
                config=f"parc_deepmimic.config:{name.capitalize()}Config",
                summary=summary,
            )
            for name, summary in (
                ("zero", "actions of zero, for sanity"),
                ("random", "random actions, for sanity"),
                ("reference", "the reference's next pose as servo targets, for sanity"),
            )
        ),
        Provider(
            kind="recorder",
            name="retry",
            target="parc_deepmimic.recorder:RetryRecorder",
            config="parc_deepmimic.recorder:RetryConfig",
            summary="keeps what was tracked, retries from later starts",
        ),
    ]


@hookimpl
def parc_commands() -> list[Command]:
    """The verbs of this distribution."""
    return [
        Command(
            name="env", target="parc_deepmimic.bench.command:env", summary="measure tracking environments"
        )
    ]
