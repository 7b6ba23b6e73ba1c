"""The smallest work of a provider of each kind, for tests that try settings."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from parc_core.interfaces import ObservationGroup, Scene, SeedStreams
from parc_core.plugins import Registry, Target
from parc_motion.clips import save_clip
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain
from parc_testing.context import make_context
from parc_testing.contracts.generator import tiny_dataset
from parc_testing.contracts.optimizer import OptimizerContract
from parc_testing.contracts.recorder import ScriptedAgent, clips_of
from parc_testing.contracts.selector import SelectorContract
from parc_testing.contracts.simulator import character_state
from parc_testing.fake_env import FakeTrackerEnv
from parc_testing.fake_simulator import FakeSimulator
from parc_testing.frames import make_tracking_frame

__all__ = ["LEAST", "LEFT_OUT", "prepare_files", "work"]

_PPO = {
    "max_samples": 128, "steps_per_iter": 8, "batch_size": 64, "update_epochs": 1, "iters_per_checkpoint": 1,
    "iters_per_output": 1, "model": {"actor_net": "mlp_16", "critic_net": "mlp_16"},
}  # fmt: skip
LEAST: dict[
    tuple[str, str], dict[str, Any]
] = {  # settings with which the work is small, and those that are required
    ("motion_source", "procedural"): {"classes": ["gap"]},
    ("motion_source", "augmented"): {"source": "procedural"},
    ("motion_source", "parc_ms"): {"path": "nothing/*.pkl"},
    ("motion_source", "list"): {"path": "list.yaml"},
    ("generator", "mdm"): {"preset": "tiny"},
    ("terrain_source", "file"): {"path": "clips"},
    ("terrain_source", "mixture"): {"sources": ["flat"]},
    ("optimizer", "kinopt"): {"max_steps": 3, "threads": 1},
    ("agent", "ppo"): _PPO,
    ("agent", "dmppo"): _PPO,
    ("agent", "mpc"): {"samples": 8, "horizon": 4, "knots": 2, "iterations": 1, "first_iterations": 1},
    ("recorder", "retry"): {"min_remaining_s": 0.5},
}
LEFT_OUT = {  # providers of which only the settings are tried
    ("simulator", "mujoco_warp"): "compiles for a GPU",
    ("motion_source", "augmented"): "the work of minutes",
    ("motion_source", "parc_ms"): "reads published files",
    ("executor", "ray"): "starts a cluster",
    ("executor", "slurm"): "needs a cluster",
}
_SKELETON = load_skeleton("humanoid")


def prepare_files(folder: pathlib.Path) -> None:
    """Write the clips that motion sources read, and a list of them."""
    save_clip(folder / "clips" / "walk.npz", make_clip(40, name="walk", speed=1.0, motion_class="walk"))
    (folder / "list.yaml").write_text("motions: [{file: clips/walk.npz, weight: 1}]")


def work(registry: Registry, kind: str, target: Target, config: Any, folder: pathlib.Path) -> None:
    """Make the provider with these settings, and let it do as little as its interface allows."""
    _KINDS[kind](target, config, folder)


def _motion_source(target: Target, config: Any, folder: pathlib.Path) -> None:
    source = target.create(config, skeleton=_SKELETON, seeds=SeedStreams(1))
    if target.name in ("folder", "list", "procedural"):
        next(iter(source.clips()))


def _generator(target: Target, config: Any, folder: pathlib.Path) -> None:
    asked = iter(range(10**9))
    generator = target.create(config, skeleton=_SKELETON, device="cpu")
    context = make_context(folder, should_stop=lambda: next(asked) > 20)
    generator.fit(tiny_dataset(folder / "data"), context)
    from parc_motion.terrains import Path

    points = np.stack([0.4 * np.arange(6), np.zeros(6), np.zeros(6)], axis=-1)
    generator.propose(make_terrain((14, 10)), Path(points=points, kinds=[0] * 5), 2, np.random.default_rng(1))


def _terrain_source(target: Target, config: Any, folder: pathlib.Path) -> None:
    target.create(config).sample(np.random.default_rng(1))


def _planner(target: Target, config: Any, folder: pathlib.Path) -> None:
    planner, rng = target.create(config), np.random.default_rng(1)
    terrain = make_terrain((20, 16), [((slice(9, 11), slice(0, 9)), 0.3)])
    planner.plan(planner.prepare(terrain, rng), rng)


def _selector(target: Target, config: Any, folder: pathlib.Path) -> None:
    selector = target.create(config, skeleton=_SKELETON, device="cpu")
    selector.select(SelectorContract.candidates(), make_terrain(), SelectorContract.path())


def _optimizer(target: Target, config: Any, folder: pathlib.Path) -> None:
    target.create(config, skeleton=_SKELETON, device="cpu").refine(OptimizerContract.clips())


def _simulator(target: Target, config: Any, folder: pathlib.Path) -> None:
    simulator = target.create(config, device="cpu", threads=1)
    scene = Scene(skeleton=_SKELETON, terrains=(make_terrain(),), num_envs=2)
    simulator.build(scene)
    simulator.reset(torch.arange(2), character_state(2))
    simulator.step()
    simulator.read()
    simulator.close()


def _tracker_env(target: Target, config: Any, folder: pathlib.Path) -> None:
    clips = [make_clip(40, name="stand"), make_clip(50, name="glide", speed=0.6)]
    env = target.create(
        config,
        clips=clips,
        weights=np.ones(2),
        simulator=FakeSimulator(),
        num_envs=2,
        skeleton=_SKELETON,
        rng=torch.Generator().manual_seed(1),
        device="cpu",
    )
    env.reset()
    for _ in range(3):
        env.step(torch.zeros(2, len(env.action.lower)))
    env.playback(torch.tensor([0, 1]), torch.zeros(2))
    env.statistics()
    env.close()


def _agent(target: Target, config: Any, folder: pathlib.Path) -> None:
    agent, env = target.create(config, device="cpu"), FakeTrackerEnv(num_envs=8)
    asked = iter(range(10**9))
    context = make_context(folder, should_stop=lambda: next(asked) > 20)
    agent.train(env, context)
    obs = env.playback(torch.zeros(8, dtype=torch.long), torch.zeros(8))
    agent.start(env)
    for _ in range(2):
        obs = env.step(agent.act(env, obs)).obs


def _recorder(target: Target, config: Any, folder: pathlib.Path) -> None:
    env = FakeTrackerEnv(num_envs=2)
    recorder = target.create(config, skeleton=env.skeleton, second_chance=None)
    recorder.record(env, ScriptedAgent({0, 1}), clips_of(env), make_context(folder))


def _term(target: Target, config: Any, folder: pathlib.Path) -> None:
    frame = make_tracking_frame(3)
    target.create(config, skeleton=frame.skeleton, device="cpu")(frame)


def _policy_network(target: Target, config: Any, folder: pathlib.Path) -> None:
    groups = (
        ObservationGroup(name="state", size=6),
        ObservationGroup(name="terrain", size=35, shape=(7, 5)),
        ObservationGroup(name="target", size=4),
    )
    rng = torch.Generator().manual_seed(1)
    network = target.create(config, num_inputs=45, num_outputs=3, groups=groups, device="cpu", rng=rng)
    network(torch.zeros(2, 45))


def _executor(target: Target, config: Any, folder: pathlib.Path) -> None:
    target.create(config)


def _metric_sink(target: Target, config: Any, folder: pathlib.Path) -> None:
    """Sinks have no numbers among their settings."""


_KINDS: dict[str, Callable[[Target, Any, pathlib.Path], None]] = {
    "motion_source": _motion_source,
    "generator": _generator,
    "terrain_source": _terrain_source,
    "planner": _planner,
    "selector": _selector,
    "optimizer": _optimizer,
    "simulator": _simulator,
    "tracker_env": _tracker_env,
    "agent": _agent,
    "recorder": _recorder,
    "executor": _executor,
    "metric_sink": _metric_sink,
    "reward_term": _term,
    "termination_term": _term,
    "policy_network": _policy_network,
}
