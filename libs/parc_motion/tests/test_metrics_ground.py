"""Penetration, missed contacts and sliding."""

import numpy as np
import pytest
import torch

from parc_motion.geometry import PackedTerrains
from parc_motion.metrics import contact_slides, terrain_contact, terrain_penetration
from parc_motion.terrains import Terrain

IDS = torch.zeros(1, dtype=torch.long)


@pytest.fixture
def ground():
    return PackedTerrains.of([Terrain(height=np.zeros((9, 9)))])


def test_penetration_sums_depths_over_points_and_frames(ground):
    # two frames, two points: depths 0.1, 0 and 0.2, 0.3
    points = torch.tensor([[[[1, 1, -0.1], [1, 1, 0.4]], [[1, 1, -0.2], [1, 2, -0.3]]]])
    assert terrain_penetration(ground, IDS, points).item() == pytest.approx(0.6, abs=1e-6)


def test_contact_takes_the_closest_point_of_each_labeled_body(ground):
    # body 0: points at 0.3 and 0.5, label 0.5: 0.15; body 1: point at 0.2, label 1: 0.2; body 2 unlabeled
    points = torch.tensor([[[[1, 1, 0.3], [1, 1, 0.5], [1, 1, 0.2], [1, 1, 5.0]]]])
    body, contacts = torch.tensor([0, 0, 1, 2]), torch.tensor([[[0.5, 1.0, 0.0]]])
    assert terrain_contact(ground, IDS, points, body, contacts).item() == pytest.approx(0.35, abs=1e-6)


def test_body_inside_the_ground_misses_no_contact(ground):
    points = torch.tensor([[[[1, 1, 0.3], [1, 1, -0.5]]]])
    assert terrain_contact(ground, IDS, points, torch.tensor([0, 0]), torch.ones(1, 1, 1)).item() == 0.0


def test_losses_of_a_batch_are_those_of_its_clips():
    rng = np.random.default_rng(0)
    terrains = [Terrain(height=rng.uniform(-0.4, 0.4, (7, 5))) for _ in range(3)]
    points = torch.tensor(rng.uniform(-0.5, 2.5, (3, 6, 10, 3)), dtype=torch.float32)
    contacts, body = torch.tensor(rng.uniform(0, 1, (3, 6, 4)), dtype=torch.float32), torch.arange(10) % 4
    packed = PackedTerrains.of(terrains)
    together = terrain_contact(packed, torch.arange(3), points, body, contacts)
    deep = terrain_penetration(packed, torch.arange(3), points)
    for n, terrain in enumerate(terrains):
        one = PackedTerrains.of([terrain])
        assert together[n].item() == pytest.approx(
            terrain_contact(one, IDS, points[n : n + 1], body, contacts[n : n + 1]).item()
        )
        assert deep[n].item() == pytest.approx(terrain_penetration(one, IDS, points[n : n + 1]).item())


def test_losses_pull_bodies_to_the_ground(ground):
    points = torch.tensor([[[[1, 1, 0.3], [1, 1, 0.5]]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(
        terrain_contact(ground, IDS, points, torch.tensor([0, 0]), torch.ones(1, 1, 1)).sum(), points
    )
    assert gradient.flatten().tolist() == [0, 0, 1, 0, 0, 0]


def test_slides_add_up_within_a_contact():
    # contact in frames 0-2 (steps 0.1 and 0.2) and 4-5 (step 0.05); the steps in and out of frame 3 do not count
    x = torch.tensor([0.0, 0.1, 0.3, 1.3, 2.3, 2.35])
    points = torch.stack([x, torch.zeros(6), torch.zeros(6)], dim=-1)[:, None]
    slides = contact_slides(points, torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0, 1.0]))
    assert slides.tolist() == pytest.approx([0.3, 0.05], abs=1e-6)


def test_rolling_over_the_toe_is_no_slide():
    # heel and toe; the heel rises and moves, the toe stays
    points = torch.tensor([[[0.0, 0, 0], [0.2, 0, 0]], [[0.02, 0, 0.06], [0.2, 0, 0]]])
    assert contact_slides(points, torch.ones(2)).tolist() == [0.0]


def test_foot_without_contact_has_no_slides():
    assert contact_slides(torch.zeros(4, 2, 3), torch.zeros(4)).shape == (0,)
