"""The generator keeps every promise of its kind, and those of its own settings."""

import attrs
import numpy as np
import pytest

from parc_core.errors import ConfigError
from parc_core.interfaces import Stopped
from parc_mdm.config import MdmConfig
from parc_mdm.generator import MdmGenerator
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_testing.context import make_context
from parc_testing.contracts.generator import GeneratorContract, tiny_dataset


def tiny(**override) -> MdmConfig:
    return MdmConfig.preset("tiny", **override)


def generator(**override) -> MdmGenerator:
    return MdmGenerator(tiny(**override), skeleton=load_skeleton(), device="cpu")


class TestMdmGenerator(GeneratorContract):
    @pytest.fixture
    def make(self):
        return generator


def test_training_stopped_within_an_epoch_continues_to_the_same_weights(tmp_path):
    # iters_per_epoch is 3: the fifth question comes after 4 steps, one into the second epoch
    dataset = tiny_dataset(tmp_path / "data")
    whole, part = generator(), generator()
    whole.fit(dataset, make_context(tmp_path / "whole"))
    asked = iter([False] * 4 + [True])
    with pytest.raises(Stopped):
        part.fit(dataset, make_context(tmp_path / "part", should_stop=lambda: next(asked)))
    again = generator()
    context = make_context(tmp_path / "part")
    again.fit(dataset, context)
    for a, b in zip(whole.model.denoiser.parameters(), again.model.denoiser.parameters()):
        assert a.equal(b)


def test_reported_losses_do_not_depend_on_an_interruption(tmp_path):
    dataset = tiny_dataset(tmp_path / "data")
    whole, part = make_context(tmp_path / "whole"), make_context(tmp_path / "part")
    generator().fit(dataset, whole)
    asked = iter([False] * 4 + [True])
    with pytest.raises(Stopped):
        generator().fit(dataset, attrs.evolve(part, should_stop=lambda: next(asked)))
    generator().fit(dataset, part)
    assert part.metrics.rows == whole.metrics.rows


def test_fine_tuning_keeps_statistics_and_takes_new_settings(tmp_path):
    dataset = tiny_dataset(tmp_path / "data")
    first = generator()
    first.fit(dataset, make_context(tmp_path / "a"))
    first.save(tmp_path / "saved")
    second = generator(learning_rate=0.5, epochs=1)
    second.restore(tmp_path / "saved")
    one_clip = tiny_dataset(tmp_path / "other", [c for c in dataset if c.name == "gliding"])
    second.fit(one_clip, make_context(tmp_path / "b"))
    assert second.model.mean.equal(first.model.mean) and second.model.std.equal(first.model.std)
    assert second.model.config.learning_rate == 0.5


def test_shape_left_at_its_default_comes_from_the_file(tmp_path):
    first = generator()
    first.fit(tiny_dataset(tmp_path / "data"), make_context(tmp_path))
    first.save(tmp_path / "saved")
    other = MdmGenerator(MdmConfig(max_motion_length=1.0), skeleton=load_skeleton(), device="cpu")
    other.restore(tmp_path / "saved")
    assert other.config.width == 16 and other.config.diffusion_timesteps == 5


def test_contradicting_shape_is_refused(tmp_path):
    first = generator()
    first.fit(tiny_dataset(tmp_path / "data"), make_context(tmp_path))
    first.save(tmp_path / "saved")
    with pytest.raises(ConfigError, match="width is 32, the weights have 16"):
        generator(width=32).restore(tmp_path / "saved")


def test_checkpoint_of_other_settings_is_refused(tmp_path):
    dataset = tiny_dataset(tmp_path / "data")
    generator().fit(dataset, make_context(tmp_path))
    with pytest.raises(DataError, match="other generator settings"):
        generator(learning_rate=0.1).fit(dataset, make_context(tmp_path))


def test_proposing_before_training_is_refused():
    from parc_motion.terrains import Path
    from parc_testing.builders import make_terrain

    path = Path(points=[[0, 0, 0], [1, 0, 0]], kinds=[0])
    with pytest.raises(DataError, match="before `fit` or `restore`"):
        generator().propose(make_terrain(), path, 1, np.random.default_rng(0))


@pytest.mark.parametrize(
    "setting", [{"height_kernels": (5,)}, {"width": 18, "heads": 4}, {"height_kernels": (30, 5)}]
)
def test_impossible_shape_is_refused_by_the_settings(setting):
    with pytest.raises(ValueError):
        tiny(**setting)
