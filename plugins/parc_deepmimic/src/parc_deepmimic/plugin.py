"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins import Command, Provider, hookimpl

PARC_API = (1, 0)

# name, module:stem of the classes (StemTerm and StemConfig), summary
_REWARD_TERMS = (
    ("pose", "joints:Pose", "joint rotations match the reference"),
    ("vel", "joints:Vel", "joint velocities match"),
    ("root", "root:Root", "root position and rotation match"),
    ("root_vel", "root:RootVel", "root velocities match"),
    ("key", "bodies:Key", "positions of hands and feet match"),
    ("body_pos", "bodies:BodyPos", "positions of all bodies match"),
    ("body_rot", "bodies:BodyRot", "rotations of all bodies match"),
    ("contact", "contacts:Contact", "contacts agree with the reference"),
    ("published_contact", "contacts:PublishedContact", "published contact term, -1 to 1"),
)
_TERMINATION_TERMS = (
    ("root", "lost:Root", "the root is too far from the reference"),
    ("body", "lost:Body", "a body is too far from the reference"),
    ("fall", "lost:Fall", "a body touches something that must not"),
)


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
            results_version=2,  # contacts are those with the ground
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
            results_version=2,  # labels are contacts with the ground
        ),
        *(_term("reward_term", *row) for row in _REWARD_TERMS),
        *(_term("termination_term", *row) for row in _TERMINATION_TERMS),
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


def _term(kind: str, name: str, stem: str, summary: str) -> Provider:
    target = f"parc_deepmimic.terms.{stem}"
    return Provider(kind=kind, name=name, target=f"{target}Term", config=f"{target}Config", summary=summary)
