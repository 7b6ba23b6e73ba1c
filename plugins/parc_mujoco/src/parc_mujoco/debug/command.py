"""The verb `parc debug`."""

from __future__ import annotations

import json
import pathlib

import click

__all__ = ["debug"]


@click.command("debug", short_help="replay the last steps of a simulation that diverged")
@click.argument("dump", type=click.Path(path_type=pathlib.Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def debug(dump: pathlib.Path, as_json: bool) -> None:
    """Replay DUMP, a file in the folder dumps of a run, and say which number ran away first.

    The steps are simulated by MuJoCo on the CPU. Exit code 1: they do not diverge in the step in which they were
    recorded to; dumps of simulator mujoco_warp need not, because that one computes in single precision.
    """
    from parc_mujoco.debug.dump import load_dump
    from parc_mujoco.debug.replay import replay

    found = load_dump(dump)
    result = replay(found)
    if as_json:
        fields = {
            "dump": str(dump),
            **{name: found.header[name] for name in ("simulator", "env_id", "terrain_id", "clip")},
            "steps": result.num_steps,
            "equal_steps": result.equal_steps,
            "diverged_at": result.diverged_at,
            "as_recorded": result.as_recorded,
            "first_not_finite": result.what,
        }
        click.echo(json.dumps(fields, indent=1, ensure_ascii=False))
    else:
        seconds = result.num_steps / found.header["control_hz"]
        click.echo(f"{dump}: {found.title}")
        click.echo(f"{result.num_steps} steps, {seconds:.2f} s; it diverged in the last one")
        if result.diverged_at is None:
            click.echo("replayed: it does not diverge")
        else:
            how = "as recorded" if result.as_recorded else "earlier than recorded"
            click.echo(f"replayed: it diverges in step {result.diverged_at}, {how}; first: {result.what}")
        click.echo(
            f"{result.equal_steps} of {result.num_steps - 1} steps before the last end in exactly the recorded state"
        )
    raise click.exceptions.Exit(0 if result.as_recorded else 1)
