"""What `mdm` learns from nothing on two cores within minutes by the clock, then put to the test.

Run: ``python benchmarks/train_generators.py overfit|procedural [--minutes M] [--ablation] [--json]``.

`overfit` trains on one published motion-terrain file, without the windows that begin at every eighth frame, and
continues the motion from each of these: true history, ground and direction, several tries. Reported are the distances
from the truth half a second later. `procedural` trains on that motion source and evaluates as `parc eval generator`
does, on the ground of ``examples/demo.yaml``; with ``--ablation`` it trains twice, once without the penalty for depth
in the ground. The learning rate falls with the share of the time that has passed, so a slow machine makes fewer steps
and no training is cut short. This takes minutes to hours; nothing of it is a timing of small things.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import tempfile
from typing import Any

import attrs
import numpy as np
import torch
from generator_training import SKELETON, as_generator, say, settings, stored, trained
from held_windows import AFTER, beginning_at, hold_out, reproduction_errors

from parc_core.interfaces import SeedStreams
from parc_core.plugins import Registry
from parc_data.parc_ms import PublishedConfig, PublishedSource
from parc_data.procedural.source import ProceduralConfig, ProceduralSource
from parc_mdm.config import MdmConfig
from parc_mdm.evaluate.measure import evaluate
from parc_mdm.evaluate.parts import load_parts
from parc_mdm.features import FPS
from parc_mdm.model import MotionModel
from parc_mdm.store import MotionStore

REAL = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data" / "parc"
PUBLISHED = "dec2024_teaser_717_1_opt_dm.pkl"
MINUTES = {"overfit": 20.0, "procedural": 10.0}  # longer is worse there: docs/generator-study.md

# what one clip is learned by heart with: everything is shown as it is
BY_HEART: dict[str, Any] = {
    "mirror": False,
    "augment": "none",
    "history_noise": 0.0,
    "history_drift": 0.0,
    "noise_indicator_prob": 1.0,
    "drop_history_prob": 0.0,
    "drop_target_prob": 0.0,
    "drop_heights_prob": 0.0,
}
EVERY, TRIES = 8, 8  # every 8th start is held out; tries of each

PENALTY = 100.0  # weight of the depth in the ground
VARIATIONS = 4  # of each procedural motion, as in examples/pretrain_generator.yaml
TERRAIN = "{use: boxes, num_boxes: 6, min_height: -0.3, max_height: 0.4}"  # as in examples/demo.yaml
PLANNER = "{use: astar, preset: moderate, max_z_diff: 0.45, min_start_end_xy_dist: 3.5}"
ASKED = {"body_m": 0.04, "root_m": 0.03, "arrived": 0.7, "tpl_ratio": 2.0}


def main() -> None:
    """Train and test."""
    options = arguments()
    torch.set_num_threads(options.threads)
    if options.what == "overfit":
        found, lines = overfit(options)
    else:
        found, lines = procedural(options)
    print(json.dumps(found, indent=1) if options.json else "\n".join(lines))


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=tuple(MINUTES))
    parser.add_argument("--minutes", type=float, help="of each training, by the clock (20; procedural: 10)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (2)")
    parser.add_argument("--seed", type=int, default=0, help="of the training (0)")
    parser.add_argument("--preset", default="small", choices=tuple(MdmConfig.PRESETS), help="(small)")
    parser.add_argument(
        "--set", type=json.loads, default={}, metavar="JSON", help="settings over the preset's"
    )
    parser.add_argument("--plain", action="store_true", help="overfit: the preset and --set, nothing else")
    parser.add_argument(
        "--gap", type=int, default=0, help="overfit: untrained starts beside each held one (0)"
    )
    parser.add_argument("--ablation", action="store_true", help="procedural: also without the penalty")
    parser.add_argument("--terrains", type=int, default=20, help="procedural: unseen terrains (20)")
    parser.add_argument("--motions", type=int, default=8, help="procedural: motions on each (8)")
    parser.add_argument("--terrain", default=TERRAIN, help="procedural: terrain source (that of the demo)")
    parser.add_argument("--planner", default=PLANNER, help="procedural: planner (that of the demo)")
    parser.add_argument("--keep", type=pathlib.Path, help="folder to keep the trained generators in")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    options.minutes = options.minutes or MINUTES[options.what]
    return options


# one clip by heart ------------------------------------------------------------------------------------------------


def overfit(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Train on the published clip without the held windows, and continue it from these."""
    if not REAL.is_dir():
        sys.exit(f"{REAL} is not there; only `procedural` can be trained without the real motions.")
    made_for = {"skeleton": SKELETON, "seeds": SeedStreams(0)}
    clips = list(PublishedSource(PublishedConfig(path=str(REAL / PUBLISHED)), **made_for).clips())
    config = settings(options.preset, {} if options.plain else BY_HEART, options.set)
    whole = stored(clips, config)
    held, seen = hold_out(whole, EVERY, options.gap)
    model, training = trained(whole, beginning_at(whole, seen), config, options)
    if options.keep:
        as_generator(model).save(options.keep / "overfit")
    shown = seen[seen < held[-1]][::EVERY]
    found = {
        **training,
        "held_windows": len(held),
        "trained_windows": len(seen),
        "tries": TRIES,
        "held": errors(model, whole, held, options.seed),
        "trained_on": errors(model, whole, shown, options.seed),
    }
    return found, overfit_lines(found)


