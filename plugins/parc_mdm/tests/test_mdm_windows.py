"""Training windows: what is drawn, and from where."""

import attrs
import numpy as np
import pytest
import torch

from parc_mdm.augment import Changes
from parc_mdm.config import MdmConfig
from parc_mdm.features import Anchor, FeatureLayout
from parc_mdm.ground import compiled_ground, patch_offsets, plain_ground
from parc_mdm.objective import drift_history
from parc_mdm.store import MotionStore
from parc_mdm.targets import compiled_targets, plain_targets, target_direction
from parc_mdm.windows import (
    anchor_of,
    compiled_windows,
    draw_windows,
    gather_windows,
    plain_windows,
    start_height,
    window_stats,
)
from parc_motion.errors import DataError
from parc_motion.geometry import height_patch
from parc_motion.kinematics.rotations import normalize, quat_about_axis
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Terrain
from parc_testing.builders import STANDING_HEIGHT, make_clip, make_terrain

SKELETON = load_skeleton()
LAYOUT = FeatureLayout.of(SKELETON)


def raised(shape: tuple[int, int], rows: slice, columns: slice, height: float) -> Terrain:
    heights = np.zeros(shape)
    heights[rows, columns] = height
    return make_terrain(shape, height=heights)


def store_of(*clips, weights=None, mirror=False) -> MotionStore:
    weights = np.ones(len(clips)) if weights is None else np.array(weights)
    return MotionStore.of(clips, weights, SKELETON, 15, mirror=mirror, device="cpu")


def config(**override) -> MdmConfig:
    return MdmConfig.preset("tiny", **{"batch_size": 64, **override})


def draw(store: MotionStore, seed: int = 0, **override):
    return draw_windows(store, LAYOUT, config(**override), 15, torch.Generator().manual_seed(seed))


def test_windows_start_at_their_reference_frame():
    windows = draw(store_of(make_clip(40, speed=1.0)))
    # 1 m/s at 30 frames per second: frame k is (k - 1) / 30 m ahead of the reference
    expected = (torch.arange(15) - 1.0) / 30.0
    torch.testing.assert_close(windows.features[..., 0], expected.expand(64, 15), atol=1e-5, rtol=0.0)
    assert windows.features[..., 1:3].abs().max() < 1e-6


def test_every_window_of_a_clip_may_be_drawn_and_none_crosses_its_end():
    store = store_of(make_clip(17), make_clip(20, name="other"))
    assert store.num_starts.tolist() == [3, 6]
    assert store.first.tolist() == [0, 17]


def test_clip_of_exactly_one_window_is_used():
    assert store_of(make_clip(15)).num_starts.tolist() == [1]
    assert draw(store_of(make_clip(15))).features.shape == (64, 15, 91)


def test_clips_are_drawn_by_weight():
    tall = make_clip(30, name="high", root_pos=np.tile([0.0, 0.0, 2.0], (30, 1)))
    windows = draw(store_of(make_clip(30), tall, weights=[0.0, 1.0]), augment="none")
    assert torch.all(windows.patch == -2.0)


def test_mirroring_doubles_the_clips_and_keeps_the_shares():
    store = store_of(make_clip(30), make_clip(30, name="b"), weights=[3.0, 1.0], mirror=True)
    assert store.num_clips == 4
    assert store.weights.tolist() == pytest.approx([0.375, 0.125, 0.375, 0.125])


def test_clip_at_another_rate_is_resampled_to_30():
    store = store_of(make_clip(61, fps=60.0, speed=1.0))
    assert store.num_frames.tolist() == [31]
    assert float(store.root_pos[30, 0]) == pytest.approx(1.0, abs=1e-5)


def test_looping_clip_goes_on_after_its_end():
    store = store_of(make_clip(31, speed=1.0, loop="wrap"))
    # 31 frames of 1/30 m: the loop moves on by 1 m; frame 45 is 1.5 m from the start
    assert float(store.root_pos[45, 0]) == pytest.approx(1.5, abs=1e-5)
    assert store.num_starts.tolist() == [31]


