"""One gradient step, and every number in it, worked out by hand."""

import math

import attrs
import pytest
import torch

from parc_core.interfaces import ActionSpec, ObservationGroup
from parc_ppo.actor_critic import ActorCritic
from parc_ppo.config import ModelConfig, OptimizerConfig, PpoConfig
from parc_ppo.losses import approx_kl, clipped_surrogate
from parc_ppo.optimizer import adapted_factor, make_optimizer
from parc_ppo.returns import value_bounds
from parc_ppo.rollout import Batch
from parc_ppo.update import update
from parc_rl.normalizer import Normalizer

LOG_TAU = math.log(2.0 * math.pi)
MEAN = (0.5, -2.0)  # of both actions, whatever is seen


def make_network(value: float = 1.0, std: float = 1.0, std_type: str = "FIXED") -> ActorCritic:
    """Its mean actions are `MEAN` and its value is `value` for every observation: only the last biases are not 0."""
    groups = (ObservationGroup(name="a", size=2),)
    bound = torch.ones(2)
    model = ModelConfig(actor_net="mlp_4", critic_net="mlp_4", actor_std_type=std_type, action_std=std)
    network = ActorCritic(
        model,
        groups,
        ActionSpec(lower=-bound, upper=bound, kind="absolute"),
        Normalizer(groups, 5.0, 0),
        torch.Generator().manual_seed(0),
    )
    with torch.no_grad():
        for weight in (*network.actor.parameters(), *network.critic.parameters()):
            weight.zero_()
        network.actor[-1].bias.copy_(torch.tensor(MEAN))
        network.critic[-1].bias.fill_(value)
    return network


def make_batch(**fields) -> Batch:
    """Two samples whose actions are the mean ones, drawn with the present probability."""
    density = -LOG_TAU  # of the mean of two dimensions of deviation 1
    given = {
        "obs": torch.zeros(2, 2),
        "action": torch.tensor([MEAN, MEAN]),
        "log_prob": torch.full((2,), density),
        "advantage": torch.zeros(2),
        "target": torch.ones(2),
        "sampled": None,
    }
    return Batch(**{**given, **fields})


def one_step(network: ActorCritic, batch: Batch, rate: float = 1.0, **settings) -> dict[str, float]:
    """One step of plain descent over the whole batch; what the update reports."""
    config = PpoConfig(update_epochs=1, batch_size=len(batch.obs), **{"clip_grad_norm": False, **settings})
    optimizer = make_optimizer(
        OptimizerConfig(type="sgd", learning_rate=rate, momentum=0.0), network.parameters()
    )
    return update(network, optimizer, batch, config, torch.Generator().manual_seed(0))


def bias(network: ActorCritic) -> list[float]:
    return network.actor[-1].bias.tolist()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        (1.5, 1.0, -1.2, 0.0),  # min(1.5, 1.2): clipped, nothing is gained by going further
        (1.5, -1.0, 1.5, 1.5),  # min(-1.5, -1.2) = -1.5: the way back is open
        (0.5, 1.0, -0.5, -0.5),  # min(0.5, 0.8) = 0.5: likewise
        (0.5, -1.0, 0.8, 0.0),  # min(-0.5, -0.8) = -0.8: clipped
        (1.1, 1.0, -1.1, -1.1),  # inside the clip
        (0.9, -1.0, 0.9, 0.9),
    ],
)
def test_ratio_is_clipped_on_the_side_where_going_further_would_pay(ratio, advantage, loss, slope):
    log_ratio = torch.tensor([ratio]).log().requires_grad_()
    got = clipped_surrogate(log_ratio, torch.tensor([advantage]), 0.2)
    got.backward()
    assert float(got.detach()) == pytest.approx(loss)
    assert float(log_ratio.grad) == pytest.approx(slope)  # d(ratio)/d(log ratio) = ratio


def test_enormous_ratios_stay_finite():
    log_ratio = torch.tensor([1e4, 1e4, -1e4]).requires_grad_()
    loss = clipped_surrogate(log_ratio, torch.tensor([1.0, -1.0, -1.0]), 0.2) + approx_kl(log_ratio)
    loss.backward()
    assert loss.isfinite()
    assert log_ratio.grad.isfinite().all()


def test_divergence_estimate_by_hand():
    # ratios 2 and 0.5: (2 - 1 - ln 2 + 0.5 - 1 + ln 2) / 2 = 0.25
    assert float(approx_kl(torch.tensor([2.0, 0.5]).log())) == pytest.approx(0.25)


