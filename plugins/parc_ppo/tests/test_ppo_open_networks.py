"""Networks chosen by class: registered, in a plain file, with their own settings; saved, restored and resumed."""

import logging
import shutil
import textwrap

import attrs
import pytest
import torch
import yaml

from parc_core.config import InvalidConfig, dump, load_settings
from parc_core.errors import BrokenPlugin, ConfigError
from parc_core.interfaces import ActionSpec, ObservationGroup, Policy, Stopped
from parc_core.plugins import Registry
from parc_motion.errors import DataError
from parc_motion.storage import digest_folder
from parc_ppo.actor_critic import ActorCritic
from parc_ppo.config import ModelConfig, PpoConfig
from parc_ppo.mlp import Mlp
from parc_ppo.net_names import CnnMlpConfig, MlpConfig, VitConfig
from parc_ppo.ppo import PpoAgent
from parc_ppo.terrain_nets import CnnMlp, VitEncoder, VitMlp
from parc_rl.normalizer import Normalizer
from parc_testing.context import make_context
from parc_testing.contracts.policy_network import PolicyNetworkContract
from parc_testing.fake_env import FakeTrackerEnv

GROUPS = (ObservationGroup(name="all", size=5),)

NETS = textwrap.dedent('''
    """Networks of a user, in a plain file."""

    import attrs
    import torch
    from torch import nn

    from parc_core.config import setting


    @attrs.frozen(kw_only=True)
    class GatedConfig:
        units: int = setting(256, ge=1, help="Width of the hidden layer.")


    class GatedMlp(nn.Module):
        def __init__(self, config: GatedConfig, *, num_inputs, num_outputs, groups, device, rng):
            super().__init__()
            self.hidden = nn.Linear(num_inputs, 2 * config.units)
            self.output_layer = nn.Linear(config.units, num_outputs)

        def forward(self, obs):
            value, gate = self.hidden(obs).chunk(2, dim=-1)
            return self.output_layer(value * torch.sigmoid(gate))


    class WithoutOutputLayer(GatedMlp):
        def __init__(self, config: GatedConfig, **collaborators):
            super().__init__(config, **collaborators)
            del self.output_layer


    class TooWide(GatedMlp):
        def forward(self, obs):
            return super().forward(obs).repeat(1, 2)


    def not_a_module(config: GatedConfig, **collaborators):
        return 3
''')


def read(folder, model):
    """The model settings of an iteration file in a folder, which may name networks in files beside it."""
    (folder / "my_nets.py").write_text(NETS)
    text = yaml.safe_dump(
        {"model": model, "max_samples": 1024, "steps_per_iter": 8, "iters_per_checkpoint": 2}
    )
    config, _ = load_settings(text, "run.yaml", PpoConfig, Registry.discover(), base=folder)
    return attrs.evolve(config, update_epochs=2, batch_size=64, average_decay=0.5)


def gated(folder, units=8):
    net = {"use": "my_nets.py:GatedMlp", "units": units}
    return read(folder, {"actor_net": net, "critic_net": net, "actor_std_type": "VARIABLE"})


def make_actor_critic(model, seed=0, groups=GROUPS):
    bound = torch.ones(3)
    return ActorCritic(
        model,
        groups,
        ActionSpec(lower=-bound, upper=bound, kind="absolute"),
        Normalizer(groups, 5.0, 100),
        torch.Generator().manual_seed(seed),
    )


# --- built-in networks keep the contract that others have to keep


class TestMlp(PolicyNetworkContract):
    @pytest.fixture
    def make(self):
        return lambda **collaborators: Mlp(MlpConfig(units=(16, 8)), **collaborators)


class TestCnnMlp(PolicyNetworkContract):
    @pytest.fixture
    def make(self):
        return lambda **collaborators: CnnMlp(CnnMlpConfig(units=(16,), terrain_units=8), **collaborators)


