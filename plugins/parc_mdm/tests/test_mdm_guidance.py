"""Guidance on built windows: bodies leave the ground, the root comes nearer, the history stays."""

import attrs
import pytest
import torch

from parc_core.interfaces import Condition
from parc_mdm.config import MdmConfig
from parc_mdm.features import NUM_HISTORY
from parc_mdm.guidance import Guidance
from parc_mdm.losses import ground_depth
from parc_mdm.model import MotionModel
from parc_mdm.sampler import join, sample_windows
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import load_skeleton

SKELETON = load_skeleton()
FLAT = torch.zeros(2, 31, 31)
AIM = torch.tensor([[0.6, 0.3], [-0.2, 0.7]])


class Echo(torch.nn.Module):
    """Says four fifths of what it is given: a denoiser whose gradient is known."""

    num_frames = 15

    def encode_heights(self, patch):
        return torch.zeros(len(patch), 1, 1)

    def prepare(self, cond):
        return cond

    def forward(self, xt, t, cond):
        return 0.8 * xt


def model(**override) -> MotionModel:
    """A network with fixed random weights; roots around the anchor, everything moves by 0.3 m or rad."""
    torch.manual_seed(0)
    made = MotionModel.of(MdmConfig.preset("tiny", **override), SKELETON, "cpu")
    made.std.fill_(0.3)
    return made


def ground(height: float) -> torch.Tensor:
    return FLAT + height


def sampled(made: MotionModel, patch: torch.Tensor, history: torch.Tensor | None = None) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(2, 15, made.layout.width, generator=generator)
    target = torch.nn.functional.normalize(AIM, dim=-1)
    return sample_windows(made, noise, patch, target, history, generator, AIM)


def depth(made: MotionModel, window: torch.Tensor, patch: torch.Tensor) -> float:
    """Mean depth of the deepest point of each new frame, m."""
    guide = Guidance.of(
        attrs.evolve(made, config=attrs.evolve(made.config, penetration_guidance=1.0)), patch, None
    )
    pos, root, _, joints, _ = made.layout.split(window[:, NUM_HISTORY:])
    body = made.kin.forward(pos, made.layout.root_rot(root), made.layout.joint_rot(made.kin, joints))
    return float(ground_depth(guide.points.posed(*body), patch).amax(dim=-1).mean())


def away(window: torch.Tensor) -> float:
    """Mean distance of the last roots to where they should go, m."""
    return float((window[:, -1, :2] - AIM).norm(dim=-1).mean())


@pytest.fixture(params=["sample", "prediction"])
def gradient(request):
    return request.param


def build(gradient: str, **override) -> MotionModel:
    made = model(guidance_gradient=gradient, use_cfg=False, **override)
    # through a network that was never trained a gradient says little; through one that echoes, all
    return attrs.evolve(made, denoiser=Echo()) if gradient == "sample" else made


def test_bodies_are_lifted_out_of_the_ground(gradient):
    patch = ground(-0.5)  # feet reach 0.9 m below the root
    before = depth(build(gradient), sampled(build(gradient), patch), patch)
    made = build(gradient, penetration_guidance=0.5)
    assert before > 0.2
    assert depth(made, sampled(made, patch), patch) < 0.5 * before


def test_root_comes_nearer_to_its_aim(gradient):
    patch = ground(-3.0)
    before = away(sampled(build(gradient), patch))
    assert away(sampled(build(gradient, target_guidance=0.5), patch)) < 0.6 * before


def test_both_at_once(gradient):
    patch = ground(-0.5)
    plain, made = build(gradient), build(gradient, penetration_guidance=0.5, target_guidance=0.3)
    before, after = sampled(plain, patch), sampled(made, patch)
    assert depth(made, after, patch) < depth(plain, before, patch) and away(after) < away(before)


