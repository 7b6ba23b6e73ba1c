from __future__ import annotations

import math

import attrs
import pytest
import torch

from parc_core.interfaces import Reference, Rollout
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import load_skeleton
from parc_mpc.config import CostConfig, MpcConfig, ladder
from parc_mpc.deviations import tracking_deviations
from parc_mpc.gauss_newton import best_combination, costs
from parc_mpc.plans import interpolation, sample_plans, shift_matrix

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
    assert (shift_matrix(3, 5) @ plan).flatten().tolist() == [1.0, 4.0, 6.0]


def test_candidates_begin_with_the_plan_and_share_their_noise():
    plan = torch.stack([torch.full((3, 4), 0.5), torch.zeros(3, 4)])
    noise = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    plans = sample_plans(plan, noise)
    assert plans.shape == (2, 6, 3, 4)
    assert torch.equal(plans[:, 0], plan)
    assert torch.equal(plans[0, 1:], 0.5 + noise)
    assert torch.equal(plans[1, 1:], noise)


def samples(*values: float) -> torch.Tensor:
    """One environment whose plans have two knots of one dof; `values` are those knots, plan after plan."""
    return torch.tensor(values).reshape(1, -1, 2, 1)


def best(plans: torch.Tensor, deviations: torch.Tensor, **settings: float) -> list[float]:
    settings = {"damping": 1e-6, "outlier": 1e9, "max_step": 1e9} | settings
    cost = costs(deviations, torch.ones(deviations.shape[:2], dtype=torch.bool))
    return best_combination(plans, deviations, cost, **settings).flatten().tolist()


def test_linear_deviations_vanish_in_one_step():
    # deviations (a + b - 3, a - b - 1) are zero at a = 2, b = 1 only, far outside the samples
    plans = samples(0.0, 0.0, 0.1, 0.0, 0.0, 0.1)
    a, b = plans[..., 0, 0], plans[..., 1, 0]
    assert best(plans, torch.stack([a + b - 3.0, a - b - 1.0], dim=-1)) == pytest.approx([2.0, 1.0], abs=1e-3)


def test_damping_shortens_the_step():
    # deviation x - 1, candidates at 0 and 0.1; from 0.1 the whole way is 0.9. The other's change is -0.1, its square
    # 0.01; damping 1 doubles that and so halves the step: 0.1 + 0.45
    plans = samples(0.0, 0.0, 0.1, 0.0)
    assert best(plans, plans[..., 0, :] - 1.0, damping=1.0) == pytest.approx([0.55, 0.0], abs=1e-5)


def test_no_step_is_longer_than_the_limit():
    # from the cheapest, 0.1, the full step is (0.9, 0); a step (d, 0) has the root-mean-square length d sqrt(1 / 2)
    plans = samples(0.0, 0.0, 0.1, 0.0)
    made = best(plans, plans[..., 0, :] - 1.0, max_step=0.25 * math.sqrt(0.5))
    assert made == pytest.approx([0.35, 0.0], abs=1e-4)


def test_the_step_starts_at_the_cheapest_candidate():
    # a very strong damping leaves the cheapest candidate where it is
    plans = samples(0.0, 0.0, 0.1, 0.0, -0.1, 0.0)
    assert best(plans, plans[..., 0, :] - 1.0, damping=1e9) == pytest.approx([0.1, 0.0], abs=1e-6)


def test_candidates_that_fell_do_not_count():
    # the third candidate's deviation is not that of the line x - 1: with it the step would go elsewhere
    plans, deviations = samples(0.0, 0.0, 0.1, 0.0, 0.0, 0.1), torch.tensor([[[-1.0], [-0.9], [90.0]]])
    assert best(plans, deviations, outlier=4.0) == pytest.approx([1.0, 0.0], abs=1e-3)


def test_candidates_that_diverged_do_not_count():
    plans = samples(0.0, 0.0, 0.1, 0.0, 0.0, 0.1)
    deviations = torch.tensor([[[-1.0], [-0.9], [math.nan]]])
    cost = costs(deviations, torch.tensor([[True, True, False]]))
    made = best_combination(plans, deviations, cost, 1e-6, 1e9, 1e9)
    assert cost[0, 2] == math.inf
    assert made.flatten().tolist() == pytest.approx([1.0, 0.0], abs=1e-3)


def test_the_plan_stays_where_all_candidates_diverged():
    plans = samples(0.3, 0.2, 0.1, 0.0)
    deviations = torch.full((1, 2, 1), math.nan)
    made = best_combination(plans, deviations, torch.full((1, 2), math.inf), 0.05, 4.0, 0.1)
    assert made.flatten().tolist() == pytest.approx([0.3, 0.2])


def test_equal_candidates_leave_the_plan_as_it_is():
    plans = samples(0.3, 0.2, 0.3, 0.2)
    assert best(plans, torch.ones(1, 2, 3), damping=0.05) == pytest.approx([0.3, 0.2])


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


def tracking_cost(
    rollout: Rollout, ref: Reference, residuals: torch.Tensor, weights: CostConfig
) -> torch.Tensor:
    return costs(
        tracking_deviations(rollout, ref, residuals, KIN, weights),
        rollout.finite.reshape(residuals.shape[:2]),
    )


def test_perfect_tracking_costs_nothing():
    rollout, ref = still(3, 2)
    cost = tracking_cost(rollout, ref, torch.zeros(1, 3, 2, 28), CostConfig())
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
    cost = tracking_cost(rollout, ref, torch.zeros(1, 2, 2, 28), attrs.evolve(NOTHING, **{weight: 1.0}))
    assert cost[0].tolist() == pytest.approx([0.0, expected], abs=1e-4)


def test_residuals_cost_their_mean_square():
    rollout, ref = still(1, 2)
    residuals = torch.zeros(1, 1, 2, 28)
    residuals[0, 0, 0] = 0.3  # the first of two steps: 0.09 / 2
    cost = tracking_cost(rollout, ref, residuals, attrs.evolve(NOTHING, residual=1.0))
    assert cost.item() == pytest.approx(0.045)


def test_diverged_candidate_costs_infinitely_much():
    rollout, ref = still(2, 2)
    rollout.finite[0] = False
    rollout.root_pos[0] = math.nan
    cost = tracking_cost(rollout, ref, torch.zeros(1, 2, 2, 28), CostConfig())
    assert cost[0, 0] == math.inf and cost[0, 1] < 1e-5


def test_ladder_begins_with_the_settings_and_ends_with_the_most_expensive():
    config = MpcConfig(seed=5, samples=20, horizon=16)
    steps = ladder(config)
    assert steps[0] == config
    assert [s.seed for s in steps] == [5, 6, 7, 8]
    assert [(s.samples, s.horizon) for s in steps] == [(20, 16), (30, 16), (40, 20), (60, 24)]
    assert len(ladder(attrs.evolve(config, max_attempts=2))) == 2
