"""The formulas give the numbers worked out by hand."""

import math

import pytest
import torch

from parc_core.interfaces import ObservationGroup
from parc_core.interfaces.tracker_env import ActionSpec
from parc_rl.normalizer import Normalizer
from parc_sac import losses
from parc_sac.config import ModelConfig, OptimizerConfig, SacConfig
from parc_sac.networks import SacNetwork
from parc_sac.replay import Drawn
from parc_sac.update import target_distribution

GROUPS = (ObservationGroup(name="a", size=3),)
ACTION = ActionSpec(lower=torch.tensor([-1.0, 0.0]), upper=torch.tensor([1.0, 4.0]), kind="residual")


def make_network(**changes) -> SacNetwork:
    config = ModelConfig(actor_units=(8,), critic_units=(8,), num_atoms=11, **changes)
    rng = torch.Generator().manual_seed(0)
    return SacNetwork(config, GROUPS, ACTION, Normalizer(GROUPS, 5.0, 1000), rng, std=0.5, alpha=0.125)


def test_log_std_starts_as_set_and_stays_in_its_bounds():
    raw = losses.unbounded_log_std(math.log(0.3))
    assert float(losses.bounded_log_std(torch.tensor(raw)).exp()) == pytest.approx(0.3)
    ends = losses.bounded_log_std(torch.tensor([-1e9, 1e9]))
    assert ends.tolist() == [-5.0, 0.0]
    _, log_std = make_network().actor(torch.zeros(1, 3))
    assert log_std.exp().flatten().tolist() == pytest.approx([0.5, 0.5], abs=0.01)


def test_entropy_of_a_normal_distribution():
    # 1/2 log(2 pi e) = 1.418939 in each dimension where the standard deviation is 1
    assert losses.gaussian_entropy(1.0, 2) == pytest.approx(2 * 1.418939, abs=1e-5)
    assert losses.gaussian_entropy(0.24197, 28) == pytest.approx(0.0, abs=1e-3)


def test_density_of_squashed_actions_integrates_to_one_and_matches_torch():
    mean, log_std = torch.tensor([[0.3]]), torch.tensor([[math.log(0.5)]])
    noise = torch.linspace(-8.0, 8.0, 20001)[:, None]
    action, log_prob = losses.sample_action(mean, log_std, noise, squash=True)
    integral = torch.trapezoid(log_prob.exp(), action[:, 0])
    assert float(integral) == pytest.approx(1.0, abs=1e-3)
    base = torch.distributions.Normal(0.3, 0.5)
    wanted = torch.distributions.TransformedDistribution(base, torch.distributions.TanhTransform())
    middle = slice(8000, 12000)
    torch.testing.assert_close(log_prob[middle], wanted.log_prob(action[middle, 0]), atol=1e-4, rtol=1e-4)


def test_density_of_unsquashed_actions_is_the_normal_one():
    mean, log_std = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, math.log(0.5)]])
    action, log_prob = losses.sample_action(mean, log_std, torch.tensor([[2.0, -1.0]]), squash=False)
    assert action.tolist() == [[3.0, -2.5]]
    wanted = torch.distributions.Normal(mean, log_std.exp()).log_prob(action).sum()
    assert float(log_prob) == pytest.approx(float(wanted), abs=1e-6)


def test_density_is_finite_far_out():
    action, log_prob = losses.sample_action(
        torch.tensor([[50.0]]), torch.tensor([[0.0]]), torch.zeros(1, 1), squash=True
    )
    assert float(action) == 1.0
    # log p = -1/2 log(2 pi) - 2 (log 2 - 50) = -0.918939 + 98.613706
    assert float(log_prob) == pytest.approx(97.694767, abs=1e-4)


def test_support_covers_what_rewards_add_up_to():
    # rewards of 0..1 at a discount of 0.9 add up to 0..10; a tenth more at either end
    support = losses.value_support((0.0, 1.0), 0.9, 5)
    assert support.tolist() == pytest.approx([-1.0, 2.0, 5.0, 8.0, 11.0])
    assert losses.value_support((0.5, 1.0), 0.5, 3).tolist() == pytest.approx([-0.2, 1.0, 2.2])


def test_projection_shares_probability_between_neighbors():
    support = torch.tensor([0.0, 1.0, 2.0, 3.0])
    probs = torch.tensor([[0.5, 0.5, 0.0, 0.0]])
    # returns 0.25 and 1.0: 0.5 * (0.75, 0.25) on atoms 0 and 1, and 0.5 on atom 1
    found = losses.project(probs, torch.tensor([[0.25, 1.0, 5.0, 5.0]]), support)
    assert found.tolist() == [[0.375, 0.625, 0.0, 0.0]]
    # beyond the ends all of it counts for the end
    found = losses.project(torch.tensor([[0.25, 0.75, 0.0, 0.0]]), torch.tensor([[-9.0, 9.0, 0, 0]]), support)
    assert found.tolist() == [[0.25, 0.0, 0.0, 0.75]]


