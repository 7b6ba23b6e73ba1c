"""Following a path, joining windows, arriving, and the ground that a clip keeps."""

import numpy as np
import pytest
import torch

from parc_mdm.config import MdmConfig
from parc_mdm.features import FeatureLayout, Frames
from parc_mdm.model import MotionModel
from parc_mdm.path_guide import PathGuide
from parc_mdm.rollout import _Walk, roll_out
from parc_mdm.sampler import join
from parc_motion.geometry import PackedTerrains
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Path, Terrain
from parc_testing.builders import STANDING_HEIGHT, make_terrain

SKELETON = load_skeleton()


def path_of(*points) -> Path:
    return Path(points=np.array(points, dtype=float), kinds=[0] * (len(points) - 1))


def raised(shape: tuple[int, int], rows: slice, columns: slice, height: float) -> Terrain:
    heights = np.zeros(shape)
    heights[rows, columns] = height
    return make_terrain(shape, height=heights)


def straight(nodes: int = 11) -> Path:
    return path_of(*[(0.4 * i, 0.0, 0.0) for i in range(nodes)])


def model(**override) -> MotionModel:
    torch.manual_seed(0)
    settings = MdmConfig.preset("tiny", **override)
    return MotionModel.of(settings, SKELETON, "cpu")


def test_target_is_so_many_nodes_ahead():
    guide = PathGuide.of(straight())
    # 0.9 m along: two nodes passed (0.8 m), the seventh after it lies at 3.6 m
    assert guide.target(torch.tensor([0.9]), 7, None).tolist() == [pytest.approx([3.6, 0.0], abs=1e-4)]


def test_target_is_limited_in_meters_and_by_the_end():
    guide = PathGuide.of(straight())
    found = guide.target(torch.tensor([0.9, 3.9]), 7, 1.0)
    torch.testing.assert_close(found, torch.tensor([[1.9, 0.0], [4.0, 0.0]]), atol=1e-4, rtol=0.0)


def test_progress_is_sought_only_ahead_and_near():
    # out and back along x, 0.2 m aside: at (0.5, 0.2) the way back is nearer, but 3 m further along
    guide = PathGuide.of(path_of((0, 0, 0), (2, 0, 0), (2, 0.2, 0), (0, 0.2, 0)))
    xy = torch.tensor([[0.5, 0.2], [0.5, 0.2]])
    found = guide.advance(torch.tensor([0.4, 2.5]), xy, 2.0)
    assert found.tolist() == pytest.approx([0.5, 3.7], abs=0.03)


def test_progress_never_goes_back():
    guide = PathGuide.of(straight())
    assert guide.advance(torch.tensor([2.0]), torch.tensor([[0.0, 0.0]]), 2.0)[0] >= 2.0


def test_joined_window_begins_with_its_history_and_ends_as_predicted():
    layout = FeatureLayout.of(SKELETON)
    window, history = torch.zeros(1, 15, 91), torch.full((1, 2, 91), 1.0)
    joined = join(layout, window, history, 5)
    assert torch.all(joined[:, :2] == 1.0)
    # the step of 1 fades as r^2 (3 - 2 r) with r = 1 - k / 6: k = 3 gives 0.5, k = 6 and later 0
    assert float(joined[0, 4, 0]) == pytest.approx(0.5)
    assert torch.all(joined[:, 7:, :76] == 0.0)
    assert torch.all(joined[:, 2:, layout.contacts] == 0.0)


def test_without_fading_only_the_history_is_replaced():
    window, history = torch.zeros(1, 15, 91), torch.full((1, 2, 91), 1.0)
    assert torch.all(join(FeatureLayout.of(SKELETON), window, history, 0)[:, 2:] == 0.0)


def standing_at(x: torch.Tensor) -> Frames:
    """Poses of a straight character, roots at x ``[N, k]`` m."""
    root_pos = torch.stack([x, torch.zeros_like(x), torch.full_like(x, STANDING_HEIGHT)], dim=-1)
    identity = torch.tensor([0.0, 0.0, 0.0, 1.0])
    return Frames(
        root_pos=root_pos,
        root_rot=identity.expand(*x.shape, 4),
        joint_rot=identity.expand(*x.shape, 14, 4),
        contacts=torch.zeros(*x.shape, 15),
    )


def walk(count: int) -> _Walk:
    return _Walk(model(), PackedTerrains.of([make_terrain()]), PathGuide.of(straight()), count)


def test_each_candidate_ends_at_its_own_nearest_frame():
    arriving = walk(3)
    # the goal is at 4 m, feet count within 0.5 m (their center is 0.08 m above the sole)
    x = torch.tensor([[3.0, 3.6, 3.9, 3.7], [3.0, 3.2, 3.3, 3.4], [3.0, 3.1, 3.2, 3.6]])
    arriving.look_for_goal(standing_at(x), 10)
    assert arriving.reached.tolist() == [True, False, True]
    assert arriving.length[0] == 13  # third new frame after ten
    assert arriving.on_the_way.tolist() == [False, True, True]  # the last one still comes nearer
    arriving.look_for_goal(standing_at(torch.tensor([[4.0, 4.0], [3.45, 3.48], [3.8, 3.7]])), 14)
    assert arriving.length[0] == 13 and arriving.length[2] == 15
    assert arriving.reached.tolist() == [True, False, True]


def test_candidate_that_comes_no_nearer_keeps_its_end():
    arriving = walk(1)
    arriving.look_for_goal(standing_at(torch.tensor([[3.0, 3.6]])), 0)
    arriving.look_for_goal(standing_at(torch.tensor([[3.3, 3.2]])), 2)
    assert arriving.length.tolist() == [2] and arriving.on_the_way.tolist() == [False]


def test_motion_never_exceeds_its_longest_time():
    made = model(max_motion_length=0.7)
    rollout = roll_out(
        made, PackedTerrains.of([make_terrain()]), PathGuide.of(straight()), 2, torch.Generator()
    )
    assert not rollout.reached.any()
    assert rollout.length.tolist() == [21, 21]


def test_windows_join_without_repeating_frames():
    made = model(max_motion_length=1.0)
    rollout = roll_out(
        made, PackedTerrains.of([make_terrain()]), PathGuide.of(straight()), 1, torch.Generator()
    )
    # 9 frames of the first window, then 7 of each: 9 + 3 * 7 = 30
    assert rollout.frames.root_pos.shape == (1, 30, 3)


def test_random_first_heading_differs_between_candidates():
    made = model(first_heading_mode="random", start_height=(0.7, 0.9))
    started = _Walk(made, PackedTerrains.of([make_terrain()]), PathGuide.of(straight()), 4)
    _, anchor = started.first_window(torch.Generator().manual_seed(0))
    assert len(anchor.heading.unique()) == 4
    assert len(anchor.origin[:, 2].unique()) == 4
    assert anchor.origin[:, 2].min() >= 0.7 and anchor.origin[:, 2].max() <= 0.9


def test_first_heading_is_along_the_path():
    started = _Walk(
        model(),
        PackedTerrains.of([make_terrain()]),
        PathGuide.of(path_of((0, 0, 0), (0, 1, 0), (1, 1, 0))),
        2,
    )
    _, anchor = started.first_window(torch.Generator().manual_seed(0))
    torch.testing.assert_close(rot.yaw_quat(anchor.heading), rot.yaw_quat(torch.full((2,), np.pi / 2)))
