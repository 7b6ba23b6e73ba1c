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
            summary="scores contact, penetration, path, smoothness and progress",
        ),
        Provider(
            kind="selector",
            name="first",
            target="parc_kinopt.select:FirstSelector",
            config="parc_kinopt.select:FirstConfig",
            summary="keeps the order of the candidates",
        ),
        Provider(
            kind="selector",
            name="random",
            target="parc_kinopt.select:RandomSelector",
            config="parc_kinopt.select:RandomConfig",
            summary="puts the candidates into random order",
        ),
        Provider(
            kind="optimizer",
            name="kinopt",
            target="parc_kinopt.optimizer:KinematicOptimizer",
            config="parc_kinopt.optimizer:KinoptConfig",
            summary="removes hesitation and optimizes motions kinematically",
        ),
        Provider(
            kind="optimizer",
            name="none",
            target="parc_kinopt.optimizer:NoOptimizer",
            config="parc_kinopt.optimizer:NoneConfig",
            summary="leaves clips as they are",
        ),
    ]


@hookimpl
def parc_commands() -> list[Command]:
    """The verbs of this distribution."""
    return [
        Command(
            name="kinopt",
            target="parc_kinopt.report.command:kinopt",
            summary="inspect the refinement of generated clips",
        )
    ]
