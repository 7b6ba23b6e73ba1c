"""The verbs `parc eval tracker` and `parc eval cross`."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import click

__all__ = ["cross", "tracker"]

_PATH = click.Path(path_type=pathlib.Path)


def _common_options(verb: Callable[..., None]) -> Callable[..., None]:
    """The options that both verbs have."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option(
            "--threads",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="Threads of the simulator.",
        ),
        click.option("--device", default="cpu", show_default=True, help="Device of the environment."),
        click.option(
            "--num-envs",
            type=click.IntRange(1),
            default=256,
            show_default=True,
            help="Largest number of playbacks side by side.",
        ),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Change a setting, e.g. env.preset=cpu, simulator.use=mujoco_warp, agent.samples=128.",
        ),
    ):
        verb = option(verb)
    return verb


@click.command("tracker", short_help="how well a policy follows a set of motions")
@click.argument("policy", required=False, type=_PATH)
@click.option(
    "--dataset",
    "-d",
    "datasets",
    multiple=True,
    required=True,
    metavar="D",
    help="Clip file, folder of clips, data set's manifest, or motion source such as procedural. May be repeated.",
)
@click.option("--agent", help="Instead of POLICY: an agent that needs no policy, e.g. mpc or reference.")
@click.option(
    "--env-from", type=_PATH, help="Run folder, iteration folder or iteration file to take settings from."
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Number of seeds of perturbed starts.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option(
    "--every",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Control frames between the starts of the survival figure; 0: no survival figure.",
)
@click.option(
    "--perturbed",
    type=click.IntRange(0),
    default=8,
    show_default=True,
    help="Number of perturbed starts per motion and seed; 0: none.",
)
@click.option(
    "--joint-noise",
    type=click.FloatRange(0.0),
    default=0.075,
    show_default=True,
    help="Standard deviation of perturbed starts per joint axis, rad.",
)
@_common_options
def tracker(
    policy: pathlib.Path | None,
    datasets: tuple[str, ...],
    agent: str | None,
    env_from: pathlib.Path | None,
    overrides: tuple[str, ...],
    device: str,
    threads: int,
    seed: int,
    as_json: bool,
    **choices: Any,
) -> None:
    """How well POLICY, a folder that an agent wrote, follows the motions of a data set.

    Success: the share of motions followed from the first frame to the last. Survival: the share of all start frames
    from which the end is reached. Perturbed: the share of perturbed first frames. Joint error: mean distance of the
    bodies from the reference, relative to the roots, over all steps followed.

    The environment is the one that the policy was trained in; --set changes parts of it.
    """
    from parc_core.plugins import Registry
    from parc_deepmimic.evaluate.clips import load_clips
    from parc_deepmimic.evaluate.evaluation_envs import EvaluationEnvs
    from parc_deepmimic.evaluate.tables import tracker_table
    from parc_deepmimic.evaluate.tracker import Plan, evaluate_tracker
    from parc_deepmimic.evaluate.trained_in import find_policy, load_setup
    from parc_motion.skeletons import load_skeleton

    if (policy is None) == (agent is None):
        raise click.UsageError(
            "give either POLICY, a policy's folder, or --agent with an agent that needs none."
        )
    if any(text.partition("=")[0].strip() == "env.start.joint_noise" for text in overrides):
        raise click.UsageError(
            "--set env.start.joint_noise: the noise of the evaluation is set with --joint-noise."
        )
    registry = Registry.discover()
    known = None if policy is None else find_policy(policy)
    setup, source = load_setup(registry, known, agent=agent, env_from=env_from, overrides=overrides)
    envs = EvaluationEnvs(registry=registry, setup=setup, device=device, threads=threads, seed=seed)
    clips = load_clips(datasets, registry, load_skeleton(setup.character), seed)
    document = {
        "policy": None if known is None else str(known.folder),
        **{name: getattr(setup, name).name for name in ("agent", "env", "simulator")},
        "character": setup.character,
        "settings_from": source,
        "dataset": list(datasets),
        "seeds": choices["seeds"],
        **evaluate_tracker(envs, known, clips, Plan(**choices), _say),
    }
    _print(document, tracker_table, as_json)


@click.command("cross", short_help="every generator of a run against every tracker")
@click.argument("runs", nargs=-1, required=True, type=_PATH)
@click.option("--raw", is_flag=True, help="Take clips as they were generated, not as they were optimized.")
@_common_options
def cross(
    runs: tuple[pathlib.Path, ...],
    raw: bool,
    overrides: tuple[str, ...],
    device: str,
    threads: int,
    num_envs: int,
    as_json: bool,
) -> None:
    """How well the tracker of every iteration of RUNS follows the clips that every iteration generated.

    Each cell is the share of a generator's clips that a tracker follows from the first frame to the last, and its joint
    error. Each tracker works in the environment that it was trained in.
    """
    from parc_core.plugins import Registry
    from parc_deepmimic.evaluate.cross import evaluate_cross, find_iterations
    from parc_deepmimic.evaluate.tables import cross_table

    found = evaluate_cross(
        Registry.discover(),
        find_iterations(runs, raw),
        overrides=overrides,
        device=device,
        threads=threads,
        num_envs=num_envs,
        say=_say,
    )
    _print({"clips": "raw" if raw else "optimised", **found}, cross_table, as_json)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _print(document: dict[str, Any], table: Callable[[dict[str, Any]], Any], as_json: bool) -> None:
    lines = [json.dumps(document, indent=1, allow_nan=False)] if as_json else table(document)
    for line in lines:
        click.echo(line)
