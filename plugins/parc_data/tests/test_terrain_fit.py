"""Ground that is fitted under a motion lies where the motion stood."""

from __future__ import annotations

import pathlib

import attrs
import numpy as np
import pytest

from parc_core.interfaces import SeedStreams
from parc_data.contacts import clip_points
from parc_data.parc_ms import read_published
from parc_data.procedural.source import ProceduralConfig, ProceduralSource
from parc_data.terrain_fit import FitConfig, fit_clip, fit_terrain
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Terrain
from parc_testing.builders import make_clip

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data" / "parc"
SKELETON = load_skeleton("humanoid")
FEET = (11, 14)
TOLERANCE = 0.03  # m


@pytest.fixture(scope="module")
def procedural() -> list[MotionClip]:
    config = ProceduralConfig(classes=("gap", "stairs"))
    return list(ProceduralSource(config, skeleton=SKELETON, seeds=SeedStreams(0)).clips())


def errors_under_feet(clip: MotionClip, fitted: Terrain) -> np.ndarray:
    """How far the fitted ground is from the clip's own under every sole point that stood on that, m."""
    points, body = clip_points(clip, SKELETON)
    over = points[..., 2] - clip.terrain.height_at(points[..., :2])
    wanted = np.zeros_like(over, dtype=bool)
    for foot in FEET:
        mine = np.flatnonzero(body == foot)
        wanted[:, mine] = (np.abs(over[:, mine]) < 0.01) & (clip.contacts[:, foot, None] > 0.5)
    xy = points[wanted][:, :2]
    return np.abs(fitted.height_at(xy) - clip.terrain.height_at(xy))


@pytest.mark.parametrize("use_labels", [True, False], ids=["labels", "none"])
def test_procedural_ground_is_found_again_under_the_feet(
    procedural: list[MotionClip], use_labels: bool
) -> None:
    for clip in procedural:
        fit = fit_clip(clip, SKELETON, use_labels=use_labels)
        assert errors_under_feet(clip, fit.terrain).max() < TOLERANCE, clip.name
        assert fit.max_depth_m <= 0.011, clip.name
        assert fit.residual_m < TOLERANCE, clip.name


def test_level_motions_get_level_ground_and_others_plateaus(procedural: list[MotionClip]) -> None:
    for clip in procedural:
        mode = fit_clip(clip, SKELETON).mode
        assert mode == ("boxes" if clip.motion_class == "stairs" else "flat"), clip.name


def test_ground_reaches_around_the_motion(procedural: list[MotionClip]) -> None:
    for clip in procedural[:4]:
        terrain = fit_clip(clip, SKELETON, FitConfig(padding_m=2.0)).terrain
        half = 0.5 * terrain.cell
        xy = clip.root_pos[:, :2]
        assert (xy.min(axis=0) - (terrain.origin_xy - half) >= 2.0).all(), clip.name
        assert (terrain.max_xy + half - xy.max(axis=0) >= 2.0).all(), clip.name


def test_level_ground_lies_at_the_soles_wherever_the_clip_is() -> None:
    clip = make_clip()
    raised = attrs.evolve(clip, root_pos=clip.root_pos + np.float32([3.0, -2.0, 0.7]), terrain=None)
    fit = fit_clip(raised, SKELETON)
    assert fit.mode == "flat"
    assert fit.terrain.height == pytest.approx(0.7, abs=1e-4)
    assert fit.residual_m < 1e-4


