"""The verb `parc data augment`."""

from __future__ import annotations

import pathlib
from typing import Any

import click

from parc_data.augment.config import AugmentConfig, GateConfig
from parc_data.command.options import (
    character_option,
    folder_option,
    json_option,
    paths_argument,
    print_json,
    settings_from,
    settings_options,
)

__all__ = ["augment"]

_BAD_DATA = 65
_VARIATION = (
    "terrain", "heading", "scale_x", "scale_y", "height_scale", "box_side", "box_height", "bad_heights", "num_boxes",
    "center", "crop_length", "padding", "tries", "batch",
)  # fmt: skip
_LIMITS = (
    "min_num_frames",
    "max_root_speed",
    "max_joint_speed",
    "max_limit_excess",
    "max_slide",
    "max_penetration",
    "max_contact_gap",
    "max_deficit",
    "max_speed_change",
    "max_root_deviation",
    "max_pose_deviation",
    "min_contact_share",
    "min_frames_share",
    "min_footing",
)


@click.command("augment", short_help="rotate, scale and raise clips with their terrain")
@paths_argument
@folder_option
@click.option(
    "--variations",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="Variations of each clip.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all samples.")
@click.option(
    "--optimizer",
    "optimizer",
    default="kinopt",
    show_default=True,
    metavar="NAME|YAML",
    help="Optimizer that fits variations to their terrain, e.g. none or '{use: kinopt, jerk_limit: 2000}'.",
)
@click.option(
    "--threads", type=click.IntRange(1), help="Threads of the optimizer; results do not depend on it."
)
@settings_options(AugmentConfig, only=_VARIATION)
@settings_options(GateConfig, only=_LIMITS)
@click.option(
    "--overwrite", is_flag=True, help="Remove variations in OUTPUT that have other settings or parents."
)
@character_option
@json_option
@click.pass_context
def augment(
    ctx: click.Context,
    paths: tuple[pathlib.Path, ...],
    output: pathlib.Path,
    variations: int,
    seed: int,
    optimizer: str,
    threads: int | None,
    overwrite: bool,
    character: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Write variations of PATHS (clips, folders, manifests) as OUTPUT/<class>/<name>_aug_<number>.npz.

    Each is rotated, scaled, put on modified terrain, optimized, and kept if it passes the quality checks; otherwise it
    is sampled again. An interrupted call continues when it is repeated. OUTPUT/augment.json lists the parameters, the
    metrics and the reasons for rejections. The exit code is 65 if a clip could not be varied at all.
    """
    from parc_core.plugins import Registry
    from parc_data.augment.optimizing import optimizer_use, with_threads
    from parc_data.augment.run import Task, augment_files
    from parc_data.tools.find import find_clips
    from parc_motion.skeletons import load_skeleton

    config = settings_from(AugmentConfig, {**given, "gate": settings_from(GateConfig, given)})
    registry, skeleton = Registry.discover(), load_skeleton(character)
    use = optimizer_use(registry, optimizer)
    use = use if threads is None else with_threads(registry, use, threads)
    provider = registry.find("optimizer", use.name)
    task = Task(
        variations=variations,
        seed=seed,
        config=config,
        optimizer=use,
        made_by=f"{provider.dist} {provider.version}",
        skeleton=skeleton,
    )
    report = augment_files(
        task,
        find_clips(paths),
        output.expanduser(),
        lambda: registry.create("optimizer", use, skeleton=skeleton, device="cpu"),
        overwrite=overwrite,
        progress=lambda line: click.echo(line, err=True),
    )
    if as_json:
        print_json({"output": str(output), **report})
    else:
        _print(output, report)
    if report["unusable"]:
        ctx.exit(_BAD_DATA)


def _print(output: pathlib.Path, report: dict[str, Any]) -> None:
    from parc_data.command.options import print_table

    rows = [
        [
            clip["clip"],
            f"{clip['kept']} of {clip['wanted']}",
            *(_pair(clip, name) for name in ("terrain_penetration", "foot_slide_m")),
            ", ".join(f"{count} {reason}" for reason, count in clip["refused"].items()),
        ]
        for clip in report["clips"]
    ]
    if rows:
        print_table(("clip", "kept", "penetration, m", "foot slide, m", "rejected samples"), rows)
    for file, text in report["unusable"].items():
        click.echo(f"not varied: {text if file in text else f'{file}: {text}'}", err=True)
    click.echo(f"{output}: {report['kept']} of {report['wanted']} variations")


def _pair(clip: dict[str, Any], name: str) -> str:
    """The mean before and after optimization."""
    if name not in clip["before"] or name not in clip["after"]:
        return ""
    return f"{clip['before'][name]:.3f} -> {clip['after'][name]:.3f}"
