"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins import Command, Provider, hookimpl

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        Provider(
            kind="selector",
            name="heuristic",
            target="parc_kinopt.select:HeuristicSelector",
            config="parc_kinopt.select:HeuristicConfig",
            summary="contact, penetration, path, smoothness and progress",
        ),
        Provider(
            kind="selector",
            name="first",
            target="parc_kinopt.select:FirstSelector",
            config="parc_kinopt.select:FirstConfig",
            summary="candidates in the order they came",
        ),
        Provider(
            kind="selector",
            name="random",
            target="parc_kinopt.select:RandomSelector",
            config="parc_kinopt.select:RandomConfig",
            summary="candidates in random order",
        ),
        Provider(
            kind="optimizer",
            name="kinopt",
            target="parc_kinopt.optimizer:KinematicOptimizer",
            config="parc_kinopt.optimizer:KinoptConfig",
            summary="hesitation removal and kinematic optimization",
        ),
        Provider(
            kind="optimizer",
            name="none",
            target="parc_kinopt.optimizer:NoOptimizer",
            config="parc_kinopt.optimizer:NoneConfig",
            summary="clips as they are",
        ),
    ]


@hookimpl
def parc_commands() -> list[Command]:
    """The verbs of this distribution."""
    return [
        Command(
            name="kinopt",
            target="parc_kinopt.report.command:kinopt",
            summary="look at what refinement did to generated clips",
        )
    ]