def feet_points(paths: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Soles of 20 x 8 cm at the given places ``[T, 3]``, one body each."""
    sole = np.array([(x, y, 0.0) for x in np.linspace(-0.1, 0.1, 5) for y in (-0.04, 0.0, 0.04)])
    points = np.concatenate([path[:, None] + sole for path in paths], axis=1)
    return points, np.repeat(np.arange(len(paths)), len(sole))


def test_a_foot_that_is_held_in_the_air_makes_no_plateau() -> None:
    # one foot stands for 3 s, the other is held 0.4 m up at its side
    standing, held = np.zeros((90, 3)), np.tile([0.0, 0.3, 0.4], (90, 1))
    points, body = feet_points([standing, held])
    fit = fit_terrain(points, body, standing, 30.0, np.array([0, 1]))
    assert (fit.mode, fit.num_stances) == ("flat", 1)
    assert (fit.terrain.height == 0.0).all()


def three_stands(heights: tuple[float, float, float]) -> np.ndarray:
    """Places of a foot that stands three times, 0.6 m apart, ``[T, 3]`` m."""
    times, t = [0, 40, 52, 92, 104, 144], np.arange(145)
    x = np.interp(t, times, np.repeat([0.0, 0.6, 1.2], 2))
    lift = 0.3 * np.interp(
        t, [40, 43, 49, 52, 92, 95, 101, 104], [0, 1, 1, 0, 0, 1, 1, 0]
    )  # up before forward
    return np.stack([x, np.zeros(145), lift + np.interp(t, times, np.repeat(heights, 2))], axis=-1)


@pytest.mark.parametrize(("middle", "mode"), [(0.05, "flat"), (0.2, "boxes")])
def test_uneven_captures_of_level_ground_stay_level_and_steps_do_not(middle: float, mode: str) -> None:
    place = three_stands((0.0, middle, -0.04))
    points, body = feet_points([place])
    fit = fit_terrain(points, body, place, 30.0, np.array([0]))
    assert fit.mode == mode
    assert fit.terrain.height_at(np.array([0.6, 0.0])) == pytest.approx(0.0 if mode == "flat" else 0.2)


def test_a_dangling_foot_over_ground_that_is_stepped_on_later_makes_no_plateau() -> None:
    # both feet hang 0.4 m over the place where they stand afterwards
    height = np.concatenate([np.full(60, 0.4), np.linspace(0.4, 0.0, 15), np.zeros(45)])
    paths = [np.stack([np.zeros(120), np.full(120, y), height], axis=-1) for y in (0.0, 0.2)]
    points, body = feet_points(paths)
    fit = fit_terrain(points, body, paths[0], 30.0, np.array([0, 1]))
    assert fit.mode == "flat"
    assert fit.terrain.height == pytest.approx(0.0)


def test_no_cell_stays_above_a_body_that_passed_lower() -> None:
    # stands on 0.5 m, then swings a foot at 0.3 m through the space beside
    stance = np.tile([0.0, 0.0, 0.5], (120, 1))
    ground = np.tile([-2.0, 0.0, 0.0], (120, 1))
    swing = np.stack([np.linspace(0.3, 1.2, 120), np.zeros(120), np.full(120, 0.3)], axis=-1)
    points, body = feet_points([stance, ground, swing])
    labels = np.tile([1.0, 1.0, 0.0], (120, 1))
    fit = fit_terrain(points, body, stance, 30.0, np.array([0, 1]), labels)
    over = points[..., 2] - fit.terrain.height_at(points[..., :2])
    assert over.min() >= -0.0101
    assert fit.terrain.height_at(np.array([0.0, 0.0])) == pytest.approx(0.5)


def test_a_mode_that_is_asked_for_is_taken(procedural: list[MotionClip]) -> None:
    stairs = next(clip for clip in procedural if clip.motion_class == "stairs")
    flat = fit_clip(stairs, SKELETON, FitConfig(mode="flat"))
    assert flat.mode == "flat"
    assert np.ptp(flat.terrain.height) == 0.0
    assert flat.residual_m > 0.1  # and the report says that it does not fit


def test_a_motion_without_stands_gets_ground_under_its_lowest_points() -> None:
    rise = np.stack([np.linspace(0, 9, 60), np.zeros(60), np.full(60, 0.2)], axis=-1)
    points, body = feet_points([rise])
    fit = fit_terrain(points, body, rise, 30.0, np.array([0]))
    assert (fit.num_stances, fit.mode) == (0, "flat")
    assert fit.terrain.height == pytest.approx(0.2)


def test_a_motion_that_spreads_too_far_is_refused() -> None:
    clip = make_clip(speed=1e5)
    with pytest.raises(DataError, match=r"clip 'standing': the motion covers .* Is its unit right\?"):
        fit_clip(clip, SKELETON)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no published motions at {REAL}")
@pytest.mark.parametrize("use_labels", [True, False], ids=["labels", "none"])
def test_parkour_ground_is_found_again_under_the_feet(use_labels: bool) -> None:
    # heights from -0.3 to 1.2 m; toes over the edge of a box hang above other ground, so not all points agree
    clip = read_published(REAL / "dec2024_teaser_717_1_opt_dm.pkl", SKELETON, "parkour")
    fit = fit_clip(clip, SKELETON, use_labels=use_labels)
    error = errors_under_feet(clip, fit.terrain)
    assert (error < TOLERANCE).mean() > 0.97
    assert np.median(error) < 0.005
    assert fit.max_depth_m <= 0.0101
