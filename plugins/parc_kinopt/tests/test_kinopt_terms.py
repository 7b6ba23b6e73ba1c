"""The loss terms, by hand and against the published implementation's numbers."""

from __future__ import annotations

import pathlib

import attrs
import numpy as np
import pytest
import torch

from parc_kinopt import kernels
from parc_kinopt.batch import join, pack
from parc_kinopt.cloud import PointCloud
from parc_kinopt.constraints import BodyConstraint, automatic_constraints, foot_locks, spread
from parc_kinopt.limbs import limbs_of
from parc_kinopt.objective import MotionLoss
from parc_kinopt.optimizer import KinoptConfig, make_body, make_targets
from parc_motion.clips import MotionClip
from parc_motion.kinematics import SurfacePoints, body_masses
from parc_motion.kinematics.rotations import quat_about_axis, quat_to_matrix
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Terrain
from parc_testing.builders import make_clip

SKELETON = load_skeleton("humanoid")
PROBLEMS = pathlib.Path(__file__).resolve().parents[4] / "shared" / "data" / "kinopt"
ZERO = torch.zeros(1, dtype=torch.float64)
BACKGROUND = {
    "root_pos": 1.0,
    "root_rot": 10.0,
    "joint_rot": 1.0,
    "smoothness": 10.0,
    "penetration": 1000.0,
    "contact": 1000.0,
    "sliding": 10.0,
    "body_constraint": 1000.0,
    "jerk": 1000.0,
}


def _loss(clip: MotionClip, weights: dict[str, float], body=None, constraints=None):
    """The loss of one clip in float64 and its variables."""
    body = body or make_body(SKELETON, dtype=torch.float64)
    batch = pack([clip], [clip.terrain], SKELETON, dtype=torch.float64)
    batch = attrs.evolve(batch, terrains=batch.terrains.to(dtype=torch.float64))
    config = KinoptConfig(jerk_limit=1000.0)
    config = attrs.evolve(
        config, weights=attrs.evolve(config.weights, foot_lock=weights.get("foot_lock", 0.0))
    )
    targets = make_targets(batch, body, config, constraints)
    x = join(batch.root_pos, batch.root_rot, batch.joint_rot, body.kin)
    return MotionLoss(targets, batch.terrains, body, weights), x


def _lifted(clip: MotionClip, height: float) -> MotionClip:
    return attrs.evolve(clip, root_pos=clip.root_pos + np.array([0, 0, height], dtype=np.float32))


def test_excess_is_rounded_below_its_width():
    # width 0.2: 0.1^2 / 0.4 = 0.025; 0.5 - 0.1 = 0.4; below zero nothing; width 0: max(r, 0)
    r, width = torch.tensor([0.1, 0.5, -1.0]), torch.full((3,), 0.2)
    assert kernels.excess(r, width).tolist() == pytest.approx([0.025, 0.4, 0.0])
    assert kernels.excess(r, torch.zeros(3)).tolist() == pytest.approx([0.1, 0.5, 0.0])


