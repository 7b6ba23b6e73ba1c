"""The formulas give the numbers worked out by hand."""

import math

import pytest
import torch

from parc_core.config import Use
from parc_core.errors import ConfigError
from parc_core.interfaces import Done
from parc_ppo import distribution
from parc_ppo.config import DmPpoConfig, ModelConfig, OptimizerConfig, PpoConfig
from parc_ppo.losses import approx_kl, clipped_surrogate, critic_loss
from parc_ppo.mlp import make_mlp
from parc_ppo.net_names import MlpConfig, named_network
from parc_ppo.optimizer import make_optimizer, set_learning_rate
from parc_ppo.returns import next_values, normalized_advantage, td_lambda_returns
from parc_ppo.rollout import action_std, explore_prob
from parc_rl.fail_rates import fail_rate_metrics
from parc_rl.optimizer_state import load_optimizer, optimizer_tensors


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1)


def done(*values: Done) -> torch.Tensor:
    return torch.tensor([int(v) for v in values], dtype=torch.int8).reshape(-1, 1)


def test_gae_three_steps_by_hand():
    # discount 0.5, lambda 1, V = 0, r = 1, 2, 4, value after the last step 8:
    # R2 = 4 + 0.5 * 8 = 8;  R1 = 2 + 0.5 * 8 = 6;  R0 = 1 + 0.5 * 6 = 4
    following = column(0.0, 0.0, 8.0)
    got = td_lambda_returns(column(1, 2, 4), following, done(*[Done.NULL] * 3), 0.5, 1.0)
    assert got.flatten().tolist() == [4.0, 6.0, 8.0]


def test_lambda_mixes_returns_with_values():
    # discount 1, lambda 0.5, r = 0, next values 4, 8: R1 = 8; R0 = 0.5 * 4 + 0.5 * 8 = 6
    got = td_lambda_returns(column(0, 0), column(4, 8), done(Done.NULL, Done.NULL), 1.0, 0.5)
    assert got.flatten().tolist() == [6.0, 8.0]


def test_returns_do_not_cross_the_end_of_an_episode():
    # the middle step fails: R1 = 2 + 0; R0 = 1 + 0.5 * 2 = 2; R2 belongs to the next episode
    ends = done(Done.NULL, Done.FAIL, Done.NULL)
    got = td_lambda_returns(column(1, 2, 4), column(7, 0, 8), ends, 0.5, 1.0)
    assert got.flatten().tolist() == [2.0, 2.0, 8.0]


def test_failing_is_worth_nothing_and_running_out_of_time_the_value_of_the_end():
    value, final = column(1, 2, 3, 4, 5), column(20, 30, 40, 50)
    ends = done(Done.NULL, Done.FAIL, Done.TIMEOUT, Done.SUCCESS)
    got = next_values(value, final, ends, bootstrap_timeout=True, bootstrap_success=True)
    assert got.flatten().tolist() == [2.0, 0.0, 40.0, 50.0]
    got = next_values(value, final, ends, bootstrap_timeout=False, bootstrap_success=False, bounds=(0.0, 1.5))
    assert got.flatten().tolist() == [1.5, 0.0, 0.0, 0.0]


def test_advantages_are_normalized_over_sampled_actions_and_clipped():
    # drawn 1 and 3: mean 2, deviation 1; the mean action's 9 becomes 7, clipped to 5
    adv, mean, std = normalized_advantage(
        torch.tensor([1.0, 3.0, 9.0]), torch.tensor([True, True, False]), 5.0
    )
    assert adv.tolist() == [-1.0, 1.0, 5.0]
    assert (float(mean), float(std)) == (2.0, 1.0)


def test_clipped_surrogate_by_hand():
    # ratios 1.5, 1.5, 0.5, 0.5, clip 0.2; A = 1, -1, 1, -1:
    # min(1.5, 1.2) = 1.2; min(-1.5, -1.2) = -1.5; min(0.5, 0.8) = 0.5; min(-0.5, -0.8) = -0.8; mean -0.15
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5]).log()
    loss = clipped_surrogate(ratio, torch.tensor([1.0, -1.0, 1.0, -1.0]), 0.2)
    assert float(loss) == pytest.approx(0.15, abs=1e-6)


def test_critic_losses_by_hand():
    value, target = torch.tensor([0.0, 1.0]), torch.tensor([3.0, 0.0])
    assert float(critic_loss(value, target, "L2")) == 5.0  # (9 + 1) / 2
    assert float(critic_loss(value, target, "L1")) == 2.0  # (3 + 1) / 2


def test_kl_estimate_is_zero_without_change_and_positive_else():
    assert float(approx_kl(torch.zeros(4))) == 0.0
    assert float(approx_kl(torch.tensor([0.1, -0.1]))) > 0.0