def errors(model: MotionModel, store: MotionStore, starts: np.ndarray, seed: int) -> dict[str, float]:
    """Distances from the truth, m: half a second after the history, in the mean until then, and of the worst window."""
    away = reproduction_errors(model, store, starts, TRIES, seed)
    row: dict[str, float] = {}
    for name, values in away.items():
        row[f"{name}_m"] = round(float(values[..., -1].mean()), 5)
        row[f"{name}_until_then_m"] = round(float(values.mean()), 5)
        row[f"{name}_worst_window_m"] = round(float(values[..., -1].mean(axis=1).max()), 5)
    return row


def overfit_lines(found: dict[str, Any]) -> list[str]:
    """The figures as a Markdown table."""
    lines = [
        training_line(found),
        f"{found['held_windows']} held windows x {found['tries']} tries, {AFTER / FPS:g} s after the history; "
        f"asked: bodies < {100 * ASKED['body_m']:g} cm, root < {100 * ASKED['root_m']:g} cm.",
        "",
        "| windows | bodies, cm | root, cm | mean until then: bodies | root | worst window: bodies | root |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ("held", "trained_on"):
        whens = ("", "_until_then", "_worst_window")
        values = [found[name][f"{part}{when}_m"] for when in whens for part in ("body", "root")]
        lines.append(row_of([name.replace("_", " "), *(f"{100 * value:.2f}" for value in values)]))
    return lines


# procedural motions, unseen ground ----------------------------------------------------------------------------------


def procedural(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Train on procedural motions and evaluate on unseen ground, once with the penalty and, if wanted, once without."""
    source = ProceduralSource(
        ProceduralConfig(variations=VARIATIONS), skeleton=SKELETON, seeds=SeedStreams(options.seed)
    )
    clips = list(source.clips())
    found: dict[str, Any] = {}
    for name, weight in (("with", PENALTY), ("without", 0.0)) if options.ablation else (("with", PENALTY),):
        config = settings(options.preset, {"losses": {"collision": weight}}, options.set)
        if name == "without":
            config = attrs.evolve(config, losses=attrs.evolve(config.losses, collision=0.0))
        store = stored(clips, config)
        model, training = trained(store, store, config, options)
        found[name] = {**training, "penalty": config.losses.collision, **evaluated(model, name, options)}
        say("\n".join(procedural_lines({name: found[name]})))
    if options.ablation:
        ratio = found["without"]["figures"]["TPL"]["mean"] / found["with"]["figures"]["TPL"]["mean"]
        found["tpl_ratio"] = round(ratio, 3)
    return found, procedural_lines(found)


def evaluated(model: MotionModel, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of `parc eval generator`."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or pathlib.Path(temporary)) / name
        as_generator(model).save(folder)
        parts = load_parts(Registry.discover(), folder, options.terrain, options.planner)
        document, _ = evaluate(parts, options.terrains, options.motions, 0, say)
    return {key: document[key] for key in ("terrains", "motions", "figures", "seconds_per_motion")}


def procedural_lines(found: dict[str, Any]) -> list[str]:
    """The figures as a Markdown table."""
    rows = [row for row in (found.get("with"), found.get("without")) if row]
    names = ("FWD", "TPL", "TCL", "HJF")
    lines = [
        *(training_line(row) for row in rows),
        f"{rows[0]['terrains']} unseen terrains x {rows[0]['motions']} motions; asked: arrived >= "
        f"{ASKED['arrived']:.0%}, TPL without / with >= {ASKED['tpl_ratio']:g}. In brackets: 95 % interval.",
        "",
        "| penalty | arrived | FWD, m | TPL, m | median TPL | TCL, m | HJF, % |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        mean = {name: between(row["figures"][name]) for name in names}
        median = f"{row['figures']['TPL']['median']:.3g}"
        cells = [f"{row['penalty']:g}", between(row["figures"]["arrived"], 100.0) + " %"]
        lines.append(row_of([*cells, mean["FWD"], mean["TPL"], median, mean["TCL"], mean["HJF"]]))
    return [*lines, "", f"TPL without / with: {found['tpl_ratio']:.2f}"] if "tpl_ratio" in found else lines


def between(figure: dict[str, Any], factor: float = 1.0) -> str:
    """Mean and interval."""
    text = f"{factor * figure['mean']:.3g}"
    if figure["low"] is None:
        return text
    return f"{text} ({factor * figure['low']:.3g} to {factor * figure['high']:.3g})"


def row_of(cells: list[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def training_line(found: dict[str, Any]) -> str:
    """How it was trained."""
    return (
        f"Preset `{found['preset']}`, seed {found['seed']}: {found['steps']} steps in {found['minutes']:g} min, "
        f"{found['threads']} threads."
    )


if __name__ == "__main__":
    main()
