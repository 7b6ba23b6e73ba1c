"""What only the GPU simulator has: its buffers, its ground, its refusals. On Warp's CPU device."""

from __future__ import annotations

import logging
import re
import sys

import mujoco
import numpy as np
import pytest
import torch

from parc_core.config import Use
from parc_core.errors import ConfigError, ProviderUnavailable
from parc_core.interfaces import Scene
from parc_core.plugins import Registry
from parc_motion.skeletons import load_skeleton
from parc_mujoco.config import MujocoConfig, MujocoWarpConfig
from parc_mujoco.cpu import MujocoSimulator
from parc_mujoco.model import build_spec, pad_boxes, terrain_boxes
from parc_mujoco.warp.provider import mujoco_warp
from parc_testing.builders import STANDING_HEIGHT, make_terrain
from parc_testing.contracts.simulator import character_state

SKELETON = load_skeleton("humanoid")
TERRAINS = [
    make_terrain(),
    make_terrain(height=np.random.default_rng(1).uniform(-0.3, 0.3, (5, 7)).round(1)),
]


def build(num_envs: int = 2, **settings):
    sim = mujoco_warp(MujocoWarpConfig(**settings), device="cpu")
    sim.build(Scene(skeleton=SKELETON, terrains=TERRAINS, num_envs=num_envs))
    return sim


@pytest.fixture
def standing(warp_ready):
    """``standing(num_envs, **settings)``: copies that stand on level ground."""
    made = []

    def make(num_envs: int = 2, **settings):
        sim = build(num_envs, **settings)
        made.append(sim)
        sim.reset(torch.arange(num_envs), character_state(num_envs, height=STANDING_HEIGHT - 0.005))
        return sim

    yield make
    for sim in made:
        sim.close()


def test_states_are_views_of_warps_memory(standing):
    worlds = standing()._worlds
    assert worlds.qpos.data_ptr() == worlds.data.qpos.ptr
    assert worlds.xpos.data_ptr() == worlds.data.xpos.ptr
    assert worlds._geoms["geom_xpos"].data_ptr() == worlds.data.geom_xpos.ptr


def test_what_was_read_does_not_change_with_the_next_step(standing):
    sim = standing()
    before = sim.read()
    kept = {name: getattr(before, name).clone() for name in before.__annotations__}
    sim.set_targets(torch.ones(2, SKELETON.num_dofs))
    sim.step()
    assert not torch.equal(sim.read().body_pos, kept["body_pos"])
    assert all(torch.equal(getattr(before, name), value) for name, value in kept.items())


def test_contact_forces_after_a_reset_are_those_of_the_state(standing):
    sim, other = standing(), MujocoSimulator(MujocoConfig())
    other.build(Scene(skeleton=SKELETON, terrains=TERRAINS, num_envs=2))
    other.reset(torch.arange(2), character_state(2, height=STANDING_HEIGHT - 0.005))
    expected = other.read().contact_force
    assert float(expected[0, :, 2].sum()) > 100.0
    assert torch.allclose(sim.read().contact_force, expected, atol=0.5)


def test_contact_forces_of_the_others_stay_when_one_is_reset(standing):
    sim = standing()
    for _ in range(3):
        sim.step()
    before = sim.read().contact_force
    sim.reset(torch.tensor([1]), character_state(1, height=5.0))
    after = sim.read().contact_force
    assert torch.equal(after[0], before[0]) and float(before[0].abs().max()) > 100.0
    assert float(after[1].abs().max()) == 0.0


def test_models_of_terrains_differ_only_where_each_copy_has_its_own():
    covers = [terrain_boxes(terrain) for terrain in TERRAINS]
    most = max(len(cover[0]) for cover in covers)
    models = [
        build_spec(
            SKELETON, MujocoWarpConfig(), pad_boxes(cover, most), most, contact_sensors=False
        ).compile()
        for cover in covers
    ]
    assert most > 1
    different = set()
    for name in dir(mujoco.MjModel):
        values = [getattr(model, name, None) for model in models]
        if isinstance(values[0], np.ndarray) and not np.array_equal(*values, equal_nan=False):
            different.add(name)
    volumes = {name for name in different if name.startswith("bvh_")}  # MuJoCo Warp has no such tree
    assert different - volumes == {"geom_pos", "geom_size", "geom_rbound", "geom_aabb"}


