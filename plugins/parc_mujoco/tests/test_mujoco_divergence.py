"""Copies that run away, on both simulators: seen, counted, put back, kept in a file; the others as if nothing was."""

from __future__ import annotations

import logging
import tempfile

import attrs
import mujoco
import numpy as np
import pytest
import torch

from parc_core.interfaces import Scene
from parc_motion.skeletons import load_skeleton
from parc_motion.storage import read_arrays
from parc_motion.terrains import Terrain
from parc_mujoco import messages
from parc_mujoco.config import MujocoConfig, MujocoWarpConfig
from parc_mujoco.cpu import MujocoSimulator
from parc_mujoco.divergence import MAX_DUMPS
from parc_mujoco.model import build_spec, terrain_boxes
from parc_mujoco.warp.provider import mujoco_warp
from parc_testing.builders import make_terrain
from parc_testing.contracts.simulator import character_state

SKELETON = load_skeleton("humanoid")
TERRAINS = [make_terrain(), make_terrain(steps=[((slice(2, 5), slice(2, 5)), 0.4)])]
(KNEE,) = [dofs.start for j, dofs in zip(SKELETON.joints, SKELETON.dof_slices) if j.name == "right_knee"]
TARGETS = 0.2 * torch.ones(SKELETON.num_dofs)


@pytest.fixture(params=["mujoco", "mujoco_warp"])
def start(request):
    """``start(broken, config)``: copies in the air, reset; those in `broken` with a knee at 9,000 rad/s."""
    made = []
    if request.param == "mujoco_warp":
        request.getfixturevalue("warp_ready")

    def build(count: int, broken: list[int], **settings):
        if request.param == "mujoco":
            sim = MujocoSimulator(MujocoConfig(**settings))
        else:
            sim = mujoco_warp(MujocoWarpConfig(**settings), device="cpu")
        made.append(sim)
        sim.build(Scene(skeleton=SKELETON, terrains=TERRAINS, num_envs=count))
        ids, state = torch.arange(count), character_state(count, height=1.5)
        sim.set_terrains(ids, ids % 2)
        state.root_pos[:, 0] = 0.1 * ids
        state.dof_vel[broken, KNEE] = 9e3
        sim.reset(ids, state)
        sim.set_targets(TARGETS.repeat(count, 1))
        return sim

    yield build
    for sim in made:
        sim.close()


def test_one_copy_that_runs_away_is_seen_at_once_and_changes_nothing_for_the_others(start, tmp_path):
    sound, sim = start(3, []), start(3, [1], dump_dir=str(tmp_path))
    for _ in range(4):
        sound.step()
        sim.step()
        expected, got = sound.read(), sim.read()
        assert got.finite.tolist() == [True, False, True]
        for field in attrs.fields(type(got)):
            if field.name != "finite":
                assert torch.equal(getattr(got, field.name)[[0, 2]], getattr(expected, field.name)[[0, 2]])
    assert (sim.num_diverged, sound.num_diverged) == (1, 0)


def test_it_is_put_back_to_where_it_was_reset(start, tmp_path):
    sim = start(2, [1], dump_dir=str(tmp_path))
    before = sim.read()
    for _ in range(3):
        sim.step()
    got = sim.read()
    assert torch.allclose(got.body_pos[1], before.body_pos[1], atol=1e-6)
    assert bool(torch.isfinite(got.body_vel).all())


def test_state_that_is_not_finite_leaves_the_copy_where_it_was_reset_before(start, tmp_path):
    sim = start(2, [], dump_dir=str(tmp_path))
    before = sim.read()
    bad = character_state(1, height=1.5)
    bad.root_pos[0, 1] = float("inf")
    sim.reset(torch.tensor([1]), bad)
    got = sim.read()
    assert got.finite.tolist() == [True, False]
    assert torch.allclose(got.body_pos, before.body_pos, atol=1e-6)
    assert sim.num_diverged == 1


