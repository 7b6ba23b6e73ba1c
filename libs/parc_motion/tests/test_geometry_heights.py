"""Ground heights under points and around characters."""

import numpy as np
import pytest
import torch

from parc_motion.errors import DataError, ShapeError
from parc_motion.geometry import PackedTerrains, grid_offsets, height_at, height_patch
from parc_motion.terrains import Terrain


@pytest.fixture
def terrains():
    rng = np.random.default_rng(0)
    return [
        Terrain(height=rng.uniform(-1, 1, (6, 9)), origin_xy=(1.0, -2.0), cell=0.5),
        Terrain(height=rng.uniform(-1, 1, (3, 4)), origin_xy=(-4.0, 0.3), cell=0.25),
    ]


def test_packed_heights_equal_each_terrain_inside_and_outside(terrains):
    packed = PackedTerrains.of(terrains)
    xy = np.random.default_rng(1).uniform(-8, 8, (2, 500, 2)).astype(np.float32)
    answer = packed.height_at(torch.tensor([1, 0]), torch.tensor(xy))
    np.testing.assert_array_equal(answer[0], terrains[1].height_at(xy[0]))
    np.testing.assert_array_equal(answer[1], terrains[0].height_at(xy[1]))


def test_padding_never_answers():
    # the small terrain ends at x = 1; the padded tensor reaches x = 3, where the large one is 9 m high
    small, large = Terrain(height=[[1.0], [2.0]], cell=1.0), Terrain(height=np.full((4, 4), 9.0), cell=1.0)
    packed = PackedTerrains.of([small, large])
    assert packed.height_at(torch.tensor([0]), torch.tensor([[3.0, 3.0]])).item() == 2.0


def test_cell_border_belongs_to_the_next_cell():
    # cell (0, 0) reaches from -0.5 to 0.5
    terrain = torch.tensor([[1.0], [2.0]])
    heights = height_at(terrain, torch.zeros(2), 1.0, torch.tensor([[0.49, 0.0], [0.5, 0.0], [-7.0, 0.0]]))
    assert heights.tolist() == [1.0, 2.0, 1.0]


def test_batched_height_at_equals_single_ones(terrains):
    height = torch.stack([torch.tensor(terrains[0].height), torch.tensor(terrains[0].height) + 5.0])
    origin = torch.tensor([[1.0, -2.0], [0.0, 0.0]])
    xy = torch.rand(2, 7, 3, 2, generator=torch.Generator().manual_seed(0)) * 6 - 2
    both = height_at(height, origin, 0.5, xy)
    for b in range(2):
        assert torch.equal(both[b], height_at(height[b], origin[b], 0.5, xy[b]))


def test_patch_looks_ahead_in_the_heading_frame():
    # heading 90 degrees: 2 m ahead is +y, 1 m to the left is -x; heights tell the cell as 10 i + j
    i, j = np.meshgrid(np.arange(6), np.arange(6), indexing="ij")
    packed = PackedTerrains.of([Terrain(height=10 * i + j, cell=1.0)])
    offsets = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    patch = height_patch(
        packed, torch.tensor([0]), torch.tensor([[3.0, 2.0]]), torch.tensor([np.pi / 2]), offsets
    )
    assert patch.tolist() == [[32.0, 34.0, 22.0]]


def test_patch_equals_height_at_of_the_turned_grid(terrains):
    packed = PackedTerrains.of(terrains)
    ids = torch.tensor([0, 1, 1])
    center, heading = torch.tensor([[2.0, -1.0], [-4.0, 0.5], [9.0, 9.0]]), torch.tensor([0.3, -2.0, 1.0])
    offsets = grid_offsets(3, 5, 2, 2, 0.21)
    turn = torch.stack(
        [torch.stack([heading.cos(), -heading.sin()]), torch.stack([heading.sin(), heading.cos()])]
    )
    xy = center[:, None, None] + torch.einsum("abn,xyb->nxya", turn, offsets)
    patch = height_patch(packed, ids, center, heading, offsets)
    assert patch.shape == (3, 9, 5)
    assert torch.equal(patch, packed.height_at(ids, xy))


def test_grid_offsets_put_the_character_at_behind_and_right():
    offsets = grid_offsets(2, 3, 1, 4, 0.5)
    assert offsets.shape == (6, 6, 2)
    assert offsets[2, 1].tolist() == [0.0, 0.0]
    assert offsets[0, 0].tolist() == [-1.0, -0.5]


def test_pools_stay_inside_each_terrain():
    small, large = (
        Terrain(height=[[1.0, 2.0], [3.0, 0.0]], cell=1.0),
        Terrain(height=np.full((5, 5), 9.0), cell=1.0),
    )
    packed = PackedTerrains.of([small, large])
    assert packed.pooled(1, highest=True)[0, :2, :2].tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert packed.pooled(3, highest=False)[0, 1, 1].item() == 0.0


def test_wrong_shapes_are_refused(terrains):
    packed = PackedTerrains.of(terrains)
    with pytest.raises(
        ShapeError, match=r"points have shape \[3, 2\] for terrain_ids \[2\], expected \[N, \.\.\., 2\]"
    ):
        packed.height_at(torch.tensor([0, 1]), torch.zeros(3, 2))
    with pytest.raises(ShapeError, match="height_patch got terrain_ids"):
        height_patch(packed, torch.tensor([0]), torch.zeros(1, 3), torch.zeros(1), torch.zeros(4, 2))
    with pytest.raises(ShapeError, match="height_at got height"):
        height_at(torch.zeros(2, 3, 3), torch.zeros(2, 2), 1.0, torch.zeros(3, 2))


def test_no_terrain_is_refused():
    with pytest.raises(DataError, match=r"PackedTerrains.of got no terrain; give at least one\."):
        PackedTerrains.of([])
