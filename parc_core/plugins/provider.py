"""What a plugin declares: names, and where the code is; nothing is imported yet."""

from __future__ import annotations

import attrs

__all__ = ["KINDS", "WEIGHTED_KINDS", "Command", "Provider", "required_settings", "reserved_keys"]

KINDS = (
    "motion_source",
    "generator",
    "terrain_source",
    "planner",
    "selector",
    "optimizer",
    "simulator",
    "tracker_env",
    "agent",
    "recorder",
    "executor",
    "metric_sink",
    "reward_term",
    "observation_term",
    "termination_term",
    "generator_loss",
    "generator_network",
    "policy_network",
)
WEIGHTED_KINDS = ("reward_term", "generator_loss")  # terms of a sum: `weight` is one of their settings


def reserved_keys(kind: str) -> tuple[str, ...]:
    """The keys beside a provider's settings in a file, which the loader reads itself."""
    return ("use", "preset") if kind in WEIGHTED_KINDS else ("use", "preset", "weight")


def required_settings(kind: str) -> dict[str, str]:
    """Settings that every provider of a kind has, because a run reads them, and how a class declares each."""
    if kind == "simulator":
        return {"num_envs": "num_envs: int = setting(256, ge=1, help=...)"}
    return {"weight": "weight: float = setting(1.0, ge=0, help=...)"} if kind in WEIGHTED_KINDS else {}


@attrs.frozen(kw_only=True)
class Provider:
    """One implementation of one kind.

    `target` and `config` are ``"module:attribute"``; they are imported when the provider is chosen. The target is
    called as ``target(config, **collaborators)``; which collaborators, the interface's docstring says. Without
    `config`, the target's signature says what its settings are, see `parc_core.plugins.signature`.

    Releases of code never make finished work unfinished. Where a release makes other results from the same settings on
    purpose, raise `results_version`: finished work stays, and a run tells that it was made by an earlier version; work
    that was only begun is begun again.
    """

    kind: str = attrs.field(validator=attrs.validators.in_(KINDS))
    name: str = attrs.field(validator=attrs.validators.matches_re(r"[a-z][a-z0-9_]*"))
    target: str = attrs.field(validator=attrs.validators.matches_re(r"[\w.]+:\w+"))
    config: str = attrs.field(default="", validator=attrs.validators.matches_re(r"([\w.]+:\w+)?"))
    summary: str = ""
    results_version: int = 1


@attrs.frozen(kw_only=True)
class Command:
    """A verb that a plugin adds to `parc`; `target` is a click command, imported when the verb is used.

    A name of two words, ``eval tracker``, is a verb in a group; several distributions may add to the same group.
    """

    name: str = attrs.field(validator=attrs.validators.matches_re(r"[a-z][a-z0-9-]*( [a-z][a-z0-9-]*)?"))
    target: str = attrs.field(validator=attrs.validators.matches_re(r"[\w.]+:\w+"))
    summary: str = ""

    @property
    def group(self) -> str:
        """The group that the verb is in; empty for a verb outside of groups."""
        return self.name.rpartition(" ")[0]

    @property
    def verb(self) -> str:
        """Its name within the group."""
        return self.name.rpartition(" ")[2]