def test_projection_keeps_the_mean_inside_the_support():
    rng = torch.Generator().manual_seed(0)
    support = torch.linspace(-1.0, 9.0, 51)
    probs = torch.rand(20, 51, generator=rng).softmax(dim=-1)
    returns = 1.5 + 0.6 * support.expand(20, -1)
    found = losses.project(probs, returns, support)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(20))
    torch.testing.assert_close((found * support).sum(dim=-1), (probs * returns).sum(dim=-1))


def test_the_smaller_critic_is_picked_for_each_sample():
    support = torch.tensor([0.0, 1.0])
    probs = torch.tensor([[[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.3, 0.7]]])
    torch.testing.assert_close(losses.pick_smaller(probs, support), torch.tensor([[0.9, 0.1], [0.3, 0.7]]))


def test_losses_by_hand():
    logits = torch.log(torch.tensor([[[0.25, 0.75]], [[0.5, 0.5]]]))
    target = torch.tensor([[0.5, 0.5]])
    # -(0.5 log 0.25 + 0.5 log 0.75) - log 0.5
    assert float(losses.critic_loss(logits, target)) == pytest.approx(0.836988 + 0.693147, abs=1e-5)
    assert losses.expected(logits, torch.tensor([0.0, 4.0])).flatten().tolist() == pytest.approx([3.0, 2.0])
    # mean of 0.5 * (-1) - 2 and 0.5 * 3 - 4
    found = losses.actor_loss(torch.tensor([-1.0, 3.0]), torch.tensor([2.0, 4.0]), torch.tensor(0.5))
    assert float(found) == pytest.approx(-2.5)


def test_temperature_rises_where_the_entropy_is_too_small():
    for log_prob, sign in ((3.0, -1.0), (-3.0, 1.0)):  # entropies -3 and 3, wanted 0
        log_alpha = torch.zeros((), requires_grad=True)
        losses.alpha_loss(log_alpha, torch.tensor([log_prob]), target_entropy=0.0).backward()
        assert float(log_alpha.grad) == pytest.approx(sign * 3.0)  # gradient descent goes the other way


def test_target_by_hand():
    network, support = make_network(), torch.linspace(0.0, 10.0, 11)
    with torch.no_grad():
        for net, atom in zip(network.target_critics.nets, (4, 6)):  # all probability on one return
            net[-1].weight.zero_()
            net[-1].bias.copy_(torch.nn.functional.one_hot(torch.tensor(atom), 11) * 100.0)
    batch = Drawn(
        obs=torch.zeros(1, 3), action=torch.zeros(1, 2), reward=torch.tensor([1.0]),
        discount=torch.tensor([0.5]), next_obs=torch.ones(1, 3),
    )  # fmt: skip
    rng = torch.Generator().manual_seed(3)
    _, log_prob = network.actor.sample(network.normalizer(batch.next_obs), torch.Generator().manual_seed(3))
    for kind, value in (("min", 4.0), ("mean", 5.0)):
        rng.manual_seed(3)
        config = SacConfig(target_values=kind)
        found = target_distribution(network, support, batch, config, rng)
        # R + discount (Z - alpha log pi)
        wanted = 1.0 + 0.5 * (value - 0.125 * float(log_prob.detach()))
        assert float((found * support).sum()) == pytest.approx(wanted, abs=1e-4)
    ended = Drawn(
        obs=batch.obs,
        action=batch.action,
        reward=batch.reward,
        discount=torch.zeros(1),
        next_obs=batch.next_obs,
    )
    found = target_distribution(network, support, ended, SacConfig(), rng)
    assert float((found * support).sum()) == pytest.approx(1.0, abs=1e-5)


def test_actions_fill_the_range_of_the_environment():
    network = make_network()
    assert network.to_env(torch.tensor([[1.0, 1.0], [-1.0, 0.0]])).tolist() == [[1.0, 4.0], [-1.0, 2.0]]
    obs = 100.0 * torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    action = network.act(obs, torch.Generator().manual_seed(0))
    assert bool(((action >= ACTION.lower) & (action <= ACTION.upper)).all())


def test_targets_begin_as_the_critics():
    network = make_network()
    obs, action = torch.ones(2, 3), torch.ones(2, 2)
    torch.testing.assert_close(
        network.critics(obs, action), network.target_critics(obs, action), rtol=0, atol=0
    )
    assert not torch.equal(*network.critics(obs, action).unbind())


def test_presets_are_settings():
    for values in SacConfig.PRESETS.values():
        fields = {
            **values,
            "model": ModelConfig(**values["model"]),
            "optimizer": OptimizerConfig(**values["optimizer"]),
        }
        assert SacConfig(**fields).max_samples == values["max_samples"]
