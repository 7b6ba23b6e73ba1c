"""The same model, state and targets on `mujoco` and on `mujoco_warp` (Warp's CPU device), 20 control steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parc_core.interfaces import BodyState, Scene, Simulator
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton
from parc_mujoco.config import MujocoConfig, MujocoWarpConfig
from parc_mujoco.cpu import MujocoSimulator
from parc_mujoco.warp.provider import mujoco_warp
from parc_testing.builders import STANDING_HEIGHT, make_terrain
from parc_testing.contracts.simulator import character_state

SKELETON = load_skeleton("humanoid")
BOX = make_terrain(steps=[((slice(1, 4), slice(1, 4)), 0.6)])
ROUGH = [
    make_terrain(height=np.random.default_rng(seed).uniform(-0.2, 0.2, (8, 8)).round(1)) for seed in (1, 2)
]
# name: terrains, terrain of each of the two copies, height of the soles at the start in m
GROUNDS = {
    "flight": ([make_terrain()], [0, 0], [15.0, 15.0]),
    "level": ([make_terrain()], [0, 0], [0.0, 0.02]),
    "box": ([make_terrain(), BOX], [1, 1], [0.6, 0.65]),
    "rough": (ROUGH, [0, 1], [0.3, 0.25]),
}


def record(sim: Simulator, ground: str, num_steps: int) -> list[BodyState]:
    terrains, terrain_ids, soles = GROUNDS[ground]
    sim.build(Scene(skeleton=SKELETON, terrains=terrains, num_envs=2))
    ids, state = torch.arange(2), character_state(2)
    state.root_pos[:, 2] = STANDING_HEIGHT + torch.tensor(soles)
    sim.set_terrains(ids, torch.tensor(terrain_ids))
    sim.reset(ids, state)
    frames = [sim.read()]
    generator = torch.Generator().manual_seed(3)
    for step in range(num_steps):
        if step % 4 == 0:  # violent: every joint is sent somewhere else seven times a second
            sim.set_targets(0.25 * torch.randn(2, SKELETON.num_dofs, generator=generator))
        sim.step()
        frames.append(sim.read())
    sim.close()
    return frames


@pytest.fixture(
    scope="module", params=[*((ground, "pyramidal") for ground in GROUNDS), ("box", "elliptic")], ids="-".join
)
def runs(request, warp_ready):
    ground, cone = request.param
    ours = record(MujocoSimulator(MujocoConfig(friction_cone=cone)), ground, 20)
    return ours, record(mujoco_warp(MujocoWarpConfig(friction_cone=cone), device="cpu"), ground, 20)


def worst(runs, field: str) -> float:
    return max(float((getattr(a, field) - getattr(b, field)).abs().max()) for a, b in zip(*runs))


# measured: 1e-5 m, 1e-5 rad, 5e-5 m/s, 1.4e-4 rad/s, 0.04 N: what single precision loses in 80 physics steps; the
# tolerances leave a factor of ten and more for other processors


def test_bodies_are_at_the_same_places(runs):
    assert worst(runs, "body_pos") < 1e-4


def test_bodies_are_turned_the_same_way(runs):
    assert max(float(rot.angle_between(a.body_rot, b.body_rot).max()) for a, b in zip(*runs)) < 2e-4


def test_velocities_are_the_same(runs):
    assert worst(runs, "body_vel") < 1e-3
    assert worst(runs, "dof_vel") < 2e-3


def test_contact_forces_are_the_same(runs):
    assert worst(runs, "contact_force") < 1.0


def test_the_runs_touch_the_ground_where_they_should(runs, request):
    """The tests above compare nothing worth comparing if nobody touches anything."""
    flies = "flight" in request.node.callspec.id
    forces = torch.stack([frame.contact_force[..., 2].sum(dim=-1) for frame in runs[0]])
    assert bool((forces.max(dim=0).values > 400.0).all()) == (not flies)