def test_jerk_hinge_by_hand():
    # x = 0, 0, 0, 0.1: third difference 0.1; limit 0.04 leaves 0.06. x = t^2 has none.
    pos = torch.zeros(2, 4, 1, 3, dtype=torch.float64)
    pos[0, 3, 0, 0] = 0.1
    pos[1, :, 0, 1] = torch.arange(4.0).square()
    limit, mask = torch.full((2,), 0.04, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    assert kernels.jerk(pos, limit, mask, torch.zeros(2)).tolist() == pytest.approx([0.06, 0.0], abs=1e-7)


def test_free_fall_costs_nothing_and_hovering_costs_gravity():
    dt = torch.full((2,), 1 / 30, dtype=torch.float64)
    time = torch.arange(5, dtype=torch.float64) / 30
    com = torch.zeros(2, 5, 3, dtype=torch.float64)
    com[0, :, 0], com[0, :, 2] = 2.0 * time, 3.0 * time - 0.5 * 9.81 * time.square()
    # hovering: second difference 0 instead of -9.81 / 900 = -0.0109 m, three times: 3 * 0.0109^2 = 3.5643e-4
    value = kernels.ballistic(com, dt, torch.ones(2, 3, dtype=torch.float64))
    assert value.tolist() == pytest.approx([0.0, 3.5643e-4], abs=1e-8)


def test_steadiness_costs_only_a_push_that_the_source_did_not_have():
    # positions 0, 0, 0.1, 0.2 m: second differences 0.1, 0; the source's 0.1, 0.1: (0)^2 + (-0.1)^2 = 0.01 m^2;
    # with the second place in free fall nothing is left
    com = torch.zeros(1, 4, 3, dtype=torch.float64)
    com[0, :, 0] = torch.tensor([0.0, 0.0, 0.1, 0.2])
    push = torch.tensor([[[0.1, 0.0, 0.0], [0.1, 0.0, 0.0]]], dtype=torch.float64)
    assert kernels.steadiness(com, push, torch.ones(1, 2)).item() == pytest.approx(0.01)
    assert kernels.steadiness(com, push, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(0.0)


def test_contact_is_the_gap_of_the_nearest_point():
    # both soles 0.1 m above level ground in each of 5 frames: 2 * 5 * 0.1 = 1.0 m
    clip = make_clip(5)
    clip = _lifted(clip, 0.1)
    loss, x = _loss(clip, {"contact": 1.0})
    assert float(loss.terms(x, ZERO)["contact"]) == pytest.approx(1.0, abs=1e-4)


def test_penetration_sums_the_depth_of_every_point():
    # soles 0.02 m deep: 18 points of each foot at 0.02 m in 4 frames: 2 * 18 * 4 * 0.02 = 2.88 m
    loss, x = _loss(_lifted(make_clip(4), -0.02), {"penetration": 1.0})
    assert float(loss.terms(x, ZERO)["penetration"]) == pytest.approx(2.88, abs=1e-3)


def test_foot_lock_is_slide_and_height_of_the_corners():
    # gliding 1 m/s: 1/30 m per frame; 4 corners, 2 feet, 3 steps: 24 / 30 = 0.8 m; soles on the ground: no height
    loss, x = _loss(make_clip(4, speed=1.0), {"foot_lock": 1.0})
    assert float(loss.terms(x, ZERO)["foot_lock"]) == pytest.approx(0.8, abs=1e-3)


def test_lifted_corners_are_not_locked():
    clip = make_clip(8)
    heel_up = clip.joint_rot.copy()  # both ankles pitched by 0.4 rad, so that the heels are 7 cm up
    heel_up[:, [10, 13]] = quat_about_axis(torch.tensor([0.0, 1.0, 0.0]), torch.tensor(0.4)).numpy()
    batch = pack([attrs.evolve(clip, joint_rot=heel_up)], [clip.terrain], SKELETON)
    body = make_body(SKELETON)
    pos, rot = body.kin.forward(batch.root_pos, batch.root_rot, batch.joint_rot)
    world = body.cloud.world(pos[0], quat_to_matrix(rot[0]))[None]
    weight = foot_locks(batch, world, body.feet, 0.9).weight[0, :, 0]
    assert sorted(weight[3].tolist()) == pytest.approx([0.0, 0.0, 1.0, 1.0], abs=1e-3)


def test_joint_limit_by_hand():
    dof = torch.tensor([[[0.5, -1.2]]])
    lower, upper = torch.tensor([-1.0, -1.0]), torch.tensor([0.4, 1.0])
    # 0.1 above and 0.2 below
    assert float(kernels.joint_limit(dof, lower, upper, torch.ones(1, 1), ZERO)) == pytest.approx(0.3)


def test_masses_are_those_of_the_simulator():
    mass, com = body_masses(SKELETON)
    assert mass.sum() == pytest.approx(50.05, abs=0.01)  # measured with MuJoCo: 50.05 kg
    assert com[11] == pytest.approx([0.045, 0.0, -0.0225], abs=1e-6)


def test_padding_changes_nothing():
    short, long = make_clip(6, speed=0.5), make_clip(9, speed=0.3)
    body = make_body(SKELETON, dtype=torch.float64)
    alone, x = _loss(short, BACKGROUND, body, [[]])
    batch = pack([short, long], [short.terrain, long.terrain], SKELETON, dtype=torch.float64)
    batch = attrs.evolve(batch, terrains=batch.terrains.to(dtype=torch.float64))
    config = KinoptConfig(jerk_limit=1000.0)
    config = attrs.evolve(config, weights=attrs.evolve(config.weights, foot_lock=0.0))
    both = MotionLoss(make_targets(batch, body, config, [[], []]), batch.terrains, body, BACKGROUND)
    moved = join(batch.root_pos, batch.root_rot, batch.joint_rot, body.kin)
    wiggle = 0.01 * torch.randn(moved.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one, two = alone.terms(x + wiggle[:1, :6], ZERO), both.terms(moved + wiggle, ZERO.repeat(2))
    for name, value in one.items():
        assert float(two[name][0]) == pytest.approx(float(value[0]), rel=1e-9, abs=1e-12), name


def test_closest_point_agrees_with_a_full_search_beside_walls():
    from parc_motion.geometry import signed_distance

    generator = np.random.default_rng(3)
    terrain = Terrain(height=generator.uniform(-0.5, 0.5, (10, 10)), origin_xy=(-2.0, -2.0), cell=0.4)
    shift = generator.uniform(-1.5, 1.5, (60, 3)) * [1, 1, 0.5]
    clip = make_clip(60, terrain=terrain)
    clip = attrs.evolve(clip, root_pos=clip.root_pos + shift.astype(np.float32))
    batch, body = pack([clip], [terrain], SKELETON), make_body(SKELETON)
    pos, rot = body.kin.forward(batch.root_pos[0], batch.root_rot[0], batch.joint_rot[0])
    world = body.cloud.world(pos, quat_to_matrix(rot))
    frame, which = torch.arange(60), torch.full((60,), 11)
    ids = torch.zeros(60, dtype=torch.long)
    _, fast = body.cloud.closest(world, batch.terrains, ids, frame, which)
    points = world[:, :, body.cloud.body == 11].mT.contiguous()
    exact = signed_distance(batch.terrains, ids, points, None).amin(dim=-1)
    near = exact < 0.9  # beyond 1 m the search is cut
    assert torch.allclose(fast[near], exact[near], atol=1e-5)


def test_constraint_point_of_a_buried_contact_lies_on_the_true_surface():
    # feet 0.17 m inside a raised plateau, their centers on the border between two cells
    terrain = Terrain(height=np.full((12, 10), 0.17), origin_xy=(-1.845, -0.8), cell=0.4)
    clip = make_clip(10, terrain=terrain)
    batch, body = pack([clip], [terrain], SKELETON), make_body(SKELETON)
    pos, rot = body.kin.forward(batch.root_pos, batch.root_rot, batch.joint_rot)
    found = automatic_constraints(batch, pos, quat_to_matrix(rot), limbs_of(SKELETON), 0.9)[0]
    assert [(c.body, c.first, c.last) for c in found] == [(11, 0, 9), (14, 0, 9)]
    assert [float(c.point[2]) for c in found] == pytest.approx([0.17, 0.17], abs=1e-5)


@pytest.mark.parametrize("name", ["60", "142"])
def test_total_and_gradient_are_those_of_the_published_implementation(name):
    path = PROBLEMS / f"problem_{name}.npz"
    if not path.exists():
        pytest.skip(f"the real problem {path} is not here")
    data = np.load(path, allow_pickle=False)
    unit = lambda q: q / np.linalg.norm(q, axis=-1, keepdims=True)  # noqa: E731
    clip = MotionClip(
        name=name,
        root_pos=data["root_pos"],
        root_rot=unit(data["root_rot_xyzw"]),
        joint_rot=unit(data["joint_rot_xyzw"]),
        contacts=data["contacts"],
        fps=30,
        terrain=Terrain(height=data["height"], origin_xy=data["origin_xy"], cell=float(data["cell"])),
    )
    body = make_body(SKELETON, dtype=torch.float64)
    counts = tuple(int(n) for n in data["surface_points_per_body"])
    surface = SurfacePoints(
        points=torch.tensor(data["surface_points"]),
        body=torch.tensor(np.repeat(np.arange(15), counts)),
        counts=counts,
    )
    body = attrs.evolve(body, cloud=PointCloud(SKELETON, dtype=torch.float64, surface=surface))
    rows = data["constraints"]
    given = [[BodyConstraint(body=int(r[0]), first=int(r[1]), last=int(r[2]), point=r[3:]) for r in rows]]
    loss, x = _loss(clip, BACKGROUND, body, given)
    total, gradient = loss(x, ZERO)
    assert float(total) == pytest.approx(float(data["start_total"]), rel=1e-6)
    expected = torch.tensor(data["start_gradient"])
    assert float((gradient[0] - expected).norm() / expected.norm()) < 2e-5


def test_spread_places_constraints_in_their_frames():
    held, point = spread(
        [[BodyConstraint(body=2, first=1, last=2, point=np.array([1.0, 2, 3]))]], torch.zeros(1, 4, 5)
    )
    assert held[0, :, 2].tolist() == [0, 1, 1, 0]
    assert point[0, 1, 2].tolist() == [1, 2, 3]
    assert float(held.sum()) == 2