def test_ground_of_a_copy_is_that_of_the_compiled_model(standing):
    sim = standing(2)
    sim.set_terrains(torch.tensor([1]), torch.tensor([1]))
    boxes = terrain_boxes(TERRAINS[1])
    count = len(boxes[0])
    model = build_spec(SKELETON, sim.config, boxes, count).compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    own = {name: values[1, :count].numpy() for name, values in sim._worlds._geoms.items()}
    assert np.allclose(own["geom_xpos"], data.geom_xpos[:count], atol=1e-6)
    for name in ("geom_pos", "geom_size", "geom_rbound"):
        assert np.allclose(own[name], getattr(model, name)[:count], atol=1e-5), name
    assert np.allclose(own["geom_aabb"].reshape(count, 6), model.geom_aabb[:count], atol=1e-5)


def test_full_contact_store_is_reported_once_with_what_to_set(standing, caplog):
    with caplog.at_level(logging.WARNING, logger="parc_mujoco"):
        sim = standing(2, nconmax=3)
        for _ in range(3):
            sim.step()
    # two copies stand on four corners of two feet each: 16 contacts, room for 6; 16 / 2 and a quarter more is 10
    assert caplog.messages == [
        "simulator mujoco_warp, 2 environments: 16 pairs of geoms touch or nearly do in 2 copies, memory is held "
        "for 6: the rest was left out, of any copy, so bodies may fall through the ground. "
        "Set simulator.nconmax to 16."
    ]


def test_full_constraint_rows_are_reported_once_with_what_to_set(standing, caplog):
    with caplog.at_level(logging.WARNING, logger="parc_mujoco"):
        sim = standing(2, njmax=20)
        for _ in range(3):
            sim.step()
    # eight contacts of four rows each, and a few limits of straight joints; 32 to 38 and a quarter more is 40 to 48
    (message,) = caplog.messages
    text = re.sub(r"3[2-8] constraint rows", "some constraint rows", message)
    assert text == (
        "simulator mujoco_warp, 2 environments: a copy has some constraint rows, memory is held for 20: the rest was "
        "left out, so bodies may sink in or joints give way. Set simulator.njmax to 48."
    )


def test_roomy_buffers_are_not_reported(standing, caplog):
    with caplog.at_level(logging.WARNING, logger="parc_mujoco"):
        sim = standing(2)
        for _ in range(3):
            sim.step()
    assert caplog.messages == []


def test_number_of_divergences_outlives_close(warp_ready, tmp_path):
    sim = build(1, dump_dir=str(tmp_path))
    assert sim.num_diverged == 0
    state = character_state(1)
    state.root_vel[0, 0] = float("nan")
    sim.reset(torch.tensor([0]), state)
    sim.close()
    assert sim.num_diverged == 1


def test_nothing_is_printed(warp_ready, capfd):
    sim = build(1)
    sim.step()
    sim.close()
    assert capfd.readouterr().out == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_gpu_that_is_not_there_is_refused(warp_ready):
    with pytest.raises(ConfigError) as caught:
        mujoco_warp(MujocoWarpConfig(), device="cuda:1")
    assert str(caught.value) == (
        "simulator 'mujoco_warp' on device 'cuda:1': torch sees 0 NVIDIA GPU(s), Warp sees 0. Install the NVIDIA "
        "driver and a torch that was built for CUDA, or use simulator 'mujoco' on the CPU."
    )


def test_other_devices_are_refused(warp_ready):
    with pytest.raises(ConfigError) as caught:
        mujoco_warp(MujocoWarpConfig(), device="mps")
    assert str(caught.value) == (
        "simulator 'mujoco_warp' cannot run on device 'mps'. Use cuda (an NVIDIA GPU) or cpu."
    )


@pytest.mark.parametrize("missing", ["warp", "mujoco_warp"])
def test_without_mujoco_warp_the_registry_says_what_to_install(monkeypatch, missing):
    if missing == "mujoco_warp":
        pytest.importorskip("warp", reason="Warp is not installed either, and is missed first")
    for module in [name for name in sys.modules if name.startswith("parc_mujoco.warp.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ProviderUnavailable) as caught:
        Registry.discover().create("simulator", Use("mujoco_warp"), device="cpu", threads=1)
    assert str(caught.value) == (
        f"simulator 'mujoco_warp' needs MuJoCo Warp, which is not installed (no module '{missing}').\n"
        "  to do       pip install 'parc-mujoco[warp]', or use simulator 'mujoco', which needs no GPU"
    )