def test_log_density_and_entropy_match_torch():
    rng = torch.Generator().manual_seed(0)
    mean, action = torch.randn(5, 3, generator=rng), torch.randn(5, 3, generator=rng)
    log_std = torch.tensor([-1.0, 0.0, 0.5])
    wanted = torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1)
    torch.testing.assert_close(distribution.log_prob(mean, log_std, action), wanted.log_prob(action))
    torch.testing.assert_close(distribution.entropy(log_std), wanted.entropy()[0])


def test_bound_excess_counts_only_what_lies_beyond():
    mean = torch.tensor([[0.5, -1.5, 3.0]])  # excess 0, 0.5, 2: 0.25 + 4
    assert distribution.bound_excess(mean).tolist() == [4.25]


def test_network_names_are_read_and_others_refused():
    assert named_network("mlp_512_256", "elu", 64) == Use(
        "parc-ppo:mlp", MlpConfig(units=(512, 256), activation="elu")
    )
    names = [named_network(name, "relu", 16).name for name in ("cnn_mlp_64", "vit_64")]
    assert names == ["parc-ppo:cnn_mlp", "parc-ppo:vit"]
    with pytest.raises(ConfigError) as caught:
        ModelConfig(actor_net="fc_2layers")
    assert str(caught.value) == (
        "agent.model: network 'fc_2layers' is not known. Write mlp_<units>_<units>..., cnn_mlp_<units>... or "
        "vit_<units>..., for instance mlp_512_512, or choose a network by class with its settings: "
        "{use: my_nets.py:MyNet, units: 256}."
    )


def test_networks_depend_on_their_generator_alone():
    torch.manual_seed(1)
    first = make_mlp((3, 4, 2), "elu", torch.Generator().manual_seed(5))
    torch.manual_seed(2)
    second = make_mlp((3, 4, 2), "elu", torch.Generator().manual_seed(5))
    assert torch.equal(first[0].weight, second[0].weight)
    assert torch.equal(first[2].weight, second[2].weight)


def test_learning_rate_falls_linearly():
    config = OptimizerConfig(learning_rate=1.0, final_fraction=0.3)
    optimizer = make_optimizer(config, [torch.nn.Parameter(torch.zeros(1))])
    assert set_learning_rate(optimizer, config, 0.5) == pytest.approx(0.65)  # 1 - 0.7 / 2
    assert set_learning_rate(optimizer, config, 2.0) == pytest.approx(0.3)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.3)


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_optimizer_continues_exactly(kind):
    config = OptimizerConfig(type=kind, learning_rate=0.1)
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = make_optimizer(config, [parameter])

    def step(p: torch.nn.Parameter, o: torch.optim.Optimizer) -> None:
        o.zero_grad()
        p.square().sum().backward()
        o.step()

    for _ in range(3):
        step(parameter, optimizer)
    copy = torch.nn.Parameter(parameter.detach().clone())
    other = make_optimizer(config, [copy])
    load_optimizer(other, {k: v.clone() for k, v in optimizer_tensors(optimizer).items()})
    step(parameter, optimizer)
    step(copy, other)
    assert torch.equal(parameter, copy)


def test_std_of_actions_falls_linearly():
    model = ModelConfig(actor_std_type="FIXED", action_std=0.2, final_action_std=0.04)
    config = PpoConfig(max_samples=100, model=model)
    assert [action_std(config, n) for n in (0, 25, 100, 1000)] == pytest.approx([0.2, 0.16, 0.04, 0.04])
    stays = PpoConfig(max_samples=100, model=ModelConfig(action_std=0.2))
    assert [action_std(stays, n) for n in (0, 100)] == [0.2, 0.2]


def test_share_of_sampled_actions_is_annealed():
    config = PpoConfig(exp_prob_beg=1.0, exp_prob_end=0.2, exp_anneal_samples=100.0)
    assert [explore_prob(config, n) for n in (0, 50, 1000)] == pytest.approx([1.0, 0.6, 0.2])


def test_fail_rates_are_summarized_and_the_worst_named():
    found = fail_rate_metrics({"a": 0.0, "b": 1.0, "c": 0.5}, logged=2)
    assert (found["mean"], found["max"], found["q50"]) == (0.5, 1.0, 0.5)
    assert [name for name in found if name.startswith("motion/")] == ["motion/b", "motion/c"]


def test_published_std_is_tiny_and_documented_one_learned():
    assert PpoConfig().model.actor_std_type == "CONST"
    assert math.isclose(DmPpoConfig.PRESETS["paper"]["model"]["action_std"], 0.05)
