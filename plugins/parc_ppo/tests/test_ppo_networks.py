"""Networks: sizes, what they see of the terrain, and standard deviations that stay finite and above 0."""

import math

import attrs
import pytest
import torch

from parc_core.errors import ConfigError
from parc_core.interfaces import ActionSpec, ObservationGroup, Policy
from parc_motion.errors import DataError, ShapeError
from parc_ppo import distribution
from parc_ppo.actor_critic import ActorCritic
from parc_ppo.config import DmPpoConfig, ModelConfig, OptimizerConfig, PpoConfig
from parc_ppo.optimizer import make_optimizer
from parc_ppo.policy_io import load_network, make_network, save_policy
from parc_ppo.rollout import Batch
from parc_ppo.terrain_nets import VitEncoder
from parc_ppo.update import update
from parc_rl.normalizer import Normalizer
from parc_testing.fake_env import FakeTrackerEnv

RAYS = ObservationGroup(name="terrain_rays", size=7 * 63, shape=(7, 63), normalize=False)
GRID = ObservationGroup(name="terrain_grid", size=7 * 5, shape=(7, 5), normalize=False)
STATE = ObservationGroup(name="own_state", size=6)
AFTER = ObservationGroup(name="more", size=2)


def make_policy_network(groups=(STATE, GRID, AFTER), actions=3, seed=0, **model) -> ActorCritic:
    fields = {"actor_net": "mlp_16", "critic_net": "mlp_16", **model}
    bound = torch.ones(actions)
    return ActorCritic(
        ModelConfig(**fields),
        groups,
        ActionSpec(lower=-bound, upper=bound, kind="absolute"),
        Normalizer(groups, 5.0, 1000),
        torch.Generator().manual_seed(seed),
    )


def make_batch(obs: torch.Tensor, actions: int = 3, seed: int = 0, scale: float = 1.0) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    n = len(obs)
    return Batch(
        obs=obs,
        action=scale * torch.randn(n, actions, generator=rng),
        log_prob=torch.randn(n, generator=rng),
        advantage=5.0 * torch.randn(n, generator=rng).sign(),
        target=scale * torch.randn(n, generator=rng),
        sampled=None,
    )


def test_published_networks_have_the_published_number_of_weights():
    model = ModelConfig(**DmPpoConfig.PRESETS["paper"]["model"])
    groups = (ObservationGroup(name="all", size=1312),)
    network = make_policy_network(groups, actions=28, **attrs.asdict(model))
    sizes = [layer.out_features for layer in network.critic if isinstance(layer, torch.nn.Linear)]
    assert sizes == [2048, 1024, 512, 1]
    trainable = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    # two trunks of 1312 * 2048 + 2048 + 2048 * 1024 + 1024 + 1024 * 512 + 512 = 5,312,000, heads 512 * 28 + 28 and 513
    assert trainable == 2 * 5_312_000 + 14_364 + 513 == 10_638_877


@pytest.mark.parametrize("name", ["cnn_mlp_32_16", "vit_32_16"])
@pytest.mark.parametrize("picture", [RAYS, GRID], ids=["rays", "grid"])
def test_every_height_of_the_terrain_and_every_other_number_matters(name, picture):
    model = {"actor_net": name, "critic_net": name, "activation": "elu", "actor_std_type": "FIXED"}
    network = make_policy_network((STATE, picture, AFTER), **model)
    obs = torch.randn(2, 8 + picture.size, generator=torch.Generator().manual_seed(1)).requires_grad_()
    network.value(obs).sum().backward()
    assert (obs.grad != 0).all()
    mean, _ = network.decide(obs.detach())
    (mean.square().sum() + network.value(obs.detach()).square().sum()).backward()
    unused = [
        key for key, weight in network.named_parameters() if weight.requires_grad and weight.grad is None
    ]
    assert unused == []