def test_patch_without_augmentation_is_the_ground():
    terrain = raised((30, 30), slice(10, 20), slice(5, 15), 0.5)
    store = store_of(make_clip(40, speed=1.0, terrain=terrain))
    windows = draw(store, augment="none", target_noise=0.0)
    ids = torch.zeros(26, dtype=torch.long)
    xy = torch.stack([torch.arange(1, 27) / 30.0, torch.zeros(26)], dim=-1)
    every = height_patch(store.terrains, ids, xy, torch.zeros(26), patch_offsets("cpu")) - STANDING_HEIGHT
    distance = (windows.patch[:, None] - every).abs().amax(dim=(-1, -2)).amin(dim=1)
    assert distance.max() < 1e-5


@pytest.mark.parametrize("mode", ["maxpool_and_boxes", "noise"])
def test_augmentation_changes_only_ground_that_the_window_does_not_touch(mode):
    terrain = make_terrain((30, 30))
    store = store_of(make_clip(15, terrain=terrain))  # one window: arms out, standing at the origin
    windows = draw(store, augment=mode)
    ground = -STANDING_HEIGHT
    offsets = patch_offsets("cpu")
    cells = store.terrains.cell_of(torch.zeros(1, dtype=torch.long), offsets[None])[0]
    place = cells[..., 0] * 30 + cells[..., 1]
    # cells under the outstretched hands may still rise or sink: the hands are more than 0.8 m above them
    fixed = store.bounds[0, :, 0] == store.bounds[0, :, 1]
    touched = torch.isin(place, store.touched.unique()) & fixed[place]
    assert touched.any()
    torch.testing.assert_close(windows.patch[:, touched], torch.full_like(windows.patch[:, touched], ground))
    changed = (windows.patch - ground).abs().amax(dim=(-1, -2)) > 1e-3
    assert changed.float().mean() > 0.5


def test_bounds_of_the_terrain_are_kept():
    terrain = make_terrain((30, 30))
    bounds = np.stack([terrain.height - 0.2, terrain.height + 0.1], axis=-1)
    store = store_of(make_clip(15, terrain=attrs.evolve(terrain, bounds=bounds)))
    windows = draw(store, augment="noise")
    offsets = patch_offsets("cpu")
    cells = store.terrains.cell_of(torch.zeros(1, dtype=torch.long), offsets[None])[0]
    touched = torch.isin(cells[..., 0] * 30 + cells[..., 1], store.touched.flatten())
    over = windows.patch[:, touched] + STANDING_HEIGHT
    assert over.min() >= -0.2001 and over.max() <= 0.1001


def test_ground_that_is_jumped_over_may_rise_until_it_is_near():
    high = make_clip(15, root_pos=np.tile([0.0, 0.0, STANDING_HEIGHT + 1.0], (15, 1)))
    store = store_of(high)
    cells = store.touched[: store.touched_end[0]].long()  # of the first frame
    under = store.bounds[0, cells[0]]
    # soles are 1 m over the ground at 0: the ground may rise to 0.2 m at most under them
    assert float(store.bounds[0, cells, 1].min()) == pytest.approx(0.2, abs=1e-4)
    assert float(under[0]) == pytest.approx(-3.0)


def test_statistics_leave_contacts_alone_and_have_a_floor():
    store = store_of(make_clip(40, speed=1.0))
    mean, std = window_stats(store, LAYOUT, 15, 0.01)
    assert torch.all(mean[:, 76:] == 0.0) and torch.all(std[:, 76:] == 1.0)
    assert std.min() == pytest.approx(0.01)
    # frame k of every window is (k - 1) / 30 m ahead
    assert mean[:, 0].tolist() == pytest.approx([(k - 1) / 30 for k in range(15)], abs=1e-5)


def test_statistics_by_hand():
    # two windows, standing still: root heights 1 and 1 over each other change nothing, arms swing; compare with numpy
    store = store_of(make_clip(16))
    mean, std = window_stats(store, LAYOUT, 15, 1e-6)
    dof = store.dof.double()
    windows = torch.stack([dof[0:15], dof[1:16]])
    torch.testing.assert_close(mean[:, 48:76].double(), windows.mean(dim=0), atol=1e-6, rtol=1e-5)
    expected = windows.std(dim=0, correction=0).clamp_min(1e-6)
    torch.testing.assert_close(std[:, 48:76].double(), expected, atol=1e-6, rtol=1e-3)


def test_start_height_is_how_the_clips_stand():
    assert start_height(store_of(make_clip(30))).tolist() == pytest.approx([STANDING_HEIGHT] * 2, abs=1e-5)