def test_bound_loss_is_the_squared_excess_and_pulls_back_only_what_lies_beyond():
    network = make_network()
    found = one_step(network, make_batch(), rate=0.1, action_bound_weight=3.0)
    assert found["bound"] == pytest.approx(1.0)  # 0.5 is inside; -2 is 1 beyond: 1^2
    # d/d(-2) of 3 * (|m| - 1)^2 = 3 * 2 * 1 * (-1) = -6; a step of 0.1: -2 + 0.6
    assert bias(network) == pytest.approx([0.5, -1.4])


def test_regularization_is_the_squared_mean_action():
    network = make_network()
    found = one_step(network, make_batch(), rate=0.1, action_reg_weight=0.5)
    assert found["reg"] == pytest.approx(4.25)  # 0.25 + 4
    # gradient 0.5 * 2 * mean = mean: 0.5 - 0.05, -2 + 0.2
    assert bias(network) == pytest.approx([0.45, -1.8])


def test_entropy_is_rewarded():
    network = make_network(std_type="CONST")
    found = one_step(network, make_batch(), rate=0.1, action_entropy_weight=2.0)
    assert found["entropy"] == pytest.approx(LOG_TAU + 1.0)  # two dimensions of (ln(2 pi) + 1) / 2 and ln 1
    # d(-2 * entropy)/d(log std) = -2 each, a step of 0.1; the surrogate says nothing at advantage 0
    assert network.log_std.tolist() == pytest.approx([0.2, 0.2])


@pytest.mark.parametrize(
    ("kind", "loss", "moved"),
    [
        ("L2", 5.0, 3.0),  # value 1, targets 4 and 2: (9 + 1) / 2; slope -2 * (3 + 1) / 2 = -4, half of it
        ("L1", 2.0, 1.5),  # (3 + 1) / 2; slope -1, half of it
    ],
)
def test_value_moves_towards_its_targets(kind, loss, moved):
    network = make_network(value=1.0)
    batch = make_batch(target=torch.tensor([4.0, 2.0]))
    found = one_step(network, batch, rate=1.0, critic_loss_type=kind, critic_loss_weight=0.5)
    assert found["critic"] == pytest.approx(loss)
    assert network.critic[-1].bias.item() == pytest.approx(moved)


def test_only_sampled_actions_enter_the_actor_loss():
    # deviation 1, actions one above the mean in the first dimension, old and new density equal: ratio 1
    action = torch.tensor([[1.5, -2.0], [1.5, -2.0], [1.5, -2.0]])
    batch = make_batch(
        obs=torch.zeros(3, 2),
        action=action,
        log_prob=torch.full((3,), -LOG_TAU - 0.5),
        advantage=torch.tensor([2.0, 4.0, 100.0]),
        target=torch.ones(3),
        sampled=torch.tensor([True, True, False]),
    )
    network = make_network()
    found = one_step(network, batch, rate=0.1)
    assert found["actor"] == pytest.approx(-3.0)  # -(2 + 4) / 2
    # d(log density)/d(mean) = (action - mean) / 1 = 1: gradient -(2 + 4) / 2 = -3
    assert bias(network) == pytest.approx([0.8, -2.0])


def test_pieces_without_a_drawn_action_teach_the_critic_alone():
    network = make_network(value=1.0)
    batch = make_batch(
        advantage=torch.tensor([3.0, -3.0]),
        target=torch.tensor([2.0, 2.0]),
        sampled=torch.tensor([False, False]),
    )
    found = one_step(network, batch, rate=0.25)
    assert (found["actor"], found["kl"], found["clip_fraction"], found["imp_ratio"]) == (0.0, 0.0, 0.0, 1.0)
    assert bias(network) == pytest.approx(list(MEAN))
    assert network.critic[-1].bias.item() == pytest.approx(1.5)  # slope -2 * (2 - 1), a quarter of it


@pytest.mark.parametrize(("gate", "moves"), [(8.9, False), (9.1, True)])
def test_actor_waits_until_the_critic_is_good_enough(gate, moves):
    network = make_network(value=1.0)
    batch = make_batch(target=torch.tensor([4.0, 4.0]))  # squared error 9
    one_step(network, batch, rate=0.1, critic_loss_gate=gate, action_reg_weight=0.5)
    assert bias(network) == pytest.approx([0.45, -1.8] if moves else list(MEAN))


