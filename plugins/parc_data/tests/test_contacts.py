"""Contact labels found from geometry agree with those that are known."""

from __future__ import annotations

import pathlib

import attrs
import numpy as np
import pytest

from parc_core.interfaces import SeedStreams
from parc_data.contacts import clip_points, contact_labels, label_clip
from parc_data.import_settings import ContactConfig
from parc_data.parc_ms import read_published
from parc_data.procedural.source import ProceduralConfig, ProceduralSource
from parc_data.runs import runs
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data" / "parc"
SKELETON = load_skeleton("humanoid")
FEET, HANDS = (11, 14), (5, 8)
FLAT = make_terrain()
CONFIG = ContactConfig(near_m=0.02, far_m=0.04, slow=0.5, fast=1.0, gap_s=0.1, least_s=0.1)


def label(
    height: list[float], speed: float | list[float] = 0.0, fps: float = 30.0, **change: float
) -> list[int]:
    """Labels of one point at the given heights, moving along x at the given speed."""
    step = np.broadcast_to(np.asarray(speed, dtype=float), (len(height),)) / fps
    points = np.zeros((len(height), 1, 3))
    points[:, 0, 0], points[:, 0, 2] = np.cumsum(step), height
    config = attrs.evolve(CONFIG, **change)
    found = contact_labels(points, np.array([0]), np.array([True]), FLAT, fps, config)
    return [int(value) for value in found[:, 0]]


def score(clip: MotionClip, bodies: tuple[int, ...]) -> tuple[float, float]:
    """Precision and recall of the labels of these bodies against the clip's own."""
    found = label_clip(clip, SKELETON).contacts[:, bodies] > 0.5
    known = clip.contacts[:, bodies] > 0.5
    hit = (found & known).sum()
    return hit / found.sum(), hit / known.sum()


def test_a_contact_starts_below_the_near_and_lasts_up_to_the_far_height() -> None:
    # 3 cm alone is no contact, after 1 cm it still is one, 5 cm ends it
    assert label([0.03] * 5) == [0] * 5
    heights = [0.05] * 5 + [0.01] * 5 + [0.03] * 5 + [0.05] * 5
    assert label(heights, fps=1.0, gap_s=0.0, least_s=0.0) == [0] * 5 + [1] * 10 + [0] * 5


def test_a_fast_body_is_in_no_contact() -> None:
    assert label([0.0] * 10, speed=2.0) == [0] * 10
    # between slow and fast it only stays in contact
    assert label([0.0] * 10, speed=0.7) == [0] * 10
    assert label([0.0] * 10, speed=[0.0] * 5 + [0.7] * 5) == [1] * 10


def test_short_gaps_are_closed_and_short_contacts_dropped() -> None:
    # 0.1 s are 3 frames at 30 per second: a gap of 3 is closed, one of 4 stays; a contact of 3 stays, one of 2 goes
    up, down = [0.5], [0.0]
    assert label(down * 6 + up * 3 + down * 6) == [1] * 15
    assert label(down * 6 + up * 4 + down * 6) == [1] * 6 + [0] * 4 + [1] * 6
    assert label(up * 6 + down * 3 + up * 6) == [0] * 6 + [1] * 3 + [0] * 6
    assert label(up * 6 + down * 2 + up * 6) == [0] * 14


def test_a_rolling_body_stays_in_contact_by_its_slowest_point() -> None:
    points = np.zeros((10, 2, 3))
    points[:, 1, 2] = np.linspace(0.0, 0.3, 10)  # the heel rises, the toes stand
    found = contact_labels(points, np.array([0, 0]), np.array([True]), FLAT, 30.0, CONFIG)
    assert (found == 1).all()


def test_a_hand_at_the_side_of_a_box_touches_it() -> None:
    # cell (4, 4) is centered on 0.8, 0.8 m: its side is at x = 0.6 m
    terrain = make_terrain(steps=[((slice(4, 5), slice(4, 5)), 1.0)])
    points = np.tile([[[0.59, 0.8, 0.5]], [[0.5, 0.8, 0.5]]], (1, 10, 1)).reshape(2, 10, 1, 3)
    found = [contact_labels(p, np.array([0]), np.array([True]), terrain, 30.0, CONFIG).max() for p in points]
    assert found == [1.0, 0.0]


def test_bodies_that_are_not_asked_for_stay_unlabeled() -> None:
    points = np.zeros((10, 2, 3))
    found = contact_labels(points, np.array([0, 1]), np.array([False, True]), FLAT, 30.0, CONFIG)
    assert found.sum(axis=0).tolist() == [0.0, 10.0]


def test_the_same_motion_at_four_times_the_rate_gets_the_same_labels() -> None:
    t = np.arange(241) / 120.0
    height = np.maximum(0.0, np.sin(2 * np.pi * t)) * 0.2
    slow = label(list(height[::4]), fps=30.0)
    fast = label(list(height), fps=120.0)
    assert np.abs(np.array(slow) - np.array(fast[::4])).sum() <= 4  # one frame at each of four edges


def test_standing_clips_are_labeled_at_their_feet_only() -> None:
    found = label_clip(make_clip(contacts=np.zeros((30, 15))), SKELETON).contacts
    assert [int(body) for body in np.flatnonzero(found.all(axis=0))] == list(FEET)
    assert found.sum() == 60


def test_procedural_feet_that_stand_are_all_found_and_others_are_low() -> None:
    for clip in ProceduralSource(
        ProceduralConfig(classes=("stairs",)), skeleton=SKELETON, seeds=SeedStreams(0)
    ).clips():
        precision, recall = score(clip, FEET)
        # their labels mean a flat sole; a foot on its toes is in contact too
        assert recall > 0.98 and precision > 0.6, f"{clip.name}: {precision:.3f}, {recall:.3f}"
        points, body = clip_points(clip, SKELETON)
        over = points[..., 2] - clip.terrain.height_at(points[..., :2])
        found = label_clip(clip, SKELETON).contacts
        for foot in FEET:
            assert over[:, body == foot].min(axis=1)[found[:, foot] > 0.5].max() < 0.041, clip.name


def test_runs_have_their_first_frame_and_stop() -> None:
    assert runs(np.array([True, False, True, True])).tolist() == [[0, 1], [2, 4]]
    assert len(runs(np.zeros(3, dtype=bool))) == 0


def test_thresholds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="has to be the smaller one"):
        ContactConfig(near_m=0.1, far_m=0.05)


def test_a_clip_without_terrain_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        label_clip(make_clip(terrain=None), SKELETON)
    assert str(caught.value) == "clip 'standing' has no terrain to be in contact with; fit one first."


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no published motions at {REAL}")
def test_labels_agree_with_those_of_a_simulation() -> None:
    clip = read_published(REAL / "dec2024_teaser_717_1_opt_dm.pkl", SKELETON, "parkour")
    precision, recall = score(clip, FEET)
    # a simulated foot has contact force while it lands, rolls and slides, too; labels are about standing
    assert precision > 0.95 and recall > 0.7
    precision, recall = score(clip, HANDS)
    assert precision > 0.95 and recall > 0.9
