from __future__ import annotations

import math

import attrs
import pytest
import torch
from parc_mpc.cem import elite_mean, interpolation, sample_plans, shift_plan
from parc_mpc.config import CostConfig, MpcConfig, ladder
from parc_mpc.cost import tracking_cost

from parc_core.interfaces.simulator import Rollout
from parc_core.interfaces.tracker_env import Reference
from parc_core.kinematics.forward import Kinematics
from parc_core.kinematics.mjcf import load_skeleton

KIN = Kinematics(load_skeleton("humanoid"))
NOTHING = CostConfig(
    body_pos=0.0,
    root_pos=0.0,
    root_rot=0.0,
    root_vel=0.0,
    root_ang_vel=0.0,
    joint_rot=0.0,
    dof_vel=0.0,
    residual=0.0,
)


def test_knots_lie_at_both_ends_and_evenly_between():
    # 3 knots over 5 steps: at steps 0, 2, 4; step 1 is halfway between the first two
    weights = interpolation(3, 5)
    assert weights.tolist() == [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]]


def test_shifted_plan_is_the_old_one_a_step_later():
    plan = torch.tensor([[[0.0], [2.0], [6.0]]])
    # steps 0..4 of the plan: 0 1 2 4 6; a step later 1 2 4 6 6, whose knots (steps 0, 2, 4) are 1, 4, 6
    assert shift_plan(plan, 5).flatten().tolist() == [1.0, 4.0, 6.0]


def test_candidates_begin_with_the_plan_and_the_reference():
    plan = torch.full((2, 3, 4), 0.5)
    noise = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(0))
    plans = sample_plans(plan, noise, 0.1)
    assert torch.equal(plans[:, 0], plan)
    assert not plans[:, 1].any()
    assert torch.allclose(plans[0, 2:], 0.5 + 0.1 * noise[2:])
    assert torch.equal(plans[0], plans[1])  # equal plans get equal candidates, whoever else is there


def test_elite_mean_takes_the_cheapest_tenth_but_at_least_four():
    plans = torch.arange(20.0).reshape(1, 20, 1, 1)
    cost = (plans.flatten() - 10.0).abs()[None]
    # 10 % of 20 is 2, so four: 10 (cost 0), 9 and 11 (cost 1), 8 (cost 2, first of two in order) -> 38 / 4
    assert elite_mean(plans, cost, 0.1).item() == 9.5


def test_elite_mean_leaves_out_what_diverged():
    plans = torch.arange(6.0).reshape(1, 6, 1, 1)
    cost = torch.tensor([[math.inf, 1.0, math.inf, 2.0, math.inf, math.inf]])
    assert elite_mean(plans, cost, 0.1).item() == 2.0  # (1 + 3) / 2
    assert elite_mean(plans, torch.full((1, 6), math.inf), 0.1).item() == 0.0


def still(num: int, horizon: int) -> tuple[Rollout, Reference]:
    """Straight characters at the origin, and the same as their reference (one environment)."""
    eye = torch.tensor([0.0, 0.0, 0.0, 1.0])
    skeleton = KIN.skeleton

    def state(*shape: int) -> dict[str, torch.Tensor]:
        return {
            "root_pos": torch.zeros(*shape, 3),
            "root_rot": eye.expand(*shape, 4).clone(),
            "joint_rot": eye.expand(*shape, skeleton.num_joints, 4).clone(),
            "root_vel": torch.zeros(*shape, 3),
            "root_ang_vel": torch.zeros(*shape, 3),
            "dof_vel": torch.zeros(*shape, skeleton.num_dofs),
        }

    ref = state(horizon)
    body_pos, body_rot = KIN.forward(ref["root_pos"], ref["root_rot"], ref["joint_rot"])
    contacts = torch.zeros(horizon, skeleton.num_bodies)
    rollout = Rollout(**state(num, horizon), finite=torch.ones(num, dtype=torch.bool))
    return rollout, Reference(**ref, contacts=contacts, body_pos=body_pos, body_rot=body_rot)


def test_perfect_tracking_costs_nothing():
    rollout, ref = still(3, 2)
    cost = tracking_cost(rollout, ref, torch.zeros(1, 3, 2, 28), KIN, CostConfig())
    assert cost.abs().max() < 1e-5


@pytest.mark.parametrize(
    ("field", "value", "weight", "expected"),
    [
        # 0.2 m off at all bodies: 0.2^2; one candidate of two, both steps
        ("root_pos", torch.tensor([0.2, 0.0, 0.0]), "body_pos", 0.04),
        ("root_pos", torch.tensor([0.2, 0.0, 0.0]), "root_pos", 0.04),
        # 4 sin^2(angle / 2) for 0.6 rad about z: 4 * 0.29552^2
        ("root_rot", torch.tensor([0.0, 0.0, math.sin(0.3), math.cos(0.3)]), "root_rot", 0.34933),
        ("root_vel", torch.tensor([0.0, 2.0, 0.0]), "root_vel", 4.0),
        ("root_ang_vel", torch.tensor([0.0, 2.0, 1.0]), "root_ang_vel", 5.0),
        ("dof_vel", torch.full((28,), 3.0), "dof_vel", 9.0),
    ],
    ids=["body_pos", "root_pos", "root_rot", "root_vel", "root_ang_vel", "dof_vel"],
)
def test_each_term_by_hand(field, value, weight, expected):
    rollout, ref = still(2, 2)
    getattr(rollout, field)[1] = value
    cost = tracking_cost(rollout, ref, torch.zeros(1, 2, 2, 28), KIN, attrs.evolve(NOTHING, **{weight: 1.0}))
    assert cost[0].tolist() == pytest.approx([0.0, expected], abs=1e-4)


def test_residuals_cost_their_mean_square():
    rollout, ref = still(1, 2)
    residuals = torch.zeros(1, 1, 2, 28)
    residuals[0, 0, 0] = 0.3  # the first of two steps: 0.09 / 2
    cost = tracking_cost(rollout, ref, residuals, KIN, attrs.evolve(NOTHING, residual=1.0))
    assert cost.item() == pytest.approx(0.045)


def test_diverged_candidate_costs_infinitely_much():
    rollout, ref = still(2, 2)
    rollout.finite[0] = False
    rollout.root_pos[0] = math.nan
    cost = tracking_cost(rollout, ref, torch.zeros(1, 2, 2, 28), KIN, CostConfig())
    assert cost[0, 0] == math.inf and cost[0, 1] < 1e-5


def test_ladder_begins_with_the_settings_and_ends_with_the_dearest():
    config = MpcConfig(seed=5)
    steps = ladder(config)
    assert steps[0] == config
    assert [s.seed for s in steps] == [5, 6, 7, 8]
    assert (steps[-1].samples, steps[-1].horizon) == (192, 24)
    assert len(ladder(attrs.evolve(config, max_attempts=2))) == 2
