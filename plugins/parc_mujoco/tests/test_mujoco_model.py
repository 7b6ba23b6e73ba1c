from __future__ import annotations

import attrs
import mujoco
import numpy as np
import pytest
import torch

from parc_core.errors import ConfigError
from parc_core.interfaces import Scene
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import JointKind, load_skeleton
from parc_mujoco.config import MujocoConfig
from parc_mujoco.convert import StateLayout, to_wxyz, to_xyzw
from parc_mujoco.cpu import MujocoSimulator
from parc_mujoco.ground import TerrainModels
from parc_mujoco.model import build_spec, count_substeps, terrain_boxes
from parc_testing.builders import STANDING_HEIGHT, make_terrain
from parc_testing.contracts.simulator import character_state

SKELETON = load_skeleton("humanoid")


def bumpy(seed: int, shape: tuple[int, int] = (10, 10)):
    return make_terrain(height=np.random.default_rng(seed).uniform(-0.3, 0.3, shape).round(1))


def model_of(config: MujocoConfig | None = None, terrain=None) -> mujoco.MjModel:
    boxes = terrain_boxes(terrain or make_terrain())
    return build_spec(SKELETON, config or MujocoConfig(), boxes, len(boxes[0])).compile()


def test_humanoid_weighs_50_kg():
    assert model_of().body_mass.sum() == pytest.approx(50.05, abs=0.01)


def test_sizes_are_those_of_ball_joints():
    model = model_of()
    # 7 + 8 balls * 4 + 4 hinges; 6 + 28; one servo per dof
    assert (model.nq, model.nv, model.nu) == (43, 34, 28)


def test_dofs_and_servos_are_in_the_order_of_the_skeleton():
    model = model_of()
    for joint, dofs in zip(SKELETON.joints, SKELETON.dof_slices):
        if joint.kind is JointKind.FIXED:
            continue
        address = int(model.joint(joint.name).dofadr[0])
        assert address == 6 + dofs.start
        for dof in range(dofs.start, dofs.stop):
            assert model.actuator_trnid[dof, 0] == model.joint(joint.name).id
            assert model.actuator_gainprm[dof, 0] == pytest.approx(joint.kp)
            assert model.dof_damping[6 + dof] == pytest.approx(0.3 * joint.kd)
            assert model.dof_armature[6 + dof] == pytest.approx(joint.armature)
            assert model.actuator_forcerange[dof].tolist() == pytest.approx([-3 * joint.gear, 3 * joint.gear])


def test_solver_and_time_step_are_those_that_were_measured():
    option = model_of().opt
    assert option.timestep == pytest.approx(1 / 120)
    assert option.integrator == mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    assert option.solver == mujoco.mjtSolver.mjSOL_NEWTON
    assert option.cone == mujoco.mjtCone.mjCONE_PYRAMIDAL


def test_the_friction_cone_is_as_set():
    assert model_of(MujocoConfig(friction_cone="elliptic")).opt.cone == mujoco.mjtCone.mjCONE_ELLIPTIC


def test_a_control_step_is_four_physics_steps():
    assert count_substeps(MujocoConfig().sim_hz, 30.0) == 4


def test_models_of_all_terrains_have_data_of_the_same_layout():
    terrains = [make_terrain(), bumpy(1), bumpy(2, (3, 4))]
    models = TerrainModels(SKELETON, terrains, MujocoConfig())
    counts = [len(terrain_boxes(terrain)[0]) for terrain in terrains]
    assert len(set(counts)) == 3
    assert {models[i].ngeom for i in range(3)} == {max(counts) + len(SKELETON.geoms)}
    assert len({(models[i].nbvhstatic, models[i].nbvhdynamic, models[i].nsensordata) for i in range(3)}) == 1


def test_boxes_that_make_up_the_number_collide_with_nothing():
    boxes = terrain_boxes(make_terrain())
    model = build_spec(SKELETON, MujocoConfig(), boxes, len(boxes[0]) + 1).compile()
    data = mujoco.MjData(model)
    data.qpos[2] = -1000.0  # right where the surplus box lies
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


def test_contact_force_of_a_body_is_the_force_on_it_and_names_both_sides():
    sim = MujocoSimulator(MujocoConfig())
    sim.build(Scene(skeleton=SKELETON, terrains=[make_terrain()], num_envs=1))
    dof = torch.zeros(1, SKELETON.num_dofs)
    for name, sign in (("right_hip", 1.0), ("left_hip", -1.0)):
        (start,) = [d.start for j, d in zip(SKELETON.joints, SKELETON.dof_slices) if j.name == name]
        dof[0, start] = sign * 0.06  # both thighs inwards until the legs press against each other
    sim.reset(torch.tensor([0]), character_state(1, height=5.0, dof=dof))
    force = sim.read().contact_force[0]
    right = [SKELETON.body_id(f"right_{part}") for part in ("thigh", "shin", "foot")]
    left = [SKELETON.body_id(f"left_{part}") for part in ("thigh", "shin", "foot")]
    assert float(force[right, 1].sum()) < -50.0  # to the right: the left leg pushes it away
    assert torch.allclose(force[right].sum(dim=0), -force[left].sum(dim=0), atol=1e-3)
    assert float(force.sum(dim=0).abs().max()) < 1e-3
    sim.close()