def test_history_is_exactly_the_given_one(gradient):
    made = build(gradient, penetration_guidance=1.0, target_guidance=1.0)
    history = sampled(build(gradient), ground(-3.0))[:, :NUM_HISTORY]
    window = join(made.layout, sampled(made, ground(-0.5), history), history, 5)
    assert torch.equal(window[:, :NUM_HISTORY], history)


@pytest.mark.parametrize("use_ddim", [True, False], ids=["ddim", "ddpm"])
def test_guidance_works_with_both_samplers_and_with_the_blend(use_ddim):
    patch, history = ground(-0.5), torch.zeros(2, NUM_HISTORY, 91)
    options = {"guidance_gradient": "prediction", "use_cfg": True, "cfg_scale": 0.65, "use_ddim": use_ddim}
    plain, made = model(**options), model(**options, penetration_guidance=0.5)
    before = depth(plain, sampled(plain, patch, history), patch)
    assert depth(made, sampled(made, patch, history), patch) < 0.7 * before


def test_without_weights_there_is_no_guidance():
    assert Guidance.of(model(), FLAT, AIM) is None
    assert Guidance.of(model(target_guidance=1.0), FLAT, None) is None


def test_gradient_of_the_cost_agrees_with_differences():
    made = model(penetration_guidance=0.7, target_guidance=0.4)
    made = attrs.evolve(
        made, kin=Kinematics(SKELETON, dtype=torch.float64), mean=made.mean.double(), std=made.std.double()
    )
    guide = Guidance.of(made, ground(-0.6).double(), AIM.double())
    guide = attrs.evolve(guide, points=attrs.evolve(guide.points, points=guide.points.points.double()))
    generator = torch.Generator().manual_seed(4)
    x0 = 0.5 * torch.randn(2, 15, 91, generator=generator, dtype=torch.float64)
    at = x0.clone().requires_grad_()
    (slope,) = torch.autograd.grad(guide.cost(at).sum(), at)
    for place in [(0, 5, 2), (1, 9, 0), (0, 14, 1), (1, 7, 4), (0, 6, 48 + 17)]:
        step = torch.zeros_like(x0)
        step[place] = 1e-6
        difference = (guide.cost(x0 + step) - guide.cost(x0 - step)).sum() / 2e-6
        assert float(slope[place]) == pytest.approx(float(difference), rel=1e-4, abs=1e-6), place


def test_samples_are_guided_one_by_one():
    made = model(penetration_guidance=0.5, guidance_gradient="prediction")
    patch = torch.stack([FLAT[0] - 0.5, FLAT[0] - 3.0])
    plain = sampled(model(), patch)
    torch.testing.assert_close(sampled(made, patch)[1], plain[1])
    assert not torch.equal(sampled(made, patch)[0], plain[0])


def test_step_at_the_sample_is_the_gradient_through_the_network():
    made = model(penetration_guidance=0.7, target_guidance=0.4, width=32)
    made.denoiser.eval()
    guide, seen = Guidance.of(made, ground(-0.5), AIM), torch.ones(2, dtype=torch.bool)
    cond = Condition(
        height_tokens=made.denoiser.encode_heights(ground(-0.5)).detach(),
        target=AIM,
        history=torch.zeros(2, NUM_HISTORY, 91),
        **dict.fromkeys(("history_clean", "see_history", "see_target", "see_heights"), seen),
    )
    steps = torch.full((2,), 2)

    def predict(xt):
        return made.denoiser(xt, steps, cond)

    xt = torch.randn(2, 15, 91, generator=torch.Generator().manual_seed(5))
    start = predict(
        xt.clone().requires_grad_()
    ).detach()  # with a gradient, as `steer`: sums in the same order
    with torch.no_grad():
        step = start - guide.steer(xt, predict)
        along = step / step.norm()
        cost = [float(guide.cost(predict(xt + h * along)).sum()) for h in (0.05, -0.05)]
    # float32, and a cost that is not quite a parabola
    assert float(step.norm()) == pytest.approx((cost[0] - cost[1]) / 0.1, rel=0.05)
    assert torch.all(step[:, :NUM_HISTORY] == 0.0)
