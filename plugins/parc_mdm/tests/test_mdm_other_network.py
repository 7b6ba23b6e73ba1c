"""The network that the documentation shows, in a plain file, keeps every promise of a generator."""

import doctest
import pathlib

import pytest

from parc_core.config import load_settings
from parc_core.errors import ConfigError
from parc_core.interfaces import GeneratorNetwork
from parc_core.plugins import Registry
from parc_mdm.config import MdmConfig
from parc_mdm.generator import MdmGenerator
from parc_motion.skeletons import load_skeleton
from parc_testing.context import make_context
from parc_testing.contracts.generator import GeneratorContract, tiny_dataset

IMPORTS = "import attrs\nimport torch\nfrom torch import nn\n\nfrom parc_core.config import setting\n\n"
SKELETON = load_skeleton()


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> pathlib.Path:
    examples = doctest.DocTestParser().get_examples(GeneratorNetwork.__doc__ or "")
    path = tmp_path_factory.mktemp("user") / "my_nets.py"
    path.write_text(IMPORTS + "\n".join(example.source for example in examples))
    return path


def generator(file: pathlib.Path, **settings) -> MdmGenerator:
    lines = [f"network: {{use: '{file}:Mixer', width: 24}}", "use_cfg: true"]
    tiny = {key: value for key, value in MdmConfig.PRESETS["tiny"].items() if "height" not in key}
    lines += [f"{key}: {value}" for key, value in {**tiny, **settings}.items()]
    config, _ = load_settings("\n".join(lines), "test", MdmConfig, Registry.discover())
    return MdmGenerator(config, skeleton=SKELETON, device="cpu")


class TestOtherNetwork(GeneratorContract):
    @pytest.fixture
    def make(self, file):
        return lambda: generator(file)


def test_network_and_its_settings_come_back_with_the_weights(file, tmp_path):
    made = generator(file)
    made.fit(tiny_dataset(tmp_path / "clips"), make_context(tmp_path))
    made.save(tmp_path / "saved")
    other = MdmGenerator(MdmConfig(), skeleton=SKELETON, device="cpu")
    other.restore(tmp_path / "saved")
    assert type(other.model.denoiser).__name__ == "Mixer"
    assert other.config.network.config.width == 24


def test_weights_of_another_network_are_refused(file, tmp_path):
    plain = MdmGenerator(MdmConfig.preset("tiny"), skeleton=SKELETON, device="cpu")
    plain.fit(tiny_dataset(tmp_path / "clips"), make_context(tmp_path))
    plain.save(tmp_path / "saved")
    with pytest.raises(ConfigError, match="network is Use"):
        generator(file).restore(tmp_path / "saved")
