"""The verb `parc eval env`."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import click

__all__ = ["env"]


@click.command("env", short_help="steps per second by part")
@click.argument("clips", nargs=-1, type=click.Path(path_type=pathlib.Path))
@click.option(
    "--num-envs",
    multiple=True,
    type=click.IntRange(1),
    default=(256,),
    show_default=True,
    help="Number of environments; may be repeated, each gives a row.",
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="Number of control steps that are measured.",
)
@click.option(
    "--warm-up",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Number of control steps before them, not measured.",
)
@click.option("--device", default="cpu", show_default=True, help="Device of the environment.")
@click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of the simulator."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the episodes.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting, e.g. simulator.use=mujoco_warp, env.preset=cpu, agent.use=zero.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def env(
    clips: tuple[pathlib.Path, ...],
    num_envs: tuple[int, ...],
    steps: int,
    warm_up: int,
    device: str,
    threads: int,
    seed: int,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Control steps per second of a tracking environment, and which part of it takes the time.

    CLIPS are clip files (.npz) or folders of them; without any, a character swings its joints on 16 terrains of boxes.
    Episodes are those of a training: environments whose episode has ended restart at once, which is measured too.
    """
    from parc_deepmimic.bench.run import Bench

    job = Bench.of(overrides, clips, device=device, threads=threads, seed=seed)
    rows = [job.run(count, steps, warm_up) for count in num_envs]
    document = {**job.description(), "device": device, "threads": threads, "rows": rows}
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        _print(document)


def _print(document: dict[str, Any]) -> None:
    click.echo(
        f"{document['env']} on {document['simulator']} ({document['device']}, {document['threads']} threads), "
        f"{document['num_motions']} motions, {document['obs_size']} numbers observed, agent {document['agent']}"
    )
    for row in document["rows"]:
        memory = "" if row["gpu_memory_mb"] is None else f", {row['gpu_memory_mb']:.0f} MB on the GPU"
        click.echo(
            f"\n{row['num_envs']} environments: {row['steps_per_s']:,.0f} steps/s "
            f"({row['ms_per_step']:.2f} ms per step, {row['cpu_ms_per_step']:.2f} ms of CPU; "
            f"{row['episodes_per_step']:.1f} episodes end in a step{memory})"
        )
        for name, part in row["parts"].items():
            rate = f"{part['steps_per_s']:>14,.0f} steps/s" if part["steps_per_s"] else ""
            click.echo(f"  {name:12s} {part['ms_per_step']:9.3f} ms {part['share']:7.1%} {rate}")
