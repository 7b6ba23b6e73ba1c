"""Jumps that no body could make: the `ballistic` term gives them the take-off that their flight needs."""

from __future__ import annotations

import pathlib

import attrs
import numpy as np
import pytest
import torch

from parc_core.config import Use
from parc_core.interfaces import SeedStreams
from parc_core.plugins import Registry
from parc_kinopt.optimizer import KinematicOptimizer, KinoptConfig
from parc_motion.clips import MotionClip
from parc_motion.geometry import PackedTerrains, signed_distance
from parc_motion.kinematics import Kinematics, body_masses, center_of_mass, surface_points
from parc_motion.metrics import Flights, airborne_frames, measure_flights
from parc_motion.skeletons import load_skeleton

SKELETON = load_skeleton("humanoid")
REAL = (
    pathlib.Path(__file__).resolve().parents[4]
    / "shared"
    / "data"
    / "parc"
    / "dec2024_teaser_717_1_opt_dm.pkl"
)
TAKE_OFF, FLIGHT = 21, 7  # frames of the cut clip: the first in the air, and how many


@pytest.fixture(scope="module")
def jump() -> MotionClip:
    """A simulated run with a jump onto a block: the center of mass leaves with 2.2 m/s."""
    if not REAL.is_file():
        pytest.skip(f"the real motion {REAL} is not here")
    registry = Registry.discover()
    if "parc_ms" not in [found.provider.name for found in registry.providers("motion_source")]:
        pytest.skip("parc-data, which reads the real motion, is not installed")
    config = registry.load_config_class("motion_source", "parc_ms")(path=str(REAL))
    use = Use(name="parc_ms", config=config)
    (clip,) = registry.create("motion_source", use, skeleton=SKELETON, seeds=SeedStreams(0)).clips()
    return clip.frames(50, 105)


def _too_slow(clip: MotionClip, speed: float, push: int = 8) -> MotionClip:
    """The jump with a take-off that is slower by `speed` m/s, leaving and landing where it did.

    The height changes by two cubics that are 0 at the start of the push, at take-off and at landing.
    """
    t, dt = np.arange(clip.num_frames) - TAKE_OFF, 1.0 / clip.fps
    before, after = np.clip(1.0 + t / push, 0.0, 1.0), np.clip(t / FLIGHT, 0.0, 1.0)
    change = np.where(t < 0, push * before**2 * (1 - before), -FLIGHT * after * (1 - after) ** 2)
    return attrs.evolve(
        clip, root_pos=clip.root_pos + np.outer(speed * dt * change, [0.0, 0.0, 1.0]), touched=None
    )


def _flights(clip: MotionClip) -> Flights:
    body_pos, body_rot = Kinematics(SKELETON, dtype=torch.float64).forward(
        *(torch.tensor(a, dtype=torch.float64) for a in (clip.root_pos, clip.root_rot, clip.joint_rot))
    )
    mass, center = (torch.tensor(a, dtype=torch.float64) for a in body_masses(SKELETON))
    points = surface_points(SKELETON, dtype=torch.float64).world(body_pos, body_rot)
    ground = PackedTerrains.of([clip.terrain], dtype=torch.float64)
    clear = signed_distance(ground, torch.zeros(len(points), dtype=torch.long), points).amin(dim=-1)
    airborne = airborne_frames(torch.tensor(clip.contacts), clear)
    return measure_flights(center_of_mass(body_pos, body_rot, mass, center), airborne, clip.fps)


def _refined(clips: list[MotionClip], ballistic: bool = True):
    config = KinoptConfig()
    if not ballistic:
        config = attrs.evolve(config, weights=attrs.evolve(config.weights, ballistic=0.0))
    return KinematicOptimizer(config, skeleton=SKELETON).refine(clips)


def _take_off(clip: MotionClip) -> int:
    """Which of the clip's flights is the jump."""
    return int((_flights(clip).first - TAKE_OFF).abs().argmin())


def test_slow_take_off_is_what_it_says(jump):
    true, slow = _flights(jump), _flights(_too_slow(jump, 1.0))
    one, two = _take_off(jump), _take_off(_too_slow(jump, 1.0))
    assert float(true.deficit[one]) == pytest.approx(0.0, abs=0.05)
    assert true.impossible().sum() == 0
    # the speed is measured over a frame or two, in which it already recovers
    assert 0.4 < float(slow.deficit[two]) < 1.0
    assert bool(slow.impossible()[two])


def test_take_off_that_is_too_slow_gets_the_speed_that_its_flight_needs(jump):
    (result,) = _refined([_too_slow(jump, 1.0)])
    flights, which = _flights(result.clip), _take_off(result.clip)
    assert abs(float(flights.deficit[which])) < 0.1
    assert float(flights.fall[which]) == pytest.approx(9.81, abs=1.0)
    assert not [text for text in result.unresolved if "free fall" in text]


def test_without_the_term_the_fall_stays_wrong_and_is_told(jump):
    slow = _too_slow(jump, 1.0)
    (result,), (fixed,) = _refined([slow], ballistic=False), _refined([slow])
    off = lambda clip: abs(float(_flights(clip).fall[_take_off(clip)]) - 9.81)  # noqa: E731
    assert off(result.clip) > 3 * off(fixed.clip)
    assert any(text.startswith("flight in frames 21-27 is ") for text in result.unresolved)


def test_flagged_flights_of_a_batch_fall_by_most(jump):
    slow = [_too_slow(jump, speed, push) for speed in (1.0, 1.3, 1.6) for push in (5, 12)]
    before = sum(int(_flights(clip).impossible().sum()) for clip in slow)
    after = sum(int(_flights(result.clip).impossible().sum()) for result in _refined(slow))
    assert before >= 5
    assert after <= 0.2 * before