class TestVit(PolicyNetworkContract):
    @pytest.fixture
    def make(self):
        return lambda **collaborators: VitMlp(VitConfig(units=(16,), terrain_units=8), **collaborators)


# --- settings


def test_short_and_long_form_of_a_network_are_the_same_network(tmp_path):
    short = read(tmp_path, {"actor_net": "mlp_16_8", "critic_net": "mlp_16_8", "activation": "elu"}).model
    net = {"use": "mlp", "units": [16, 8], "activation": "elu"}
    long = read(tmp_path, {"actor_net": net, "critic_net": net}).model
    assert short.actor_net == "mlp_16_8"
    assert dump(long.actor_net) == net
    weights = [make_actor_critic(model).state_dict() for model in (short, long)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_network_in_a_plain_file_has_its_own_settings(tmp_path):
    model = gated(tmp_path, units=7).model
    network = make_actor_critic(model)
    assert network.actor.hidden.out_features == 14
    assert dump(model.actor_net) == {"use": f"{tmp_path}/my_nets.py:GatedMlp", "units": 7}


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            {"use": "my_nets.py:GatedMlp", "unit": 3},
            "model.actor_net.unit: unknown key 'unit', closest is 'units'",
        ),
        ({"use": "mlp", "units": [0]}, "model.actor_net.units.0: 0 is out of range, expected >= 1"),
        ({"use": "mpl"}, "model.actor_net.use: no policy_network is called 'mpl'"),
        ({"units": [3]}, "model.actor_net: the key 'use' is missing; it names the policy_network"),
        ({"use": "vit", "terrain_units": 6}, "cannot divide among 4 attention heads"),
        ("my_nets.py:GatedMlp", "agent.model: network 'my_nets.py:GatedMlp' is not known. Write mlp_<units>"),
    ],
)
def test_error_in_a_network_says_which_setting_is_wrong(tmp_path, net, message):
    with pytest.raises(InvalidConfig) as caught:
        read(tmp_path, {"actor_net": net})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "WithoutOutputLayer",
            "output_layer is None, expected the last layer of the network, an nn.Linear with 3",
        ),
        ("TooWide", "forward gave [2, 6] for observations [2, 5], expected a tensor [2, 3]."),
        ("not_a_module", "is a int, expected a torch.nn.Module."),
    ],
)
def test_network_that_breaks_the_interface_is_refused_before_the_training(tmp_path, name, message):
    model = read(tmp_path, {"actor_net": {"use": f"my_nets.py:{name}"}}).model
    with pytest.raises(BrokenPlugin) as caught:
        make_actor_critic(model)
    assert message in str(caught.value)
    assert f"my_nets.py:{name}'" in str(caught.value)


def test_terrain_embedding_that_heads_cannot_share_is_refused_by_short_name_too():
    with pytest.raises(ConfigError, match="multiple of 4"):
        ModelConfig(actor_net="vit_16", terrain_units=6)


# --- initial weights


def test_usual_initialization_is_reproducible_and_leaves_the_global_generator_alone(tmp_path):
    model = gated(tmp_path).model
    torch.manual_seed(1)
    first = make_actor_critic(model, seed=3)
    after = torch.rand(1)
    torch.manual_seed(2)
    second, other = make_actor_critic(model, seed=3), make_actor_critic(model, seed=4)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(first.actor.hidden.weight, second.actor.hidden.weight)
    assert not torch.equal(first.actor.hidden.weight, other.actor.hidden.weight)
    assert not torch.equal(first.actor.hidden.weight, first.critic.hidden.weight)


def test_actor_of_a_network_in_a_file_starts_with_the_configured_std(tmp_path):
    model = attrs.evolve(gated(tmp_path).model, action_std=0.3, actor_init_output_scale=1e-9)
    network = make_actor_critic(model)
    network.actor.output_layer.bias.data[:3] = 0.0
    _, log_std = network.decide(torch.zeros(2, 5))
    torch.testing.assert_close(log_std.exp(), torch.full((2, 3), 0.3))