def test_no_force_limit_when_scale_is_none():
    model = model_of(attrs.evolve(MujocoConfig(), force_limit_scale=None))
    assert not model.actuator_forcelimited.any()


def test_straight_pose_has_no_self_contact():
    model = model_of()
    data = mujoco.MjData(model)
    data.qpos[2] = 5.0
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


@pytest.mark.parametrize(("enabled", "expected"), [(True, True), (False, False)])
def test_self_collision_setting_decides_about_crossed_legs(enabled, expected):
    model = model_of(attrs.evolve(MujocoConfig(), self_collision=enabled))
    data = mujoco.MjData(model)
    data.qpos[2] = 5.0
    angle = 0.25  # both thighs inwards
    for name, sign in (("right_hip", 1.0), ("left_hip", -1.0)):
        data.joint(name).qpos[:] = [np.cos(angle), sign * np.sin(angle), 0.0, 0.0]
    mujoco.mj_forward(model, data)
    assert (data.ncon > 0) == expected


def test_torch_kinematics_agree_with_mujoco_on_random_poses():
    model = model_of()
    data, layout = mujoco.MjData(model), StateLayout.of(SKELETON)
    kin = Kinematics(SKELETON, dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    dof = 1.5 * torch.randn(100, SKELETON.num_dofs, generator=g, dtype=torch.float64)
    joint_rot = kin.dof_to_joint_rot(dof)
    root_pos = torch.randn(100, 3, generator=g, dtype=torch.float64)
    root_rot = torch.nn.functional.normalize(torch.randn(100, 4, generator=g, dtype=torch.float64), dim=-1)
    body_pos, body_rot = kin.forward(root_pos, root_rot, joint_rot)
    qpos = layout.qpos(root_pos.numpy(), root_rot.numpy(), joint_rot.numpy())
    for n in range(100):
        data.qpos[:] = qpos[n]
        mujoco.mj_kinematics(model, data)
        assert np.abs(data.xpos[1:] - body_pos[n].numpy()).max() < 1e-6
        alike = np.abs((to_xyzw(data.xquat[1:]) * body_rot[n].numpy()).sum(axis=-1))
        assert alike.min() > 1.0 - 1e-9


def test_layout_and_torch_agree_on_dofs():
    layout, kin = StateLayout.of(SKELETON), Kinematics(SKELETON, dtype=torch.float64)
    dof = 0.8 * torch.randn(
        20, SKELETON.num_dofs, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    joint_rot = kin.dof_to_joint_rot(dof)
    assert np.allclose(layout.dof(joint_rot.numpy()), kin.joint_rot_to_dof(joint_rot).numpy(), atol=1e-9)


def test_quaternion_order_round_trip():
    q = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert to_wxyz(q).tolist() == [[4.0, 1.0, 2.0, 3.0]]
    assert to_xyzw(to_wxyz(q)).tolist() == q.tolist()


def test_batch_on_different_terrains_equals_single_simulations():
    terrains = [bumpy(1), bumpy(2, (6, 14)), make_terrain()]
    sim = MujocoSimulator(MujocoConfig(), threads=2)
    sim.build(Scene(skeleton=SKELETON, terrains=terrains, num_envs=3))
    ids = torch.arange(3)
    sim.set_terrains(ids, torch.tensor([1, 0, 2]))
    sim.reset(ids, character_state(3, height=STANDING_HEIGHT + 0.35))
    models = TerrainModels(SKELETON, terrains, MujocoConfig())
    ends = []
    for terrain in (1, 0, 2):
        data = mujoco.MjData(models[terrain])
        data.qpos[:] = sim._field["qpos"][0]
        for _ in range(4 * 20):
            mujoco.mj_step(models[terrain], data)
        ends.append(data.qpos.copy())
    for _ in range(20):
        sim.step()
    assert np.array_equal(sim._field["qpos"], np.stack(ends))
    assert not np.allclose(ends[0], ends[1])
    sim.close()


def test_results_do_not_depend_on_threads():
    ends = []
    for threads in (1, 2):
        sim = MujocoSimulator(MujocoConfig(), threads=threads)
        sim.build(Scene(skeleton=SKELETON, terrains=[bumpy(3)], num_envs=5))
        sim.reset(torch.arange(5), character_state(5, height=STANDING_HEIGHT + 0.35))
        sim.set_targets(0.3 * torch.randn(5, SKELETON.num_dofs, generator=torch.Generator().manual_seed(0)))
        for _ in range(10):
            sim.step()
        ends.append(sim.read().body_pos)
        sim.close()
    assert torch.equal(ends[0], ends[1])


def test_rate_that_does_not_divide_is_refused():
    sim = MujocoSimulator(attrs.evolve(MujocoConfig(), sim_hz=100.0))
    with pytest.raises(ConfigError) as caught:
        sim.build(Scene(skeleton=SKELETON, terrains=[make_terrain()], num_envs=1))
    assert str(caught.value) == (
        "simulator.sim_hz is 100.0 Hz, which is not a multiple of the control rate 30.0 Hz. Use for example 120."
    )
