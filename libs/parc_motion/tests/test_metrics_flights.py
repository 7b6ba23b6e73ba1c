"""Flights: a thrown body is possible, a hovering or pushed one is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parc_motion.kinematics import Kinematics, body_masses, center_of_mass
from parc_motion.metrics import airborne_frames, measure_flights
from parc_motion.skeletons import load_skeleton

FPS = 30.0


def times(frames: int = 30) -> torch.Tensor:
    return torch.arange(frames, dtype=torch.float64) / FPS


def in_air(first: int, last: int, frames: int = 30) -> torch.Tensor:
    mask = torch.zeros(frames, dtype=torch.bool)
    mask[first : last + 1] = True
    return mask


def test_a_thrown_body_lacks_nothing():
    t = times()
    center = torch.stack([3.0 * t, -t, 1.0 + 2.0 * t - 0.5 * 9.81 * t**2], dim=-1)
    flights = measure_flights(center, in_air(5, 20), FPS)
    assert flights.deficit.item() == pytest.approx(0.0, abs=1e-9)
    assert flights.speed_change.item() == pytest.approx(0.0, abs=1e-9)
    assert flights.fall.item() == pytest.approx(9.81)
    # 2 m/s at t = 0, five frames later 9.81 * 5 / 30 less
    assert flights.takeoff_speed.item() == pytest.approx(2.0 - 9.81 * 5 / 30)
    assert not flights.impossible().any()


def test_a_hovering_body_lacks_the_speed_of_half_its_flight():
    center = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).repeat(30, 1)
    flights = measure_flights(center, in_air(5, 20), FPS)
    # T = 15 / 30 s needs g T / 2 = 2.4525 m/s; over the first 2 frames it rises by g * (1/30) = 0.327 m/s too little
    assert flights.needed_speed.item() == pytest.approx(2.4525)
    assert flights.takeoff_speed.item() == pytest.approx(0.327)
    assert flights.impossible().tolist() == [True]


def test_speed_gained_in_the_air_is_impossible():
    t = times()
    height = 1.0 + 2.0 * t - 0.5 * 9.81 * t**2
    center = torch.stack([3.0 * t + (t - 0.4).clamp_min(0.0), 0 * t, height], dim=-1)
    flights = measure_flights(center, in_air(5, 20), FPS)
    assert flights.deficit.item() == pytest.approx(0.0, abs=1e-9)
    assert flights.speed_change.item() == pytest.approx(1.0)
    assert flights.impossible().tolist() == [True]


def test_flights_are_found_from_end_to_end_and_short_ones_left_out():
    mask = in_air(0, 5) | in_air(10, 12) | in_air(20, 29)
    flights = measure_flights(torch.zeros(30, 3), mask, FPS)
    assert flights.first.tolist() == [0, 20]
    assert flights.last.tolist() == [5, 29]
    assert flights.duration.tolist() == pytest.approx([5 / 30, 9 / 30])


def test_a_clip_that_never_leaves_the_ground_has_no_flight():
    assert len(measure_flights(torch.zeros(9, 3), torch.zeros(9, dtype=torch.bool), FPS).first) == 0


def test_airborne_means_no_label_and_off_the_ground():
    contacts = torch.tensor([[0.0, 1.0], [0.0, 0.4], [0.0, 0.0]])
    assert airborne_frames(contacts, torch.tensor([0.5, 0.5, 0.01])).tolist() == [False, True, False]


def test_masses_follow_from_shapes_and_densities():
    skeleton = load_skeleton("humanoid")
    mass, center = body_masses(skeleton)
    # hand: sphere of 0.04 m, 1865 kg/m3; foot: box of half sizes 0.0885, 0.045, 0.0275 m, 1141 kg/m3
    assert mass[skeleton.body_id("left_hand")] == pytest.approx(4 / 3 * np.pi * 0.04**3 * 1865, rel=1e-6)
    assert mass[skeleton.body_id("left_foot")] == pytest.approx(8 * 0.0885 * 0.045 * 0.0275 * 1141, rel=1e-6)
    assert center[skeleton.body_id("left_foot")] == pytest.approx([0.045, 0.0, -0.0225])


def test_center_of_mass_moves_and_turns_with_the_body():
    skeleton = load_skeleton("humanoid")
    mass, center = (torch.tensor(array) for array in body_masses(skeleton))
    kin = Kinematics(skeleton, dtype=torch.float64)
    rest = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    half = 0.5**0.5
    roots = torch.stack(
        [rest, torch.tensor([0.0, 0.0, half, half], dtype=torch.float64)]
    )  # none, 90 degrees about z
    pos = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], dtype=torch.float64)
    plain, moved = center_of_mass(*kin.forward(pos, roots, rest.expand(2, 14, 4)), mass, center)
    assert plain[1].item() == pytest.approx(0.0, abs=1e-6)  # left and right weigh the same
    assert moved.tolist() == pytest.approx(
        [1.0 - plain[1].item(), 2.0 + plain[0].item(), 3.0 + plain[2].item()]
    )