def test_file_holds_what_it_takes_to_run_the_step_again(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo by itself writes a log file when something diverges
    sim = start(2, [1], dump_dir=str(tmp_path))
    sim.step()
    sim.step()
    arrays, header = read_arrays(next(tmp_path.glob("diverged-*.npz")))
    assert (header["env_id"], header["terrain_id"], header["skeleton"]) == (1, 1, SKELETON.id)
    terrain = Terrain(height=arrays["height"], origin_xy=arrays["origin_xy"], cell=header["cell"])
    boxes = terrain_boxes(terrain)
    known = {field.name for field in attrs.fields(MujocoConfig)}
    config = MujocoConfig(**{name: value for name, value in header["settings"].items() if name in known})
    model = build_spec(SKELETON, config, boxes, len(boxes[0])).compile()
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = arrays["qpos"][-1], arrays["qvel"][-1]
    data.ctrl[:] = arrays["targets"][-1]
    assert arrays["targets"][-1] == pytest.approx(TARGETS.numpy())
    assert np.abs(data.qvel).max() == pytest.approx(9e3)
    for _ in range(4):
        mujoco.mj_step(model, data)
    assert not (np.abs(data.qvel).max() < 1e4)  # it runs away again
    if header["simulator"] == "mujoco":
        assert np.array_equal(data.qpos, arrays["qpos_after"], equal_nan=True)


def test_only_the_first_few_are_kept_and_all_are_counted(start, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="parc_mujoco"):
        sim = start(MAX_DUMPS + 2, list(range(MAX_DUMPS + 2)), dump_dir=str(tmp_path))
        sim.step()
        sim.step()
        assert sim.num_diverged == MAX_DUMPS + 2
    files = sorted(tmp_path.glob("diverged-*.npz"))
    assert len(files) == MAX_DUMPS
    assert {read_arrays(file)[1]["env_id"] for file in files} == set(range(MAX_DUMPS))
    assert sum(str(file) in caplog.text for file in files) == MAX_DUMPS


def test_log_names_the_file_and_says_how_to_replay_it(start, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="parc_mujoco.divergence"):
        sim = start(1, [0], dump_dir=str(tmp_path))
        sim.step()
    (file,) = tmp_path.glob("*.npz")
    simulator = type(sim).__name__.removesuffix("Simulator").replace("MujocoWarp", "mujoco_warp").lower()
    own = [record.getMessage() for record in caplog.records if record.name == "parc_mujoco.divergence"]
    assert own == [
        f"simulator {simulator}: environment 0 on terrain 0 diverged 0.00 s after its reset; it is put back to where "
        f"it was reset and waits there. Its last 1 steps are kept; replay them with: parc debug {file}",
        f"simulator {simulator}: copies have diverged 1 times so far, of 1 environments",
    ]


def test_without_a_folder_nothing_is_kept(start, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sim = start(1, [0])
    sim.step()
    assert list(tmp_path.iterdir()) == []
    assert "simulator.dump_dir names a folder in which its last steps are kept" in caplog.text


def test_mujoco_writes_no_log_file_and_nothing_on_the_terminal(tmp_path, capfd, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    logs = mujoco.MjLogConfig.get()
    logs.logto_file = logs.logto_console = True
    logs.set()
    monkeypatch.setattr(messages, "_told", set())
    sim = MujocoSimulator(MujocoConfig(dump_dir=str(tmp_path / "dumps")))
    sim.build(Scene(skeleton=SKELETON, terrains=TERRAINS, num_envs=3))
    state = character_state(3)
    state.dof_vel[:] = 9e3
    sim.reset(torch.arange(3), state)
    sim.step()
    sim.close()
    assert sim.num_diverged == 3
    assert [path.name for path in tmp_path.iterdir()] == ["dumps"]
    assert capfd.readouterr() == ("", "")
    said = [record for record in caplog.records if record.name == "parc_mujoco.messages"]
    assert said and all(record.message.startswith("MuJoCo: Nan, Inf or huge value in Q") for record in said)
    assert len(said) <= 3  # one of each kind as a warning


def test_silent_reset_of_mujoco_is_switched_off(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo by itself writes a log file when something diverges
    messages.messages_to_log()
    boxes = terrain_boxes(TERRAINS[0])
    model = build_spec(SKELETON, MujocoConfig(), boxes, len(boxes[0])).compile()
    data = mujoco.MjData(model)
    data.qvel[0] = np.nan
    mujoco.mj_step(model, data)
    assert np.isnan(data.qvel[0]) and data.time == pytest.approx(1 / 120)
