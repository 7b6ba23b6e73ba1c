"""The agents at work: what `mpc` costs and reaches, and how fast `dmppo` trains.

Run: ``python benchmarks/bench_agent.py [--repeat 3] [--json]``.

`mpc`, CPU time of one thread, default settings, everything counted: planning, simulation, observations, rewards. The
motions are seven short ones (walk, jog, kick, punch, zombie walk, dance of DeepMimic; the first 2 s of a published
motion-terrain file) and that file in full, 4.7 s of running, jumping and climbing, all in one batch, once per seed
``0 .. repeat - 1``; they need the real motions beside the repository and are left out, with a note, without. A body's
error is its distance from the reference in the world; ``mpc_body_error_m`` is that of the worst motion and seed, a mean
over bodies and time. The procedural clips get what a recorder would give them: further attempts where they were lost.

`dmppo`, preset `laptop` (networks 256 x 256), wall clock, two threads, 256 environments, procedural motions:
``seconds_per_1000_samples`` is a whole training of about 60,000 samples but for its last evaluation.
``fraction_of_ceiling`` compares it with the physics alone: after the training, the state of every simulation is copied
before each control step into a second batch of the same models, which steps bare, nothing read back.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
import time
from typing import Any

import attrs
import numpy as np
import torch
from measure import Figure, arguments, report
from mujoco.batch import Batch
from presets import settings

from parc_core.interfaces import SeedStreams
from parc_data.parc_ms import PublishedConfig, PublishedSource
from parc_data.procedural.source import ProceduralConfig, ProceduralSource
from parc_data.sources import DeepMimicSource, FilesConfig
from parc_deepmimic.config import DeepMimicConfig
from parc_deepmimic.env import DeepMimicEnv
from parc_motion.clips import MotionClip
from parc_motion.playback import Playback
from parc_motion.skeletons import load_skeleton
from parc_mpc.agent import MpcAgent
from parc_mpc.config import MpcConfig
from parc_mujoco.cpu import MujocoConfig, MujocoSimulator
from parc_ppo.dmppo import DmPpoAgent
from parc_testing.context import make_context

REAL = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
SHORT = ("walk", "jog", "kick", "punch", "zombie_walk", "dance_a")
PUBLISHED = "dec2024_teaser_717_1_opt_dm.pkl"
LONGEST_S, SAMPLES, ENVS, THREADS, BARE_STEPS = 2.0, 60_000, 256, 2, 60
SKELETON = load_skeleton("humanoid")
MADE_FOR = {"skeleton": SKELETON, "seeds": SeedStreams(0)}


def main() -> None:
    """Print one table."""
    options = arguments(__doc__, repeat=3)
    torch.set_num_threads(1)
    figures = []
    if (REAL / "parc" / PUBLISHED).is_file():
        figures += _planning(options.repeat)
    else:
        print(f"mpc on real motions left out: {REAL} is not there", file=sys.stderr)
    report([*figures, _procedural(), *_training()], options.json)


# --- mpc


@attrs.frozen(kw_only=True)
class Played:
    """One motion followed once."""

    name: str
    followed: bool
    seconds: float
    body_error: float  # m, mean over bodies and time


def _planning(seeds: int) -> list[Figure]:
    env = _env(_real_clips(), DeepMimicConfig(), threads=1)
    played, cpu = [], 0.0
    for seed in range(seeds):
        rows, spent = _play(env, MpcAgent(MpcConfig(seed=seed)), list(range(env.num_motions)))
        played, cpu = played + rows, cpu + spent
    env.close()
    worst = max(played, key=lambda one: one.body_error)
    seconds = sum(one.seconds for one in played)
    followed = sum(one.followed for one in played)
    note = f"{followed} of {len(played)} followed at the first attempt, {seeds} seeds"
    return [
        Figure(name="mpc_cpu_seconds_per_motion_second", value=cpu / seconds, unit="s CPU/s", note=note),
        Figure(name="mpc_body_error_m", value=worst.body_error, unit="m", note=f"worst: {worst.name}; mean of all "
               f"{np.mean([one.body_error for one in played]):.3f}"),
    ]  # fmt: skip


def _procedural() -> Figure:
    clips = list(ProceduralSource(ProceduralConfig(), **MADE_FOR).clips())
    env, agent = _env(clips, DeepMimicConfig(), threads=1), MpcAgent(MpcConfig())
    waiting, cpu, first = list(range(len(clips))), 0.0, 0
    for attempt in range(agent.num_attempts):
        agent.escalate(attempt)
        rows, spent = _play(env, agent, waiting) if waiting else ([], 0.0)
        waiting, cpu = [m for m, one in zip(waiting, rows) if not one.followed], cpu + spent
        first = len(clips) - len(waiting) if attempt == 0 else first
    env.close()
    seconds = sum(clip.length for clip in clips)
    note = f"{first} of {len(clips)} at the first attempt; {cpu / seconds:.2f} s CPU/s with all attempts"
    return Figure(
        name="mpc_procedural_followed", value=1.0 - len(waiting) / len(clips), unit="share", note=note
    )


def _real_clips() -> list[MotionClip]:
    clips = []
    for name in SHORT:
        source = DeepMimicSource(
            FilesConfig(path=str(REAL / "deepmimic" / f"humanoid3d_{name}.txt")), **MADE_FOR
        )
        (clip,) = source.clips()
        clips.append(clip.frames(0, min(clip.num_frames, round(LONGEST_S * clip.fps) + 1)))
    for cut in ((0.0, LONGEST_S), None):
        clips += PublishedSource(
            PublishedConfig(path=str(REAL / "parc" / PUBLISHED), cut_s=cut), **MADE_FOR
        ).clips()
    return clips


def _play(env: DeepMimicEnv, agent: MpcAgent, motions: list[int]) -> tuple[list[Played], float]:
    """Follow motions side by side from their starts; also the CPU time, s."""
    start = time.process_time()
    playback = Playback(env, agent, torch.tensor(motions), torch.zeros(len(motions)))
    error = torch.zeros(len(motions))
    for _ in playback:
        now = env.snapshot()
        off = (now.state.body_pos - now.reference.body_pos).norm(dim=-1).mean(dim=-1)[: playback.count]
        error = error + torch.where(playback.moved, off, 0.0)
    steps, followed = playback.num_steps, playback.success
    rows = [
        Played(
            name=env.motion_names[m],
            followed=bool(followed[i]),
            seconds=float(steps[i]) / env.control_hz,
            body_error=float(error[i] / steps[i]),
        )
        for i, m in enumerate(motions)
    ]
    return rows, time.process_time() - start


# --- dmppo


class _Timed(DmPpoAgent):
    """Knows how long its evaluations took."""

    evaluation_s = 0.0

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        start = time.perf_counter()
        found = super().evaluate(*args, **kwargs)
        self.evaluation_s += time.perf_counter() - start
        return found

    def robustness(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        start = time.perf_counter()
        found = super().robustness(*args, **kwargs)
        self.evaluation_s += time.perf_counter() - start
        return found


def _training() -> list[Figure]:
    clips = list(ProceduralSource(ProceduralConfig(), **MADE_FOR).clips())
    env = _env(clips, settings("tracker_env", "deepmimic", "cpu"), threads=THREADS, num_envs=ENVS)
    config = settings("agent", "dmppo", "laptop", {"max_samples": SAMPLES, "eval_every_iters": 0})
    agent = _Timed(config)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        policy = agent.train(env, make_context(pathlib.Path(folder), threads=THREADS))
        wall = time.perf_counter() - start - agent.evaluation_s
    bare = _bare_seconds(env, agent)
    env.close()
    per_sample = wall / policy.num_samples
    return [
        Figure(
            name="seconds_per_1000_samples",
            value=1000.0 * per_sample,
            unit="s wall",
            note=f"{policy.num_samples} samples, {ENVS} environments, {THREADS} threads",
        ),
        Figure(
            name="fraction_of_ceiling",
            value=bare / per_sample,
            unit="",
            note=f"bare physics {1.0 / bare:.0f} control steps/s, training {1.0 / per_sample:.0f} samples/s",
        ),
    ]


@torch.no_grad()
def _bare_seconds(env: DeepMimicEnv, agent: DmPpoAgent) -> float:
    """Wall time of one control step of one simulation, without all else, on the states of a trained agent."""
    simulator = env.simulator
    bare, obs, total = Batch(simulator._models[0], env.num_envs, nthread=THREADS), env.reset(), 0.0
    for _ in range(BARE_STEPS):
        action = agent.act(env, obs)
        bare.set_models([simulator._models[t] for t in simulator._terrain_ids.tolist()])
        bare.state[:], bare.warning[:] = simulator._batch.state, 0
        bare.bind("ctrl")[:] = env.dof_target(action).numpy()
        start = time.perf_counter()
        bare.step(None, nstep=simulator.substeps)
        total += time.perf_counter() - start
        obs = env.step(action).obs
    return total / (BARE_STEPS * env.num_envs)


# --- both


def _env(
    clips: list[MotionClip], config: DeepMimicConfig, threads: int, num_envs: int | None = None
) -> DeepMimicEnv:
    return DeepMimicEnv(
        config,
        clips=clips,
        weights=np.ones(len(clips)),
        simulator=MujocoSimulator(MujocoConfig(), device="cpu", threads=threads),
        num_envs=num_envs or len(clips),
        skeleton=SKELETON,
        rng=torch.Generator().manual_seed(0),
    )


if __name__ == "__main__":
    main()