@pytest.mark.parametrize("name", ["mlp_16", "cnn_mlp_16", "vit_16"])
def test_networks_of_every_kind_are_saved_and_restored(name, tmp_path):
    env = FakeTrackerEnv()
    env.observation = (STATE, GRID)
    config = PpoConfig(model=ModelConfig(actor_net=name, critic_net=name, terrain_units=8))
    network = make_network(config, config.model, env, "cpu", torch.Generator().manual_seed(3), 5.0)
    save_policy(network, tmp_path, agent="ppo", model=config.model, env=env, samples=1, extra={})
    # the policy's networks count, not those in the settings
    loaded, model = load_network(Policy.load(tmp_path), PpoConfig(), env, "cpu")
    obs = torch.randn(4, 41, generator=torch.Generator().manual_seed(4))
    assert model.actor_net == name
    assert torch.equal(loaded.act(obs), network.act(obs))
    assert torch.equal(loaded.value(obs), network.value(obs))


def test_policy_of_a_differently_shaped_picture_is_refused(tmp_path):
    env = FakeTrackerEnv()
    env.observation = (STATE, GRID)
    config = PpoConfig(model=ModelConfig(actor_net="cnn_mlp_8", critic_net="mlp_8"))
    network = make_network(config, config.model, env, "cpu", torch.Generator().manual_seed(3), 5.0)
    save_policy(network, tmp_path, agent="ppo", model=config.model, env=env, samples=1, extra={})
    env.observation = (STATE, attrs.evolve(GRID, shape=(5, 7)))
    with pytest.raises(DataError) as caught:
        load_network(Policy.load(tmp_path), config, env, "cpu")
    assert str(caught.value) == (
        f"{tmp_path}/policy.json: trained on 'terrain_grid' of 7 x 5 numbers, the environment gives 5 x 7. Configure "
        "the environment as it was then, or train from scratch."
    )


def test_network_that_looks_at_terrain_is_refused_where_there_is_none():
    with pytest.raises(ConfigError) as caught:
        make_policy_network((STATE, AFTER), actor_net="vit_16")
    assert str(caught.value) == (
        "agent.model: network 'vit' needs the terrain as a picture, and no group of the environment's "
        "observation has rows and columns: own_state [6], more [2]. Let the environment show one (deepmimic: "
        "observation.terrain rays or grid), or use a perceptron, mlp_<units>_<units>..."
    )


def test_group_whose_shape_is_not_its_size_is_refused():
    with pytest.raises(ShapeError, match=r"group 'g' has 6 numbers and shape \[2, 2\], which are 4"):
        ObservationGroup(name="g", size=6, shape=(2, 2))


def test_patches_are_cut_row_by_row_and_continued_at_the_end():
    # 2 x 9 heights: 2 rows; 9 columns in at most 8 patches are 5 of 2, the last one continued
    encoder = VitEncoder((2, 9), 1, 4, torch.Generator().manual_seed(0))
    seen = []
    encoder.patches.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    encoder(torch.arange(18.0).reshape(1, 2, 9), torch.zeros(1, 1))
    first = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 8]]
    second = [[9, 10], [11, 12], [13, 14], [15, 16], [17, 17]]
    assert seen[0][0].tolist() == first + second


# --- standard deviation of the actions


def test_bounded_log_deviation_is_inside_its_bounds_for_any_number():
    raw = torch.tensor([-math.inf, -1e38, -1.0, 0.0, 1.0, 1e38, math.inf, math.nan])
    got = distribution.bounded(raw)
    # middle -2, half 4: x / (1 + |x|) of -1, 0, 1 are -0.5, 0, 0.5
    assert got[2:5].tolist() == [-4.0, -2.0, 0.0]
    assert got.isfinite().all()
    assert (got >= -6.0).all()
    assert (got <= 2.0).all()


def test_unbounded_undoes_bounded():
    log_std = torch.tensor([-5.9, math.log(0.05), -2.0, 0.0, 1.9])
    torch.testing.assert_close(distribution.bounded(distribution.unbounded(log_std)), log_std)


