"""Exact distance of points to blocky ground."""

import numpy as np
import pytest
import torch

from parc_motion.errors import ShapeError
from parc_motion.geometry import (
    PackedTerrains,
    clearance,
    penetration_depth,
    project_to_surface,
    signed_distance,
)
from parc_motion.terrains import Terrain


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """More threads than one only wait for each other on tensors of this size."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def brute_force(terrain, points):
    """Distance to every column of ground and of air, border columns without end; the definition, cell by cell."""
    ground, air = np.full(len(points), np.inf), np.full(len(points), np.inf)
    last = np.array(terrain.shape) - 1
    for index in np.ndindex(terrain.shape):
        low = terrain.origin_xy + (np.array(index) - 0.5) * terrain.cell
        low, high = (
            np.where(np.equal(index, 0), -np.inf, low),
            np.where(index == last, np.inf, low + terrain.cell),
        )
        across = np.linalg.norm(np.maximum(np.maximum(low - points[:, :2], points[:, :2] - high), 0), axis=1)
        rise = points[:, 2] - terrain.height[index]
        ground = np.minimum(ground, np.hypot(across, np.maximum(rise, 0)))
        air = np.minimum(air, np.hypot(across, np.maximum(-rise, 0)))
    return np.where(ground > 0, ground, -air)


def random_case(seed, count=60):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 12, 2)
    terrain = Terrain(
        height=rng.choice([0, 0, 0.3, -0.5, 1.2, -3], shape),
        origin_xy=rng.normal(size=2),
        cell=rng.uniform(0.2, 0.6),
    )
    points = rng.uniform(-3, 8, (count, 3))
    points[:, 2] = rng.uniform(-6, 3, count)
    return terrain, points


def grounds():
    """One terrain of each kind that may go wrong in its own way."""
    rng = np.random.default_rng(3)
    boxes = np.zeros((14, 16))
    for _ in range(8):
        (i, j), (n, m) = rng.integers(0, 12, 2), rng.integers(2, 7, 2)
        boxes[i : i + n, j : j + m] = rng.uniform(-2, 2)
    pit = np.zeros((9, 9))
    pit[3:6, 4:6] = -12.7
    return {
        "one-cell": Terrain(height=[[0.7]], origin_xy=(1.0, 2.0)),
        "row": Terrain(height=rng.uniform(-1, 1, (1, 13)), origin_xy=(-2.0, 0.5), cell=0.3),
        "column": Terrain(height=rng.uniform(-1, 1, (11, 1)), cell=0.5),
        "boxes": Terrain(height=boxes, origin_xy=(-1.3, 0.4)),
        "noise": Terrain(height=rng.uniform(-1.5, 1.5, (12, 10)), origin_xy=(3.0, -7.0)),
        "spikes": Terrain(height=rng.choice([0, 0, 0, 9.0, -9.0], (10, 12)), cell=0.25),
        "pit-below-12-m": Terrain(height=pit, cell=0.6),
        "all-below-12-m": Terrain(height=rng.uniform(-14.5, -12.2, (8, 8))),
    }


def points_around(terrain, count=10_000, seed=4):
    """Half of them near the surface, half far and wide: outside the grid, above +10 m and below -10 m."""
    rng = np.random.default_rng(seed)
    low, high = terrain.origin_xy - terrain.cell / 2, terrain.max_xy + terrain.cell / 2
    points = rng.uniform([*(low - 4), -18.0], [*(high + 4), 16.0], (count, 3))
    points[::2, :2] = rng.uniform(low - 0.5, high + 0.5, (len(points[::2]), 2))
    points[::2, 2] = terrain.height_at(points[::2, :2]) + rng.normal(0, 0.8, len(points[::2]))
    return points


def distance(terrain, points, function=signed_distance, **options):
    points = torch.atleast_2d(torch.as_tensor(points, dtype=torch.float64))
    packed = PackedTerrains.of([terrain], dtype=torch.float64)
    return function(packed, torch.zeros(1, dtype=torch.long), points[None], **options)[0]


@pytest.fixture
def step():
    """Cells along x at 0, 1, 1, 0 m, 1 m wide: the block fills x = 0.5 .. 2.5 and z <= 1."""
    return Terrain(height=[[0.0], [1.0], [1.0], [0.0]], cell=1.0)


@pytest.mark.parametrize(
    "point, expected",
    [
        pytest.param((1.0, 0.0, 1.3), 0.3, id="above-the-top"),
        pytest.param((0.3, 0.0, 0.5), 0.2, id="beside-the-wall"),
        pytest.param((0.2, 0.0, 1.4), 0.5, id="off-the-edge"),  # 0.3 sideways, 0.4 down
        pytest.param((0.8, 0.0, 0.5), -0.3, id="inside-near-the-wall"),
        pytest.param(
            (1.45, 0.0, 0.3), -0.7, id="inside-at-the-inner-wall"
        ),  # not 0.05: the inner wall is no surface
        pytest.param((0.9, 0.0, -0.3), -0.5, id="below-the-floor-beside"),  # 0.4 sideways, 0.3 up
        pytest.param((-9.0, 0.0, 0.4), 0.4, id="far-outside-the-grid"),
        pytest.param((-9.0, 70.0, -0.4), -0.4, id="outside-and-below"),
        pytest.param((1.0, 50.0, 0.9), -0.1, id="block-goes-on-outside"),
    ],
)
def test_distance_by_hand(step, point, expected):
    assert distance(step, point, max_distance=None).item() == pytest.approx(expected, abs=1e-6)


def test_height_has_no_limits():
    # columns below -10 m and points above +10 m, where the published implementation fails
    assert distance(Terrain(height=[[-12.1]]), (0, 0, -12.0), max_distance=None).item() == pytest.approx(
        0.1, abs=1e-6
    )
    assert distance(Terrain(height=[[0.0]]), (0, 0, 11.0), max_distance=None).item() == pytest.approx(11.0)


@pytest.mark.parametrize("seed", range(8))
def test_distance_equals_brute_force(seed):
    terrain, points = random_case(seed)
    expected = brute_force(terrain, points)
    np.testing.assert_allclose(distance(terrain, points, max_distance=None), expected, atol=1e-9)
    np.testing.assert_allclose(
        distance(terrain, points, max_distance=0.4), np.clip(expected, -0.4, 0.4), atol=1e-9
    )
    np.testing.assert_allclose(
        distance(terrain, points, penetration_depth), np.maximum(-expected, 0), atol=1e-9
    )
    np.testing.assert_allclose(distance(terrain, points, clearance), np.maximum(expected, 0), atol=1e-9)


@pytest.mark.parametrize("kind", grounds())
def test_distance_is_exact_at_ten_thousand_points(kind):
    terrain = grounds()[kind]
    points = points_around(terrain)
    expected = brute_force(terrain, points)
    assert (expected > 1).any() and (expected < -1).any()
    np.testing.assert_allclose(distance(terrain, points, max_distance=None), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", grounds())
def test_single_precision_is_exact_to_a_hundredth_of_a_millimeter(kind):
    terrain = grounds()[kind]
    points = points_around(terrain).astype(np.float32)
    answer = signed_distance(
        PackedTerrains.of([terrain]),
        torch.zeros(1, dtype=torch.long),
        torch.tensor(points)[None],
        max_distance=None,
    )
    assert answer.dtype == torch.float32
    expected = brute_force(terrain, points.astype(np.float64))
    np.testing.assert_allclose(answer[0], expected, rtol=0, atol=1e-5)


def surfaces(terrain, reach=60.0):
    """The ground as boxes without thickness, corners ``[K, 3]`` m each: tops, and walls between unequal cells.

    Cells at the border go on for `reach` m.
    """
    edges = [
        terrain.origin_xy[axis] + terrain.cell * (np.arange(terrain.shape[axis] + 1) - 0.5) for axis in (0, 1)
    ]
    for edge in edges:
        edge[[0, -1]] += -reach, reach
    low, high = [], []
    for i, j in np.ndindex(terrain.shape):
        z, (x0, x1), (y0, y1) = terrain.height[i, j], edges[0][i : i + 2], edges[1][j : j + 2]
        low.append((x0, y0, z))
        high.append((x1, y1, z))
        for beyond, far in (((i + 1, j), (x1, y0)), ((i, j + 1), (x0, y1))):
            if beyond[0] < terrain.shape[0] and beyond[1] < terrain.shape[1]:
                low.append((*far, min(z, terrain.height[beyond])))
                high.append((x1, y1, max(z, terrain.height[beyond])))
    return np.array(low), np.array(high)


@pytest.mark.parametrize("kind", grounds())
def test_distance_is_that_to_the_surface_of_the_ground(kind):
    terrain = grounds()[kind]
    points = points_around(terrain, count=2000, seed=5)
    nearest = np.full(len(points), np.inf)
    for a, b in zip(*surfaces(terrain)):
        away = np.linalg.norm(np.maximum(np.maximum(a - points, points - b), 0), axis=1)
        nearest = np.minimum(nearest, away)
    answer = distance(terrain, points, max_distance=None)
    np.testing.assert_allclose(answer.abs(), nearest, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(answer < 0, points[:, 2] < terrain.height_at(points[:, :2]))


@pytest.mark.parametrize("kind", grounds())
def test_gradient_equals_the_slope_away_from_ties(kind):
    terrain = grounds()[kind]
    points = points_around(terrain, count=1000, seed=6)
    x = torch.tensor(points, requires_grad=True)
    (gradient,) = torch.autograd.grad(distance(terrain, x, max_distance=None).sum(), x)
    np.testing.assert_allclose(gradient.norm(dim=1), 1, atol=1e-9)
    step, smooth = 1e-6, np.ones(len(points), dtype=bool)
    slope, here = np.zeros((len(points), 3)), distance(terrain, points, max_distance=None).numpy()
    for axis in range(3):
        ahead = distance(terrain, points + step * np.eye(3)[axis], max_distance=None).numpy()
        behind = distance(terrain, points - step * np.eye(3)[axis], max_distance=None).numpy()
        slope[:, axis] = (ahead - behind) / (2 * step)
        smooth &= np.abs(ahead - 2 * here + behind) < 1e-9  # at a tie the slopes on both sides differ
    assert smooth.mean() > 0.99
    np.testing.assert_allclose(gradient[smooth], slope[smooth], atol=1e-6)


@pytest.mark.parametrize("function", [signed_distance, penetration_depth, clearance])
def test_gradient_equals_finite_differences(function):
    terrain, points = random_case(11, count=40)
    x = torch.tensor(points, requires_grad=True)
    (gradient,) = torch.autograd.grad(distance(terrain, x, function, max_distance=None).sum(), x)
    step = 1e-6
    for axis in range(3):
        ahead = distance(terrain, points + step * np.eye(3)[axis], function, max_distance=None)
        behind = distance(terrain, points - step * np.eye(3)[axis], function, max_distance=None)
        np.testing.assert_allclose(gradient[:, axis], (ahead - behind) / (2 * step), atol=1e-5)


def test_gradient_on_the_surface_is_its_normal(step):
    points = torch.tensor([[1.0, 0.0, 1.0], [0.5 - 1e-12, 0.0, 0.5]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(distance(step, points).sum(), points)
    np.testing.assert_allclose(gradient, [[0, 0, 1], [-1, 0, 0]], atol=1e-6)


def test_cut_distances_have_no_gradient(step):
    points = torch.tensor([[0.0, 0.0, 5.0]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(distance(step, points, max_distance=1.0).sum(), points)
    assert gradient.tolist() == [[0.0, 0.0, 0.0]]


def test_points_on_either_side_project_onto_the_surface():
    for seed in range(4):
        terrain, points = random_case(seed)
        projected = distance(terrain, points, project_to_surface)
        np.testing.assert_allclose(distance(terrain, projected, max_distance=None), 0, atol=1e-9)
        moved = np.linalg.norm(projected.numpy() - points, axis=1)
        np.testing.assert_allclose(moved, np.abs(brute_force(terrain, points)), atol=1e-9)


def test_buried_point_projects_up_and_not_onto_an_inner_wall(step):
    assert distance(step, (1.49, 0.0, 0.6), project_to_surface).tolist()[0] == pytest.approx([1.49, 0.0, 1.0])


def test_batch_equals_single_terrains():
    cases = [random_case(seed) for seed in range(3)]
    packed = PackedTerrains.of([terrain for terrain, _ in cases], dtype=torch.float64)
    points = torch.tensor(np.stack([points for _, points in cases])).reshape(3, 5, 12, 3)
    together = signed_distance(packed, torch.arange(3), points)
    for n, (terrain, single) in enumerate(cases):
        np.testing.assert_allclose(together[n].flatten(), distance(terrain, single), atol=1e-12)


def test_points_that_are_not_numbers_have_no_distance(step):
    points = torch.tensor([[np.nan, 0.0, 0.5], [0.0, 0.0, np.nan], [np.inf, 0.0, np.inf], [0.0, 0.0, 0.5]])
    answer = distance(step, points)
    assert torch.isnan(answer).tolist() == [True, True, False, False]


def test_no_points_give_no_distances(step):
    packed = PackedTerrains.of([step])
    assert signed_distance(packed, torch.zeros(0, dtype=torch.long), torch.zeros(0, 4, 3)).shape == (0, 4)


def test_wrong_shape_is_refused(step):
    with pytest.raises(
        ShapeError, match=r"points have shape \[5, 3\] for terrain_ids \[1\], expected \[N, \.\.\., 3\]"
    ):
        signed_distance(PackedTerrains.of([step]), torch.zeros(1, dtype=torch.long), torch.zeros(5, 3))
