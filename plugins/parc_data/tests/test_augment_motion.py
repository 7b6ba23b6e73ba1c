"""Variations of a clip: sampled, placed, put on their terrain, checked."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

from parc_core.interfaces import Refined, SeedStreams
from parc_data.augment.config import AugmentConfig, GateConfig
from parc_data.augment.gate import Gate, deviation
from parc_data.augment.parameters import Box, Parameters, sample_parameters
from parc_data.augment.stances import Stances, root_rise
from parc_data.augment.variation import Original, Variation, vary
from parc_data.contacts import clip_points
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import STANDING_HEIGHT, make_clip, make_terrain

SKELETON = load_skeleton("humanoid")
FEET = [11, 14]


def make_parameters(**override: Any) -> Parameters:
    fields: dict[str, Any] = {"first": 0, "stop": 30, "heading": 0.0, "scale": (1.0, 1.0), "terrain": "none"}
    return Parameters(**{**fields, **override})


def make_config(**override: Any) -> AugmentConfig:
    return AugmentConfig(**{"padding": 0.8, **override})


def varied(clip: MotionClip, config: AugmentConfig | None = None, **override: Any) -> Variation:
    return vary(Original.of(clip, SKELETON), make_parameters(**override), config or make_config(), "varied")


def step_up() -> MotionClip:
    """Stands on the ground for 15 frames, then 0.8 m on and 0.5 m higher for 15; between them nothing stands."""
    clip = make_clip(40, terrain=make_terrain((14, 10), steps=[((slice(4, 14), slice(None)), 0.5)]))
    root_pos, contacts = clip.root_pos.copy(), clip.contacts.copy()
    share = np.clip((np.arange(40) - 15) / 10, 0.0, 1.0)
    root_pos[:, 0] += 1.2 * share
    root_pos[:, 2] += 0.5 * share
    contacts[15:25] = 0.0
    return attrs.evolve(clip, root_pos=root_pos, contacts=contacts)


def test_quarter_turn_takes_every_cell_along():
    terrain = make_terrain(
        (12, 10), steps=[((slice(4, 7), slice(2, 4)), 0.3), ((slice(9, 10), slice(5, 8)), -0.2)]
    )
    moved = varied(make_clip(30, terrain=terrain), heading=np.pi / 2).clip.terrain
    for i, j in np.ndindex(12, 10):
        x, y, z = terrain.center_of(np.array([i, j]))
        new = np.array([-y, x])  # (x, y) turned by 90 degrees about the start, which is the origin
        if ((new >= moved.origin_xy) & (new <= moved.max_xy)).all():
            assert moved.height_at(new) == z


def test_path_of_the_root_turns_then_stretches():
    # one meter along x, turned by 90 degrees: one along y; stretched by 2 in x and 3 in y: 3 along y
    clip = varied(make_clip(31, speed=1.0), stop=31, heading=np.pi / 2, scale=(2.0, 3.0)).clip
    np.testing.assert_allclose(clip.root_pos[-1], [0.0, 3.0, STANDING_HEIGHT], atol=1e-6)


def test_heading_of_the_body_turns_with_its_path():
    clip = varied(make_clip(30), heading=np.pi / 2).clip
    np.testing.assert_allclose(clip.root_rot[0], [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-6)


def test_motion_begins_over_the_origin_on_ground_at_zero():
    clip = make_clip(30, terrain=make_terrain(steps=[((slice(None), slice(None)), 1.5)]))
    clip = attrs.evolve(clip, root_pos=clip.root_pos + np.float32([0.3, 0.2, 1.5]))
    moved = varied(clip, heading=0.7).clip
    np.testing.assert_allclose(moved.root_pos[0], [0.0, 0.0, STANDING_HEIGHT], atol=1e-6)
    assert moved.terrain.height_at([0.0, 0.0]) == 0.0


def test_center_origin_turns_about_the_world():
    clip = attrs.evolve(make_clip(30), root_pos=make_clip(30).root_pos + np.float32([1.0, 0.0, 0.0]))
    moved = varied(clip, make_config(center="origin"), heading=np.pi / 2).clip
    np.testing.assert_allclose(moved.root_pos[0], [0.0, 1.0, STANDING_HEIGHT], atol=1e-6)


def test_root_rises_with_scaled_heights():
    # the upper ground goes from 0.5 to 0.75 m, the lower stays
    moved = varied(step_up(), stop=40, terrain="height_scale", height_scale=1.5).clip
    assert moved.terrain.height.max() == 0.75
    assert moved.root_pos[0, 2] == pytest.approx(STANDING_HEIGHT, abs=0.02)
    assert moved.root_pos[-1, 2] == pytest.approx(STANDING_HEIGHT + 0.75, abs=0.02)


@pytest.mark.parametrize("degrees", [10, 33, 45, 77, 160])
def test_feet_beside_an_edge_still_stand_when_the_ground_is_turned(degrees):
    clip = (
        step_up()
    )  # the edge is at x = 0.6; feet reach to x = 0.14 below it, and stand from 1.1 on above it
    edge = attrs.evolve(
        clip, root_pos=clip.root_pos + np.float32([-0.45, 0.0, 0.0])
    )  # now 5 cm behind the edge
    moved = varied(edge, stop=40, heading=np.deg2rad(degrees))
    points, body = clip_points(moved.clip, SKELETON)
    soles = points[-1][np.isin(body, FEET)]
    soles = soles[soles[:, 2] < soles[:, 2].min() + 0.02]
    assert moved.footing == 1.0
    np.testing.assert_allclose(moved.clip.terrain.height_at(soles[:, :2]), 0.5)


def test_box_raises_whoever_stands_on_it():
    box = Box(frame=0, sides=(0.8, 0.8), height=0.25)
    moved = varied(make_clip(30), terrain="boxes", boxes=(box,), heading=0.4)
    np.testing.assert_allclose(moved.clip.root_pos[:, 2], STANDING_HEIGHT + 0.25, atol=1e-5)
    assert moved.footing == 1.0


def test_ground_that_a_body_is_deep_in_is_lowered():
    # the arms stretch to 0.9 m at the sides; walls of 2 m stand where they are, 0.4 m from the root
    walls = [((slice(None), slice(0, 1)), 2.0), ((slice(None), slice(3, 4)), 2.0)]
    moved = varied(make_clip(30, terrain=make_terrain(steps=walls))).clip
    points, _ = clip_points(moved, SKELETON)
    depth = moved.terrain.height_at(points[..., :2]) - points[..., 2]
    assert depth.max() < 0.12


def test_a_flight_is_raised_along_a_straight_line():
    stances = Stances(
        first=np.array([0, 30]), stop=np.array([15, 45]), stance=np.zeros(0), frame=np.zeros(0), point=np.zeros(0),
        ground=np.zeros(0),
    )  # fmt: skip
    rise = root_rise(stances, np.array([0.0, 0.3]), 45, 30.0)
    fall = np.diff(rise, n=2)[15:28] * 30.0**2  # m/s^2, of the frames in the air
    assert np.abs(fall).max() < 0.05
    assert rise[0] == pytest.approx(0.0, abs=0.02)
    assert rise[-1] == pytest.approx(0.3, abs=0.02)


def test_forbidden_heights_are_sampled_again():
    config = make_config(terrain=("height_scale",), height_scale=(0.5, 1.5), bad_heights=((0.4, 0.6),))
    sampled = [sample_parameters(config, step_up(), SeedStreams(1).numpy("draw", k=k)) for k in range(100)]
    heights = [0.5 * one.height_scale for one in sampled]
    assert not any(0.4 <= height <= 0.6 for height in heights)
    assert min(heights) < 0.4
    assert max(heights) > 0.6


def test_nothing_is_sampled_where_every_height_is_forbidden():
    config = make_config(terrain=("height_scale",), bad_heights=((0.0, 9.0),))
    assert sample_parameters(config, step_up(), SeedStreams(1).numpy("draw")) is None


def test_long_clips_are_cut_to_parts_that_begin_anywhere():
    config = make_config(crop_length=0.5)
    sampled = [sample_parameters(config, make_clip(60), SeedStreams(1).numpy("draw", k=k)) for k in range(20)]
    assert {one.stop - one.first for one in sampled} == {16}  # 15 steps of 1/30 s
    assert len({one.first for one in sampled}) > 5
    assert all(one.first >= 0 and one.stop <= 60 for one in sampled)


def test_clip_without_contacts_is_refused_by_name():
    clip = make_clip(30, contacts=np.zeros((30, 15)))
    with pytest.raises(
        DataError, match="clip 'standing' has no contact labels, so its stance phases are unknown"
    ):
        Original.of(clip, SKELETON)


def refused(sampled: MotionClip, refined: MotionClip, original: MotionClip | None = None) -> str | None:
    gate = Gate(SKELETON, GateConfig(), original or make_clip(30))
    result = Refined(clip=refined, before={}, after={})
    refusal = gate.refusal(sampled, result, deviation(sampled, result, SKELETON.key_bodies))
    return refusal and refusal.reason


def lower(clip: MotionClip, by: float) -> MotionClip:
    return attrs.evolve(clip, root_pos=clip.root_pos - np.float32([0, 0, by]))


def test_good_variation_passes_the_gate():
    assert refused(make_clip(30), make_clip(30)) is None


def test_feet_in_the_ground_are_refused():
    assert refused(make_clip(30), lower(make_clip(30), 0.04)) == "penetration"


def test_a_fault_of_the_source_is_no_reason_to_refuse():
    assert refused(make_clip(30), lower(make_clip(30), 0.04), lower(make_clip(30), 0.05)) is None


def test_root_that_was_moved_far_is_refused():
    moved = attrs.evolve(make_clip(30), root_pos=make_clip(30).root_pos + np.float32([0.4, 0, 0]))
    assert refused(make_clip(30), moved) == "root_deviation"


def test_stands_that_got_lost_are_refused():
    contacts = make_clip(30).contacts.copy()
    contacts[6:, 11] = 0.0  # 36 of 60 labeled frames remain: 60 %
    assert refused(make_clip(30), make_clip(30, contacts=contacts)) is None
    contacts[5, 11] = 0.0
    assert refused(make_clip(30), make_clip(30, contacts=contacts)) == "lost_contacts"


def test_optimizer_that_loses_frames_without_saying_so_is_an_error():
    result = Refined(clip=make_clip(20), before={}, after={})
    with pytest.raises(DataError, match="returned 20 of 30 frames and says that it removed 0"):
        deviation(make_clip(30), result, SKELETON.key_bodies)


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ({"heading": (20.0, 10.0)}, "heading: 20 to 10 is not a range"),
        ({"terrain": ("hills",)}, "expected some of none, height_scale, boxes"),
        ({"scale_x": (0.0, 1.0)}, "scale_x: 0.0 is out of range"),
    ],
)
def test_settings_that_cannot_be_are_refused(override, text):
    with pytest.raises(ValueError, match=text):
        AugmentConfig(**override)
