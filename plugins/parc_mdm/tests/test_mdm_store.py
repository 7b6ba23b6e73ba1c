"""The store that windows are drawn from: in memory or mapped from a cache, it is the same."""

import attrs
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from parc_mdm.config import MdmConfig
from parc_mdm.generator import MdmGenerator
from parc_mdm.store import MotionStore
from parc_motion.clips import cached_clips
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain
from parc_testing.context import make_context
from parc_testing.contracts.generator import tiny_dataset

SKELETON = load_skeleton()


def clips():
    terrain = make_terrain((12, 25))
    bounds = np.stack([terrain.height - 0.2, terrain.height + 0.1], axis=-1)
    return [
        make_clip(40, name="walk", speed=1.0),
        make_clip(31, name="loop", speed=0.5, loop="wrap"),
        make_clip(70, name="fast", fps=60.0, speed=2.0, terrain=make_terrain((40, 18))),
        make_clip(20, name="bounded", terrain=attrs.evolve(terrain, bounds=bounds)),
    ]


def assert_equal(a: MotionStore, b: MotionStore):
    for field in attrs.fields(MotionStore):
        if field.name != "terrains":
            assert torch.equal(getattr(a, field.name), getattr(b, field.name)), field.name
    for name in ("height", "shape", "origin_xy", "cell"):
        assert torch.equal(getattr(a.terrains, name), getattr(b.terrains, name)), name


@pytest.mark.parametrize("mirror", [False, True])
def test_mapped_store_equals_the_one_in_memory(tmp_path, mirror):
    dataset = tiny_dataset(tmp_path, clips())
    packed = cached_clips(dataset, tmp_path / "cache")
    whole = MotionStore.of(list(dataset), dataset.weights, SKELETON, 15, mirror=mirror, device="cpu")
    for _ in range(2):  # built, and opened
        found = MotionStore.cached(packed, np.arange(4), SKELETON, 15, mirror=mirror, device="cpu")
        assert_equal(found, whole)


def test_some_clips_of_a_cache_are_another_store(tmp_path):
    dataset = tiny_dataset(tmp_path, clips())
    packed = cached_clips(dataset, tmp_path / "cache")
    stores = [
        MotionStore.cached(packed, np.array(chosen), SKELETON, 15, mirror=False, device="cpu")
        for chosen in ([0, 1, 2, 3], [0, 2], [1, 3])
    ]
    assert [store.num_clips for store in stores] == [4, 2, 2]
    assert torch.equal(stores[1].root_pos[:40], stores[0].root_pos[:40])


def test_cells_under_the_body_are_the_distinct_cells_of_its_surface_points(tmp_path):
    from parc_motion.kinematics import surface_points

    store = MotionStore.of(clips(), np.ones(4), SKELETON, 15, mirror=True, device="cpu")
    clip = torch.searchsorted(store.first, torch.arange(len(store.root_pos)), right=True) - 1
    points = surface_points(SKELETON, "cpu").world(store.body_pos, store.body_rot)
    cells = store.terrains.cell_of(clip, points[..., :2])
    flat = cells[..., 0] * store.terrains.height.shape[2] + cells[..., 1]
    begin = 0
    for frame, end in enumerate(store.touched_end.tolist()):
        assert_array_equal(store.touched[begin:end], flat[frame].unique())
        begin = end


def test_second_start_reads_no_clip(tmp_path):
    dataset = tiny_dataset(tmp_path / "clips", [make_clip(30, name="walk", speed=1.0)])
    context = make_context(tmp_path)
    generator = MdmGenerator(MdmConfig.preset("tiny"), skeleton=SKELETON)
    generator.fit(dataset, context)
    weights = {name: value.clone() for name, value in generator.model.denoiser.state_dict().items()}
    for entry in dataset.entries:
        entry.file.unlink()
    again = MdmGenerator(MdmConfig.preset("tiny"), skeleton=SKELETON)
    again.fit(dataset, context)
    for name, value in again.model.denoiser.state_dict().items():
        assert torch.equal(value, weights[name]), name
