"""The compiled kernels against the plain torch version, and the solver on problems whose end is known."""

from __future__ import annotations

import pathlib

import attrs
import numpy as np
import pytest
import torch

from parc_kinopt.batch import join, pack
from parc_kinopt.cloud import PointCloud
from parc_kinopt.compiled.cholesky import factor, solve_with
from parc_kinopt.compiled.curvature import fill_blocks
from parc_kinopt.compiled.goal import TERMS, make_derivatives
from parc_kinopt.compiled.ground import column_of, make_ground, surface_from
from parc_kinopt.compiled.newton import NewtonSettings, Problem, solve
from parc_kinopt.compiled.terms import evaluate_loss
from parc_kinopt.compiled.tree import make_pose, tree_of
from parc_kinopt.constraints import BodyConstraint
from parc_kinopt.objective import MotionLoss
from parc_kinopt.optimizer import KinematicOptimizer, KinoptConfig
from parc_motion.clips import MotionClip
from parc_motion.geometry import PackedTerrains, project_to_surface, signed_distance
from parc_motion.kinematics import SurfacePoints
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Terrain
from parc_testing.builders import make_clip

SKELETON = load_skeleton("humanoid")
PROBLEMS = pathlib.Path(__file__).resolve().parents[4] / "shared" / "data" / "kinopt"
WIDTHS = (0.3, 0.1, 0.03, 0.01, 0.003, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)


