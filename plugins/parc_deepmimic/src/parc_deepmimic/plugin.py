"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins import Command, Provider, hookimpl

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
            config="parc_deepmimic.retry_config:RetryConfig",
            summary="keeps what was tracked, retries from later starts",
        ),
    ]


@hookimpl
def parc_commands() -> list[Command]:
    """The verbs of this distribution."""
    return [
        Command(
            name="eval tracker",
            target="parc_deepmimic.evaluate.command:tracker",
            summary="how well a policy follows a set of motions",
        ),
        Command(
            name="eval cross",
            target="parc_deepmimic.evaluate.command:cross",
            summary="every generator of a run against every tracker",
        ),
        Command(
            name="eval env",
            target="parc_deepmimic.bench.command:env",
            summary="steps per second of a tracking environment",
        ),
        Command(
            name="eval replay",
            target="parc_deepmimic.replay_command:replay",
            summary="recorded clips simulated again and compared",
        ),
    ]