@pytest.mark.parametrize(
    ("offset", "turn", "expected"),
    [
        ((3.0, 4.0), 0.0, (0.6, 0.8)),
        ((0.01, 0.02), 0.4, (0.0, 0.0)),  # stands
        ((0.01, 0.02), np.pi / 2, (0.0, 1.0)),  # turns left on the spot
        ((0.01, 0.02), -np.pi / 2, (0.0, -1.0)),  # turns right on the spot
        ((0.0, 0.0), 2 * np.pi - 0.4, (0.0, 0.0)),  # the same heading again, nearly
    ],
)
def test_target_direction(offset, turn, expected):
    found = target_direction(torch.tensor([offset]), torch.tensor([turn], dtype=torch.float32))
    assert found[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_target_lies_between_its_earliest_and_latest_time():
    windows = draw(store_of(make_clip(90, speed=1.0)), target_noise=0.0)
    torch.testing.assert_close(windows.target, torch.tensor([1.0, 0.0]).expand(64, 2), atol=1e-5, rtol=0.0)


def test_drifted_history_returns_to_the_ground():
    windows = draw(store_of(make_clip(40)), augment="none")
    drifted = drift_history(windows, LAYOUT, 0.05, torch.Generator().manual_seed(0))
    lift = (windows.patch - drifted.patch)[:, 0, 0]  # the ground seems lower by the lift
    assert lift.abs().max() > 0.05
    torch.testing.assert_close(drifted.features[:, :2], windows.features[:, :2])
    sunk = windows.features[:, 14, 2] - drifted.features[:, 14, 2]
    torch.testing.assert_close(sunk, lift, atol=1e-6, rtol=0.0)


def test_same_stream_draws_the_same_windows():
    store = store_of(make_clip(40, speed=1.0))
    first, second = draw(store, seed=3), draw(store, seed=3)
    for field in attrs.fields(type(first)):
        assert getattr(first, field.name).equal(getattr(second, field.name))


def test_clip_without_terrain_is_refused_by_name():
    with pytest.raises(DataError, match="clip 'nowhere' has no terrain"):
        store_of(make_clip(30, name="nowhere", terrain=None))


def test_shear_turns_an_edge_and_keeps_the_ground_on_the_way():
    # the ground rises 1 m ahead of a character that faces x
    store = store_of(make_clip(15, terrain=raised((30, 30), slice(5, 30), slice(0, 30), 0.3)))
    windows = draw(
        store, augment_shear=0.6, augment_flat_prob=0.0, augment_pool_prob=0.0, augment_max_boxes=0
    )
    edge = (
        (windows.patch > -STANDING_HEIGHT + 0.15).int().argmax(dim=1)
    )  # [N, 31] first raised point of each column
    assert torch.all(edge[:, 15] == edge[0, 15])
    slant = edge[:, 25] - edge[:, 5]
    assert slant.max() > 3 and slant.min() < -3


def test_noise_gives_no_direction_to_whoever_stands():
    windows = draw(store_of(make_clip(60)), target_noise=0.5)
    assert torch.all(windows.target == 0.0)


def test_slow_approach_counts_as_standing():
    store = store_of(make_clip(90, speed=0.28))  # more than 0.1 m in 11 frames, the shortest way to a target
    assert torch.all(draw(store, target_noise=0.0).target[:, 0] > 0.999)
    assert torch.all(draw(store, target_noise=0.0, target_min_speed=0.3).target == 0.0)


def test_compiled_ground_is_the_ground_that_torch_computes():
    terrain = raised((30, 30), slice(5, 25), slice(10, 30), 0.3)
    turning = make_clip(40, speed=1.0, terrain=terrain)
    store = store_of(turning, make_clip(20, name="low", terrain=make_terrain((12, 9))), mirror=True)
    settings = config(augment_shear=0.4, augment_pool_prob=0.6)
    generator = torch.Generator().manual_seed(5)
    clip_ids = torch.randint(0, 4, (64,), generator=generator)
    frames = store.first[clip_ids][:, None] + torch.arange(15)
    heading = 6.0 * torch.rand(64, generator=generator)
    anchor = Anchor(origin=store.root_pos[frames[:, 1]], heading=heading)
    slope = 0.4 * torch.rand(64, 1, generator=generator)
    changes = Changes.draw(64, settings, heading, generator)
    found = compiled_ground(store, clip_ids, frames, anchor, slope[:, 0], changes)
    expected = plain_ground(store, clip_ids, frames, anchor, slope, changes.apply)
    # a point on the border of two cells may fall into either by rounding, and pools spread what it has
    assert ((found - expected).abs() < 1e-5).float().mean() > 0.998
    assert ((found - expected).abs() < 1e-5).all(dim=(1, 2)).float().mean() > 0.8


def test_windows_are_seen_from_their_anchors():
    store = store_of(make_clip(40, speed=1.0), mirror=True)
    frames = torch.arange(3)[:, None] + torch.arange(15)
    anchor = Anchor(origin=store.root_pos[frames[:, 1]], heading=torch.tensor([0.3, -2.0, 3.0]))
    windows = gather_windows(store, LAYOUT, frames, anchor, frames, frames)
    torch.testing.assert_close(windows.body_pos, anchor.to_local(store.body_pos[frames]), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(
        windows.body_rot, anchor.turn_to_local(store.body_rot[frames]), atol=1e-6, rtol=0.0
    )


def test_compiled_windows_are_those_that_torch_computes():
    root_rot = normalize(torch.randn(40, 4, generator=torch.Generator().manual_seed(0))).numpy()
    store = store_of(make_clip(40, speed=1.0, root_rot=root_rot), make_clip(20, name="other"), mirror=True)
    frames = torch.tensor([0, 7, 25, 43, 70, 105])[:, None] + torch.arange(15)
    given = (store, LAYOUT, frames, anchor_of(store, LAYOUT, frames), torch.rand(6, 31, 31), torch.rand(6, 2))
    found, expected = compiled_windows(*given), plain_windows(*given)
    for field in attrs.fields(type(found)):
        torch.testing.assert_close(
            getattr(found, field.name), getattr(expected, field.name), atol=1e-5, rtol=0.0
        )


def test_compiled_targets_are_those_that_torch_computes():
    turning = quat_about_axis(torch.tensor([0.0, 0.0, 1.0]), torch.linspace(0.0, 3.0, 90)).numpy()
    store = store_of(
        make_clip(90, speed=0.6, root_rot=turning), make_clip(60, name="turns", root_rot=turning[:60])
    )
    generator = torch.Generator().manual_seed(0)
    clip_ids = torch.randint(0, 2, (200,), generator=generator)
    start = (torch.rand(200, generator=generator) * store.num_starts[clip_ids]).long()
    frames = (store.first[clip_ids] + start)[:, None] + torch.arange(15)
    drawn = torch.rand(200, generator=generator), 0.2 * torch.randn(200, 2, generator=generator)
    given = (store, clip_ids, start, anchor_of(store, LAYOUT, frames), config(target_min_speed=0.3), *drawn)
    expected = plain_targets(*given)
    assert (expected[:, 1].abs() > 0.1).any() and (expected == 0.0).any()
    torch.testing.assert_close(compiled_targets(*given), expected, atol=1e-5, rtol=0.0)


def on_a_step() -> MotionStore:
    """Standing 0.2 m higher than usual over ground at 0.5 m."""
    root_pos = np.tile([0.0, 0.0, STANDING_HEIGHT + 0.7], (20, 1))
    return store_of(
        make_clip(20, root_pos=root_pos, terrain=make_terrain((30, 30), height=np.full((30, 30), 0.5)))
    )


def test_heights_from_the_floor_are_those_over_the_ground_under_the_root():
    layout = FeatureLayout.of(SKELETON, from_floor=True)
    windows = draw_windows(on_a_step(), layout, config(augment="none"), 15, torch.Generator().manual_seed(0))
    torch.testing.assert_close(windows.patch, torch.zeros_like(windows.patch))
    height = torch.full_like(windows.features[..., 2], STANDING_HEIGHT + 0.2)
    torch.testing.assert_close(windows.features[..., 2], height)


def test_drift_over_the_floor_lifts_the_motion_and_not_the_ground():
    layout = FeatureLayout.of(SKELETON, from_floor=True)
    windows = draw_windows(on_a_step(), layout, config(augment="none"), 15, torch.Generator().manual_seed(0))
    drifted = drift_history(windows, layout, 0.05, torch.Generator().manual_seed(0))
    up = drifted.features[..., 2] - windows.features[..., 2]
    assert drifted.patch.equal(windows.patch)
    assert up[:, 1].abs().max() > 0.05 and up[:, 14].abs().max() < 1e-6
