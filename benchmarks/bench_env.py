"""The tracking environment: observations, rewards, ends and references of 4,096 environments, and what is left of the
speed of the physics when everything is on.

Run: ``python benchmarks/bench_env.py [--repeat 20] [--json]``.

``overhead_ratio`` compares equal work: before each control step the state of every simulation is copied into a second
batch of the same models, which steps bare (four physics steps, nothing read back); then the environment takes its
step, with observations of 1,312 numbers, rewards and restarts. The ratio is the bare time over the environment's.
"""

from __future__ import annotations

import gc
import time

import numpy as np
import torch
from measure import Figure, arguments, cpu_ms, report
from mujoco.batch import Batch

from parc_core.interfaces import Done
from parc_deepmimic.bench.scene import swinging_clips
from parc_deepmimic.config import DeepMimicConfig, RandomConfig
from parc_deepmimic.env import DeepMimicEnv
from parc_deepmimic.observed_state import ObservedState
from parc_deepmimic.untrained import RandomAgent
from parc_motion.skeletons import load_skeleton
from parc_mujoco.cpu import MujocoConfig, MujocoSimulator
from parc_testing.fake_simulator import FakeSimulator

MANY, BATCH, TERRAINS, SECONDS, WARM_UP = 4096, 256, 16, 6.0, 10
SKELETON = load_skeleton("humanoid")


def main() -> None:
    """Print one table."""
    options = arguments(__doc__, repeat=20)
    torch.set_num_threads(1)
    with torch.no_grad():
        report([*_throughput(steps=5 * options.repeat), *_kernels(options.repeat)], options.json)


def _env(num_envs: int, simulator: object) -> DeepMimicEnv:
    return DeepMimicEnv(
        DeepMimicConfig(),
        clips=swinging_clips(SKELETON, TERRAINS, SECONDS),
        weights=np.ones(TERRAINS),
        simulator=simulator,
        num_envs=num_envs,
        skeleton=SKELETON,
        rng=torch.Generator().manual_seed(0),
    )


def _throughput(steps: int) -> list[Figure]:
    simulator = MujocoSimulator(MujocoConfig(), device="cpu", threads=1)
    env, agent = _env(BATCH, simulator), RandomAgent(RandomConfig())
    obs = env.reset()
    for _ in range(WARM_UP):
        obs = env.step(agent.act(env, obs)).obs
    bare = Batch(simulator._models[0], BATCH, nthread=1)
    bare_s, env_s, ended = 0.0, 0.0, 0
    gc.collect()
    for _ in range(steps):
        action = agent.act(env, obs)
        bare_s += _bare_step(bare, env, action)
        start = time.process_time()
        step = env.step(action)
        env_s += time.process_time() - start
        obs, ended = step.obs, ended + int((step.done != Done.NULL).sum())
    env.close()
    note = f"{BATCH} environments, {steps} steps, {ended / steps:.1f} episodes end in a step"
    return [
        Figure(name="overhead_ratio", value=bare_s / env_s, unit="", note=note),
        Figure(
            name="control_steps_per_s",
            value=BATCH * steps / env_s,
            unit="1/s CPU",
            note=f"bare physics in the same run: {BATCH * steps / bare_s:.0f}",
        ),
    ]


def _bare_step(bare: Batch, env: DeepMimicEnv, action: torch.Tensor) -> float:
    """Seconds of CPU that the physics alone takes for the environment's next step."""
    simulator = env.simulator
    bare.set_models([simulator._models[t] for t in simulator._terrain_ids.tolist()])
    bare.state[:], bare.warning[:] = simulator._batch.state, 0
    bare.bind("ctrl")[:] = env.dof_target(action).numpy()
    start = time.process_time()
    bare.step(None, nstep=simulator.substeps)
    return time.process_time() - start


def _kernels(repeat: int) -> list[Figure]:
    env = _env(MANY, FakeSimulator())
    env.reset()
    state, ids, times = env.read(), env.motion_ids, env.motion_times
    ref, action = env.reference(ids, times), torch.zeros(MANY, len(env.action.lower))
    seen = ObservedState.of(
        state, env._layout.key_bodies, contacts=state.ground_force.norm(dim=-1) > 1.0, motion_ids=ids,
        motion_times=times, terrain_ids=env._terrain_ids, extra=torch.zeros(MANY, 0),
    )  # fmt: skip
    every, lost = torch.arange(MANY), torch.ones(MANY, dtype=torch.bool)

    def reward(_: int) -> None:
        env._reward(env._frame(state, ref, action))

    def done_test(_: int) -> None:
        env._lost(env._frame(state, ref, action))
        env._ends(lost, env.active)
        env._curriculum.update(ids, env._bins, lost)
        env._episodes.end(every, ids, lost)

    on_frames = cpu_ms("", lambda _: env._library.query(ids, times, on_frames=True), repeat)
    return [
        cpu_ms("observation_4096", lambda _: env._observe(seen), repeat, published=175.8, note="1312 numbers"),
        cpu_ms("reward_4096", reward, repeat, published=8.7, note="eight terms, contact included"),
        cpu_ms("done_4096", done_test, repeat, published=124.0, note="all done; with fail rates and statistics"),
        cpu_ms("reference_4096", lambda _: env._library.query(ids, times + 0.01), repeat, published=18.0,
               note=f"between frames; on frames, as in training, {on_frames.value:.2f}"),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
