"""What an agent learns from nothing on two cores: a number of samples, then the policy is put to the test.

Run: ``python benchmarks/train_trackers.py run|seven|procedural [--use sac] [--seeds 3] [--samples N] [--agent JSON]
[--env JSON] [--threads 2] [--folder F] [--json]``.

`run` is the first 2 s of a published motion-terrain file; `seven` adds walk, jog, kick, punch, zombie walk and dance of
DeepMimic, cycles repeated up to 2 s; `procedural` is that motion source. Agent and environment have the presets
`laptop` and `cpu`. Reported per seed: motions followed from their first frame; the share of all start frames, and of
perturbed first frames (0.075 rad per joint and the environment's other noise, 64 per motion), from which the end is
reached; mean body error; minutes by the clock and of CPU. With ``--folder`` checkpoints are kept there, and the
evaluations on the way against samples and CPU time (``curve.jsonl``); a training that was ended goes on. This takes
minutes to hours; nothing of it is a timing of small things.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import torch
from presets import settings

from parc_core.interfaces import Agent, SeedStreams
from parc_core.interfaces.survival import perturbed_starts, survival
from parc_core.plugins import Registry
from parc_data.parc_ms import PublishedConfig, PublishedSource
from parc_data.procedural.source import ProceduralConfig, ProceduralSource
from parc_data.sources import DeepMimicSource, FilesConfig
from parc_deepmimic.env import DeepMimicEnv
from parc_deepmimic.reference import MotionLibrary
from parc_motion.clips import MotionClip
from parc_motion.skeletons import load_skeleton
from parc_motion.storage import append_line
from parc_mujoco.cpu import MujocoConfig, MujocoSimulator
from parc_testing.context import make_context

REAL = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
CYCLES = ("walk", "jog", "kick", "punch", "zombie_walk", "dance_a")
PUBLISHED = "dec2024_teaser_717_1_opt_dm.pkl"
LENGTH_S, FPS = 2.0, 30.0
SAMPLES = {
    "dmppo": {"run": 1_000_000, "seven": 6_000_000, "procedural": 20_000_000},
    "sac": {"run": 400_000, "seven": 3_000_000, "procedural": 10_000_000},
}
ENVS = 256
SKELETON = load_skeleton("humanoid")
MADE_FOR: dict[str, Any] = {"skeleton": SKELETON, "seeds": SeedStreams(0)}


def main() -> None:
    """Train and test, seed by seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=tuple(SAMPLES["dmppo"]))
    parser.add_argument("--use", default="dmppo", help="name of the agent (dmppo)")
    parser.add_argument("--threads", type=int, default=2, help="cores to use (2)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one training each (0)")
    parser.add_argument("--samples", type=int, help="control steps of each training")
    parser.add_argument("--agent", type=json.loads, default={}, help='other settings, as {"overlap": false}')
    parser.add_argument("--env", type=json.loads, default={}, help="the same of the environment, in training")
    parser.add_argument(
        "--folder", type=pathlib.Path, help="keep checkpoints and the curve here, and go on from them"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per seed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what != "procedural" and not REAL.is_dir():
        sys.exit(f"{REAL} is not there; only `procedural` can be trained without the real motions.")
    clips = motions(options.what)
    samples = options.samples or SAMPLES.get(options.use, SAMPLES["dmppo"])[options.what]
    task = Task(options.use, {"max_samples": samples, **options.agent}, options.env, options.threads)
    for seed in options.seeds:
        found = trained(clips, seed, task, options.folder)
        print(json.dumps(found) if options.json else _line(found), flush=True)


def motions(what: str) -> list[MotionClip]:
    """The clips of a subject."""
    if what == "procedural":
        return list(ProceduralSource(ProceduralConfig(), **MADE_FOR).clips())
    cut = PublishedConfig(path=str(REAL / "parc" / PUBLISHED), cut_s=(0.0, LENGTH_S))
    clips = list(PublishedSource(cut, **MADE_FOR).clips())
    if what == "seven":
        for name in CYCLES:
            path = REAL / "deepmimic" / f"humanoid3d_{name}.txt"
            clips += [
                repeated(clip) for clip in DeepMimicSource(FilesConfig(path=str(path)), **MADE_FOR).clips()
            ]
    return clips


def repeated(clip: MotionClip) -> MotionClip:
    """At most `LENGTH_S` of a clip; a cycle is gone through as often as that takes."""
    frames = round(LENGTH_S * FPS) + 1
    if clip.loop != "wrap" or clip.num_frames >= frames:
        return attrs.evolve(clip.frames(0, min(frames, clip.num_frames)), loop="clamp")
    times = torch.arange(frames) / FPS
    ref = MotionLibrary([clip], SKELETON).query(torch.zeros(frames, dtype=torch.long), times)
    unit = {name: getattr(ref, name) for name in ("root_rot", "joint_rot")}
    return attrs.evolve(
        clip,
        root_pos=ref.root_pos.numpy(),
        contacts=(ref.contacts > 0.5).float().numpy(),
        **{name: (value / value.norm(dim=-1, keepdim=True)).numpy() for name, value in unit.items()},
        fps=FPS,
        loop="clamp",
        touched=None,
        path=None,
    )


@attrs.frozen
class Task:
    """What is trained, how, and by how many threads."""

    agent: str
    agent_changes: Mapping[str, Any]  # on top of the preset
    env_changes: Mapping[str, Any]
    threads: int

    def env(self, clips: list[MotionClip], seed: int, changes: Mapping[str, Any]) -> DeepMimicEnv:
        """The environment of preset `cpu` with other settings."""
        return DeepMimicEnv(
            settings("tracker_env", "deepmimic", "cpu", changes),
            clips=clips,
            weights=np.ones(len(clips)),
            simulator=MujocoSimulator(MujocoConfig(), threads=self.threads),
            num_envs=ENVS,
            skeleton=SKELETON,
            rng=torch.Generator().manual_seed(seed),
        )


@attrs.define
class Curve:
    """A metric sink that keeps the evaluations of a training that may take several sittings."""

    path: pathlib.Path
    begun: float = attrs.field(factory=time.process_time)
    spent_before: float | None = None  # s of CPU until the checkpoint from which this sitting goes on

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append an evaluation: samples, seconds of CPU, and its figures."""
        if self.spent_before is None:
            rows = [row for row in self.rows() if row["samples"] < step]
            self.spent_before = max((row["cpu_s"] for row in rows), default=0.0)
        found = {
            name.removeprefix("tracker/eval/"): value for name, value in values.items() if "/eval/" in name
        }
        if found:
            spent = self.spent_before + time.process_time() - self.begun
            append_line(self.path, json.dumps({"samples": step, "cpu_s": round(spent, 1), **found}))

    def rows(self) -> list[dict[str, float]]:
        """What was appended, in all sittings."""
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []


def trained(clips: list[MotionClip], seed: int, task: Task, folder: pathlib.Path | None) -> dict[str, Any]:
    """One training, with these settings on top of the presets, and its test."""
    env = task.env(clips, seed, task.env_changes)
    config = settings("agent", task.agent, "laptop", task.agent_changes)
    agent: Agent = Registry.discover().resolve("agent", task.agent).create(config, device="cpu")
    start, cpu = time.perf_counter(), time.process_time()
    with contextlib.ExitStack() as stack:
        kept = folder / f"{task.agent}-{seed}" if folder else None
        place = kept or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        context = make_context(place, seed=seed, threads=task.threads)
        if kept:
            context = attrs.evolve(context, metrics=Curve(kept / "curve.jsonl"))
        policy = agent.train(env, context)
    minutes, cpu_minutes = (time.perf_counter() - start) / 60.0, (time.process_time() - cpu) / 60.0
    env.close()
    return {
        "agent": task.agent,
        "seed": seed,
        "samples": policy.num_samples,
        "minutes": round(minutes, 2),
        "cpu_minutes": round(cpu_minutes, 2),
        **tested(agent, clips, task),
    }


def tested(agent: Agent, clips: list[MotionClip], task: Task) -> dict[str, Any]:
    """How far the agent follows the clips, deterministically, in the preset's task with its observations."""
    observation = task.env_changes.get("observation", {})
    env = task.env(clips, 0, {"observation": observation, "start": {"joint_noise": 0.075}})
    first = agent.evaluate(env)
    with torch.no_grad():
        kept = survival(agent, env)
        pushed = perturbed_starts(agent, env, 64, torch.Generator().manual_seed(0))
    env.close()
    return {
        "followed": sum(row["success"] for row in first["motions"]),
        "motions": len(clips),
        "survival": round(kept["share"], 4),
        "perturbed": round(pushed["share"], 4),
        "body_error_m": round(first["errors"]["body_pos"], 4),
        "of": {
            name: [round(kept["motions"][name]["share"], 3), round(pushed["motions"][name]["share"], 3)]
            for name in kept["motions"]
        },
    }


def _line(found: dict[str, Any]) -> str:
    return (
        f"seed {found['seed']}: {found['followed']} of {found['motions']} from the first frame, survival "
        f"{found['survival']:.1%}, perturbed {found['perturbed']:.1%}, body error {found['body_error_m']:.3f} m, "
        f"{found['samples']} samples in {found['minutes']:.1f} min, {found['cpu_minutes']:.1f} min CPU"
    )


if __name__ == "__main__":
    main()