def test_gradient_is_shortened_to_its_limit():
    network = make_network()
    # gradient of the mean actions 0.5 and -2, of the value 0: length sqrt(4.25); limited to half of that
    limit = 0.5 * math.sqrt(4.25)
    found = one_step(
        network, make_batch(), rate=0.1, action_reg_weight=0.5, clip_grad_norm=True, max_grad_norm=limit
    )
    assert found["grad_norm"] == pytest.approx(math.sqrt(4.25))
    assert bias(network) == pytest.approx([0.475, -1.9], abs=1e-5)


def test_update_reports_how_far_it_is_from_the_old_policy():
    # old densities lower by ln 1.5 and higher by ln 2: ratios 1.5 and 0.5
    log_prob = -LOG_TAU - torch.tensor([1.5, 0.5]).log()
    found = one_step(make_network(), make_batch(log_prob=log_prob), rate=1e-9)
    assert found["imp_ratio"] == pytest.approx(1.0)
    assert found["clip_fraction"] == pytest.approx(1.0)
    assert found["kl"] == pytest.approx(
        -0.5 * math.log(0.75)
    )  # means of ratio - 1 cancel: -(ln 1.5 + ln 0.5) / 2


def test_update_ends_after_the_epoch_that_moves_too_far():
    network, batch = make_network(), make_batch(log_prob=torch.full((2,), -LOG_TAU - 1.0))  # ratio e
    config = PpoConfig(update_epochs=5, batch_size=2)
    rng = torch.Generator().manual_seed(0)
    for target, epochs in ((0.7, 1.0), (0.8, 5.0)):  # divergence e - 1 - 1 = 0.718
        optimizer = make_optimizer(OptimizerConfig(type="sgd", learning_rate=1e-9), network.parameters())
        found = update(network, optimizer, batch, attrs.evolve(config, target_kl=target), rng)
        assert found["epochs"] == epochs


def test_step_size_follows_the_divergence():
    assert adapted_factor(1.0, 0.021, 0.01) == pytest.approx(1 / 1.5)
    assert adapted_factor(1.0, 0.019, 0.01) == 1.0
    assert adapted_factor(1.0, 0.006, 0.01) == 1.0
    assert adapted_factor(1.0, 0.004, 0.01) == 1.5
    assert adapted_factor(1.0, 9.0, None) == 1.0
    assert adapted_factor(90.0, 0.0, 0.01) == 100.0
    assert adapted_factor(0.011, 9.0, 0.01) == 0.01


@pytest.mark.parametrize(
    ("reward_range", "bounds"),
    [
        ((0.0, 1.0), (0.0, 100.0)),
        ((-5.0, 6.0), (-500.0, 600.0)),
        ((0.5, 1.0), (0.0, 100.0)),  # an episode may end: less than 0.5 for ever
        ((-1.0, -0.5), (-100.0, 0.0)),
    ],
)
def test_values_are_bounded_by_what_rewards_can_add_up_to(reward_range, bounds):
    assert value_bounds(reward_range, 0.99) == pytest.approx(bounds)


def test_normalizer_merges_batches_by_their_counts():
    normalizer = Normalizer((ObservationGroup(name="a", size=1),), clip=5.0, max_samples=100)
    normalizer.record(torch.tensor([[1.0], [3.0]]))
    normalizer.apply_recorded()
    assert (float(normalizer.mean), float(normalizer.std)) == (2.0, 1.0)
    normalizer.record(torch.tensor([[5.0]]))
    normalizer.apply_recorded()
    # 1, 3, 5: mean (2 * 2 + 1 * 5) / 3 = 3, mean square (1 + 9 + 25) / 3 = 35 / 3, variance 35 / 3 - 9 = 8 / 3
    assert float(normalizer.mean) == 3.0
    assert float(normalizer.std) == pytest.approx(math.sqrt(8 / 3))
    assert float(normalizer(torch.tensor([[5.0]]))) == pytest.approx(2.0 / math.sqrt(8 / 3))


def test_constant_observations_are_divided_by_the_least_deviation():
    normalizer = Normalizer((ObservationGroup(name="a", size=1),), clip=5.0, max_samples=100)
    normalizer.record(torch.full((4, 1), 2.0))
    normalizer.apply_recorded()
    assert float(normalizer(torch.tensor([[2.0001]]))) == pytest.approx(1.0, rel=1e-2)  # 1e-4 / 1e-4