def _rough_clip(frames: int = 12) -> MotionClip:
    """A character that wriggles over rough ground, partly inside it, with contacts, a flight and a short step."""
    rng = np.random.default_rng(4)
    terrain = Terrain(height=rng.uniform(-0.4, 0.4, (9, 8)), origin_xy=(-1.5, -1.3), cell=0.4)
    clip = make_clip(frames, terrain=terrain, speed=0.7)
    contacts = np.array(clip.contacts)
    contacts[:, 5] = rng.uniform(size=frames)
    contacts[frames // 2 : frames // 2 + 4] = 0.0
    return attrs.evolve(clip, contacts=contacts)


def _problem(clip: MotionClip, weights: dict[str, float] | None = None, **settings):
    """The compiled problem of a clip, its plain loss, and the variables of the clip."""
    config = KinoptConfig(**settings)
    if weights is not None:
        config = attrs.evolve(
            config, weights=type(config.weights)(**{name: weights.get(name, 0.0) for name in TERMS})
        )
    optimizer = KinematicOptimizer(config, skeleton=SKELETON)
    batch = pack([clip], [clip.terrain], SKELETON)
    targets, (problem,) = optimizer.problems(batch, [clip])
    plain = MotionLoss(targets, batch.terrains, optimizer.body, optimizer.weights)
    x = join(batch.root_pos, batch.root_rot, batch.joint_rot, optimizer.body.kin)[0].numpy()
    return problem, plain, x


def _wriggled(x: np.ndarray, size: float = 0.05, seed: int = 0) -> np.ndarray:
    return x + size * np.random.default_rng(seed).normal(size=x.shape)


@pytest.mark.parametrize("name", TERMS)
def test_value_and_gradient_of_each_term_are_those_of_the_plain_version(name):
    problem, plain, x = _problem(_rough_clip(), {name: 3.0}, min_flight=0.05)
    point = _wriggled(x)
    for width in (0.0, 0.02):
        total, gradient = plain(torch.from_numpy(point)[None], torch.full((1,), width, dtype=torch.float64))
        look = problem.evaluate(point, width)
        assert float(total) > 1e-6, "the clip does not exercise the term"
        assert 3.0 * look.values[TERMS.index(name)] == pytest.approx(float(total), rel=1e-9)
        expected = gradient[0].numpy()
        assert np.linalg.norm(look.grad - expected) <= 1e-9 * np.linalg.norm(expected)


@pytest.mark.parametrize("name", TERMS)
def test_gradient_of_each_term_is_its_finite_difference(name):
    problem, _, x = _problem(_rough_clip(), {name: 1.0}, min_flight=0.05)
    point, width = _wriggled(x), 0.05
    way = np.random.default_rng(1).normal(size=x.shape)
    step = 1e-6
    ahead, behind = (
        problem.evaluate(point + s * step * way, width).values[TERMS.index(name)] for s in (1, -1)
    )
    slope = float((problem.evaluate(point, width).grad * way).sum())
    # kinks that remain (a new nearest point, another column) are met by some of the 304 points
    assert slope == pytest.approx((ahead - behind) / (2 * step), rel=2e-4)


@pytest.mark.parametrize(
    "name", ["root_pos", "root_rot", "joint_rot", "steadiness", "ballistic", "foot_lock"]
)
def test_curvature_of_a_squared_term_is_its_second_derivative(name):
    # at the source these terms are squares of small quantities, so Gauss-Newton is the Hessian
    clip = make_clip(9, speed=0.4)
    problem, _, x = _problem(clip, {name: 1.0}, source_cutoff=0.0, clean_contacts=False)
    if name == "ballistic":
        flying = attrs.evolve(
            clip, contacts=np.where(np.arange(9)[:, None] % 8 > 0, 0.0, 1.0) * np.ones((9, 15))
        )
        problem, _, x = _problem(flying, {name: 1.0}, min_flight=0.05, max_flight=5.0)
    width, step = 10.0, 1e-4
    blocks = np.zeros((len(x), 4, x.shape[1], x.shape[1]))
    pose = make_pose(len(x), problem.tree)
    full = make_derivatives(len(x), len(problem.tree.parent), x.shape[1])
    evaluate_loss(
        x,
        problem.tree,
        problem.ground,
        problem.goal,
        problem.limbs,
        problem.weights,
        width,
        1.0,
        True,
        pose,
        full,
    )
    fill_blocks(problem.tree, pose, full, blocks)
    matrix = _dense(blocks)
    way = np.random.default_rng(2).normal(size=x.shape)
    change = (problem.evaluate(x + step * way, width).grad - problem.evaluate(x - step * way, width).grad) / (
        2 * step
    )
    predicted = (matrix @ way.ravel()).reshape(x.shape)
    assert np.linalg.norm(predicted - change) <= 0.12 * np.linalg.norm(change)


@pytest.mark.parametrize("name", TERMS)
def test_each_term_vanishes_on_a_clip_that_satisfies_it(name):
    # stands with still arms, leaves the ground as one rigid body at 1.5 m/s, falls freely, lands and stands
    frames, air = 24, slice(8, 17)
    time = (np.arange(frames) - 7) / 30
    clip = make_clip(frames)
    rise = np.where((time > 0) & (time < 10 / 30), 0.5 * 9.81 * time * (10 / 30 - time), 0.0)
    contacts = np.array(clip.contacts)
    contacts[air] = 0.0
    clip = attrs.evolve(
        clip,
        root_pos=clip.root_pos.astype(np.float64) + np.outer(rise, [0, 0, 1]),
        joint_rot=np.tile([0.0, 0, 0, 1], (frames, 14, 1)),
        contacts=contacts,
    )
    # from standing to flight within a frame is 1.5 m/s in 1/30 s: jerk 1.5 * 30^2 m/s^3 and more
    problem, _, x = _problem(clip, {name: 1.0}, source_cutoff=0.0, jerk_limit=4000.0)
    assert (name != "ballistic") or problem.goal.airborne.sum() == 7
    assert problem.evaluate(x).values[TERMS.index(name)] < 2e-4  # the soles stand at the ground to float32


def _dense(blocks: np.ndarray) -> np.ndarray:
    frames, _, size, _ = blocks.shape
    matrix = np.zeros((frames * size, frames * size))
    for t in range(frames):
        for k in range(min(4, frames - t)):
            matrix[(t + k) * size : (t + k + 1) * size, t * size : (t + 1) * size] = blocks[t, k]
    lower = np.tril(matrix)
    return lower + np.tril(matrix, -1).T


def test_factor_solves_what_numpy_solves():
    rng = np.random.default_rng(0)
    frames, size = 7, 5
    root = np.zeros((frames * size, frames * size))
    for t in range(frames):
        for k in range(min(4, frames - t)):
            root[(t + k) * size : (t + k + 1) * size, t * size : (t + 1) * size] = rng.normal(
                size=(size, size)
            )
    root = np.tril(root) + 4.0 * np.eye(frames * size)
    matrix = root @ root.T
    blocks = np.zeros((frames, 4, size, size))
    for t in range(frames):
        for k in range(min(4, frames - t)):
            blocks[t, k] = matrix[(t + k) * size : (t + k + 1) * size, t * size : (t + 1) * size]
    inverses, right = np.zeros((frames, size, size)), rng.normal(size=(frames, size))
    expected = np.linalg.solve(matrix + 0.1 * np.eye(frames * size), right.ravel())
    assert factor(blocks, 0.1, inverses)
    solve_with(blocks, inverses, right)
    np.testing.assert_allclose(right.ravel(), expected, rtol=1e-9)


def test_matrix_that_is_not_positive_has_no_factor():
    blocks = np.zeros((2, 4, 3, 3))
    blocks[:, 0] = -np.eye(3)
    assert not factor(blocks, 0.0, np.zeros((2, 3, 3)))


def test_distances_are_those_of_the_geometry_package():
    rng = np.random.default_rng(5)
    for shape in ((7, 6), (1, 1), (1, 5)):
        terrain = Terrain(height=rng.uniform(-1, 1, shape), origin_xy=(-1.0, 0.5), cell=0.4)
        points = rng.uniform(-3, 4, (400, 3)) * [1, 1, 0.6]
        exact = signed_distance(
            PackedTerrains.of([terrain], dtype=torch.float64), torch.zeros(1, dtype=torch.long),
            torch.from_numpy(points)[None], None,
        )[0].numpy()  # fmt: skip
        ground = make_ground(terrain)
        for point, expected in zip(points, exact):
            gap = point[2] - ground.height[column_of(point[0], point[1], ground)]
            distance, dx, dy, dz = surface_from(*point, ground, bool(gap < 0), abs(gap) + 1e-9)
            assert distance == pytest.approx(abs(expected), abs=1e-6)
            assert np.linalg.norm([dx, dy, dz]) == pytest.approx(distance, abs=1e-9)


def test_clip_that_meets_its_own_goal_stays_where_it_is():
    # standing still on level ground: every term is 0 and no step is worth its while
    problem, _, x = _problem(make_clip(10), clean_contacts=False)
    solution = solve(problem, x, NewtonSettings(widths=(0.1, 0.01)))
    assert solution.total < 1e-3  # the soles stand at the ground to float32
    assert np.abs(solution.x - x).max() < 1e-4


def _real_problem(name: str, on_surface: bool = False) -> tuple[Problem, np.ndarray]:
    path = PROBLEMS / f"problem_{name}.npz"
    if not path.exists():
        pytest.skip(f"the real problem {path} is not here")
    data = np.load(path, allow_pickle=False)
    unit = lambda q: q / np.linalg.norm(q, axis=-1, keepdims=True)  # noqa: E731
    terrain = Terrain(height=data["height"], origin_xy=data["origin_xy"], cell=float(data["cell"]))
    clip = MotionClip(
        name=name,
        root_pos=data["root_pos"],
        root_rot=unit(data["root_rot_xyzw"]),
        joint_rot=unit(data["joint_rot_xyzw"]),
        contacts=data["contacts"],
        fps=30,
        terrain=terrain,
    )
    points = data["constraints"][:, 3:]
    if on_surface:
        ground = PackedTerrains.of([terrain], dtype=torch.float64)
        points = project_to_surface(ground, torch.zeros(1, dtype=torch.long), torch.from_numpy(points)[None])[
            0
        ].numpy()
    rows = zip(data["constraints"], points)
    given = [
        BodyConstraint(body=int(r[0]), first=int(r[1]), last=int(r[2]), point=point) for r, point in rows
    ]
    config = KinoptConfig(jerk_limit=1000.0, source_cutoff=0.0, clean_contacts=False)
    paper = {**config.PRESETS["paper"]["weights"]}
    config = attrs.evolve(config, weights=attrs.evolve(config.weights, **paper))
    optimizer = KinematicOptimizer(config, skeleton=SKELETON)
    # the published points of slanted capsules lie beside them: the problem brings its own
    counts = tuple(int(n) for n in data["surface_points_per_body"])
    surface = SurfacePoints(
        points=torch.tensor(data["surface_points"]),
        body=torch.tensor(np.repeat(np.arange(15), counts)),
        counts=counts,
    )
    cloud = PointCloud(SKELETON, dtype=torch.float64, surface=surface)
    optimizer.body = attrs.evolve(optimizer.body, cloud=cloud)
    optimizer.tree = tree_of(SKELETON, surface)
    batch = pack([clip], [terrain], SKELETON)
    _, (problem,) = optimizer.problems(batch, [clip], [given])
    return problem, join(batch.root_pos, batch.root_rot, batch.joint_rot, optimizer.body.kin)[0].numpy()


@pytest.mark.parametrize("name, start", [("60", 99263.637), ("142", 651609.1)])
def test_published_total_at_the_start_is_met(name, start):
    problem, x = _real_problem(name)
    assert float((problem.weights * problem.evaluate(x).values).sum()) == pytest.approx(start, rel=1e-6)


@pytest.mark.parametrize(
    "name, on_surface, most",
    [("60", False, 6.0), ("142", False, 50_167.0), ("142", True, 200.0)],
    ids=["60 frames", "142 frames", "142 frames, points on the surface"],
)
def test_published_problems_are_solved_far_below_the_published_totals(name, on_surface, most):
    # published: 37.3 after 3,000 steps of Adam, and 50,167 after 1,000
    problem, x = _real_problem(name, on_surface)
    assert solve(problem, x, NewtonSettings(widths=WIDTHS)).total < most