@pytest.mark.parametrize("kind", ["FIXED", "CONST", "VARIABLE"])
def test_every_kind_of_std_starts_as_it_is_set(kind):
    network = make_policy_network(actor_std_type=kind, action_std=0.3, actor_init_output_scale=1e-9)
    _, log_std = network.decide(torch.zeros(2, 43))
    torch.testing.assert_close(log_std.exp(), torch.full_like(log_std, 0.3))


@pytest.mark.parametrize("kind", ["FIXED", "CONST", "VARIABLE"])
@pytest.mark.parametrize("size", [0.0, 1e6, 1e30, 3e38, math.inf, math.nan])
def test_std_is_finite_and_positive_for_extreme_inputs(kind, size):
    network = make_policy_network(actor_std_type=kind)
    _, log_std = network.decide(torch.full((2, 43), size))
    std = log_std.exp()
    assert std.isfinite().all()
    assert (std > 0).all()


@pytest.mark.parametrize("kind", ["CONST", "VARIABLE"])
@pytest.mark.parametrize(
    "optimizer",
    [OptimizerConfig(type="sgd", learning_rate=1e3, momentum=0.9), OptimizerConfig(learning_rate=1.0)],
    ids=["sgd", "adam"],
)
@pytest.mark.parametrize("entropy", [1e6, 0.0])
def test_std_is_finite_and_positive_after_many_hostile_updates(kind, optimizer, entropy):
    """Huge steps without a clip, actions and returns of any size, an entropy bonus: nothing makes it NaN or 0."""
    network = make_policy_network(actor_std_type=kind)
    config = PpoConfig(batch_size=8, update_epochs=2, clip_grad_norm=False, action_entropy_weight=entropy)
    descent = make_optimizer(optimizer, network.parameters())
    rng = torch.Generator().manual_seed(0)
    for i in range(12):
        obs = torch.randn(16, 43, generator=rng) * 10.0 ** (i % 6)
        update(network, descent, make_batch(obs, seed=i, scale=10.0 ** (i % 9)), config, rng)
        std = network.decide(obs)[1].exp()
        assert std.isfinite().all()
        assert (std > 0).all()


def test_learned_std_returns_from_its_bound():
    # driven to the bound by a huge entropy bonus, it shrinks again when the loss asks for it
    network = make_policy_network(actor_std_type="CONST")
    descent = make_optimizer(
        OptimizerConfig(type="sgd", learning_rate=1.0, momentum=0.0), network.parameters()
    )
    rng, batch = torch.Generator().manual_seed(0), make_batch(torch.zeros(4, 43))
    batch = attrs.evolve(batch, advantage=torch.zeros(4))
    config = PpoConfig(batch_size=4, update_epochs=1, action_entropy_weight=100.0, critic_loss_weight=0.0)
    update(network, descent, batch, attrs.evolve(config, clip_grad_norm=False), rng)
    assert network.log_std.tolist() == [2.0] * 3
    network.log_std.grad = None
    # at the bound the slope is whole: 0.5 in each dimension, were entropy punished by so much
    (0.5 * distribution.entropy(network.decide(torch.zeros(1, 43))[1])).backward()
    assert network.log_std.grad.tolist() == [0.5] * 3


@pytest.mark.parametrize("std", [0.001, 8.0])
def test_learned_std_that_cannot_be_reached_is_refused(std):
    with pytest.raises(ConfigError) as caught:
        ModelConfig(actor_std_type="CONST", action_std=std)
    assert str(caught.value) == (
        f"agent.model.action_std is {std:g}; a learned standard deviation (CONST) lies between 0.0025 and "
        "7.38. Use a value in this range, or actor_std_type FIXED."
    )
    assert ModelConfig(actor_std_type="FIXED", action_std=std).action_std == std


def test_learned_std_with_a_schedule_is_refused():
    with pytest.raises(ConfigError) as caught:
        ModelConfig(actor_std_type="CONST", final_action_std=0.05)
    assert str(caught.value) == (
        "agent.model.final_action_std is 0.05, but actor_std_type CONST learns the standard deviation. Use "
        "actor_std_type FIXED, or final_action_std null."
    )