# --- policies and checkpoints


def test_network_in_a_file_is_trained_saved_and_restored(tmp_path, caplog):
    config, env = gated(tmp_path), FakeTrackerEnv()
    agent = PpoAgent(config)
    policy = agent.train(env, make_context(tmp_path / "run"))
    saved = Policy.load(policy.folder).extra["model"]
    assert saved["actor_net"] == {"use": f"{tmp_path}/my_nets.py:GatedMlp", "units": 8}
    # the policy's networks count, not those of the settings, as with networks of short names
    other = PpoAgent(PpoConfig(model=ModelConfig(actor_std_type="VARIABLE")))
    other.restore(Policy.load(policy.folder), env)
    assert "its actor_net is {'use': 'my_nets.py:GatedMlp', 'units': 8} and stays" in caplog.text
    obs = env.reset()
    assert torch.equal(other.act(env, obs), agent.act(env, obs))


def test_network_whose_file_has_moved_is_found_by_the_settings(tmp_path):
    env = FakeTrackerEnv()
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    agent = PpoAgent(gated(tmp_path / "old"))
    policy = agent.train(env, make_context(tmp_path / "run"))
    config = gated(tmp_path / "new", units=5)
    shutil.rmtree(tmp_path / "old")
    other = PpoAgent(config)
    other.restore(Policy.load(policy.folder), env)
    obs = env.reset()
    assert torch.equal(other.act(env, obs), agent.act(env, obs))
    with pytest.raises(DataError, match="describes no network"):
        PpoAgent(PpoConfig(model=ModelConfig(actor_std_type="VARIABLE"))).restore(policy, env)


def test_stopped_training_of_a_network_in_a_file_goes_on_to_the_same_bits(tmp_path):
    config = gated(tmp_path)
    whole = PpoAgent(config).train(FakeTrackerEnv(), make_context(tmp_path / "whole"))
    calls = iter(range(3))  # of four iterations; a checkpoint after two
    with pytest.raises(Stopped):
        stops = make_context(tmp_path / "parts", should_stop=lambda: next(calls, None) is None)
        PpoAgent(config).train(FakeTrackerEnv(), stops)
    parts = PpoAgent(config).train(FakeTrackerEnv(seed=99), make_context(tmp_path / "parts"))
    assert digest_folder(whole.folder) == digest_folder(parts.folder)


def test_checkpoint_of_another_network_is_refused_and_changed_code_is_told(tmp_path, caplog):
    context = make_context(tmp_path / "run")
    PpoAgent(gated(tmp_path)).train(FakeTrackerEnv(), context)
    with pytest.raises(DataError, match="its networks are"):
        PpoAgent(gated(tmp_path, units=9)).train(FakeTrackerEnv(), make_context(tmp_path / "run"))
    moved = tmp_path / "moved"
    moved.mkdir()
    config = gated(moved)
    (moved / "my_nets.py").write_text(NETS + "\n# another version\n")
    with caplog.at_level(logging.WARNING):
        PpoAgent(config).train(FakeTrackerEnv(), make_context(tmp_path / "run"))
    assert "the code of model.actor_net has changed since the weights were saved" in caplog.text


def test_weights_of_a_transformer_saved_under_earlier_names_are_read():
    def make(seed):
        return VitEncoder((2, 9), 3, 4, torch.Generator().manual_seed(seed))

    renamed = {
        "position": "place",
        "attention_norm": "norm_attend",
        "feed_forward_norm": "norm_think",
        "qkv": "ask",
        "output_projection": "join",
        "feed_forward": "think",
    }
    encoder = make(1)
    old = {
        ".".join(renamed.get(part, part) for part in key.split(".")): value
        for key, value in encoder.state_dict().items()
    }
    assert "blocks.0.ask.weight" in old
    assert "place" in old
    other = make(2)
    other.load_state_dict(old)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in encoder.state_dict().items())
