"""The pieces of the height augmentation."""

import torch

from parc_mdm.augment import Changes, draw_boxes, max_pool
from parc_mdm.config import MdmConfig


def peak() -> torch.Tensor:
    patch = torch.zeros(3, 9, 9)
    patch[:, 4, 4] = 1.0
    return patch


def test_each_sample_is_pooled_by_its_own_radii():
    pooled = max_pool(peak(), torch.tensor([0, 2, 1]), torch.tensor([0, 0, 1]))
    # radius r spreads the peak over 2 r + 1 points: 1, 5 x 1, 3 x 3
    assert pooled.sum(dim=(1, 2)).tolist() == [1.0, 5.0, 9.0]
    assert pooled[1, 2:7, 4].tolist() == [1.0] * 5


def test_pooling_keeps_its_argument():
    patch = peak()
    max_pool(patch, torch.tensor([1, 1, 1]), torch.tensor([1, 1, 1]))
    assert patch.sum() == 3.0


def test_pooling_of_negative_ground_takes_nothing_from_beyond_the_border():
    pooled = max_pool(torch.full((1, 5, 5), -2.0), torch.tensor([2]), torch.tensor([2]))
    assert torch.all(pooled == -2.0)


def test_boxes_are_flat_and_few():
    drawn = Changes.draw(200, MdmConfig(), torch.zeros(1), torch.Generator().manual_seed(0))
    boxed = draw_boxes(torch.zeros(200, 31, 31), drawn.boxes, drawn.num_boxes)
    levels = torch.tensor([len(sample.unique()) for sample in boxed])
    assert levels.max() <= 5 and levels.min() == 1
    assert boxed.abs().max() <= 3.0
    assert (levels > 1).float().mean() > 0.6
