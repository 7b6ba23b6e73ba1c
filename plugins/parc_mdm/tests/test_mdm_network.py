"""The denoiser: size, masks, and what it may not depend on."""

import attrs
import pytest
import torch
from torch.nn import functional

from parc_mdm.config import MdmConfig
from parc_mdm.encoder_layer import EncoderLayer
from parc_mdm.fused import Dropout, Seeds
from parc_mdm.model import MotionModel
from parc_mdm.transformer import Condition
from parc_motion.skeletons import load_skeleton

SKELETON = load_skeleton()


def model(preset: str) -> MotionModel:
    torch.manual_seed(0)
    made = MotionModel.of(MdmConfig.preset(preset), SKELETON, "cpu")
    made.denoiser.eval()
    return made


def condition(made: MotionModel, count: int = 2, **override) -> Condition:
    yes = torch.ones(count, dtype=torch.bool)
    generator = torch.Generator().manual_seed(1)
    fields = {
        "height_tokens": made.denoiser.encode_heights(torch.randn(count, 31, 31, generator=generator)),
        "target": torch.tensor([[1.0, 0.0]]).expand(count, 2),
        "history": torch.randn(count, 2, 91, generator=generator),
        "history_clean": yes,
        "see_history": yes,
        "see_target": yes,
        "see_heights": yes,
    }
    return Condition(**{**fields, **override})


@pytest.mark.parametrize(("preset", "count"), [("paper", 2_177_307), ("small", 550_107)])
def test_number_of_parameters(preset, count):
    assert sum(p.numel() for p in model(preset).denoiser.parameters()) == count


def test_paper_has_64_height_tokens():
    assert model("paper").denoiser.num_heights == 64


@pytest.mark.parametrize("part", ["see_history", "see_target", "see_heights"])
def test_hidden_condition_changes_nothing(part):
    made = model("tiny")
    no = torch.zeros(2, dtype=torch.bool)
    generator = torch.Generator().manual_seed(2)
    x, t = torch.randn(2, 15, 91, generator=generator), torch.tensor([0, 3])
    first = condition(made, **{part: no})
    field = {"see_history": "history", "see_target": "target", "see_heights": "height_tokens"}[part]
    second = attrs.evolve(first, **{field: torch.randn(getattr(first, field).shape, generator=generator)})
    torch.testing.assert_close(made.denoiser(x, t, first)[:, 2:], made.denoiser(x, t, second)[:, 2:])


@pytest.mark.parametrize("field", ["history", "target", "height_tokens"])
def test_seen_condition_matters(field):
    made = model("tiny")
    x, t = torch.randn(2, 15, 91, generator=torch.Generator().manual_seed(2)), torch.tensor([0, 3])
    first = condition(made)
    second = attrs.evolve(first, **{field: getattr(first, field) + 1.0})
    assert not torch.allclose(made.denoiser(x, t, first), made.denoiser(x, t, second), atol=1e-4)


def test_clean_history_replaces_the_noised_frames():
    made = model("tiny")
    generator = torch.Generator().manual_seed(2)
    x, t, cond = torch.randn(2, 15, 91, generator=generator), torch.tensor([0, 3]), condition(made)
    other = x.clone()
    other[:, :2] = torch.randn(2, 2, 91, generator=generator)
    torch.testing.assert_close(made.denoiser(x, t, cond), made.denoiser(other, t, cond))


def layer(width: int = 64, heads: int = 2, feed_forward: int = 96) -> EncoderLayer:
    torch.manual_seed(0)
    return EncoderLayer(width, heads, feed_forward)


def test_last_layer_gives_the_same_numbers_for_fewer_tokens():
    made, x, visible = layer(16, 2, 32), torch.randn(2, 7, 16), torch.ones(2, 7, dtype=torch.bool)
    some, every = made(x, visible, 3, Seeds(0.0)), made(x, visible, 7, Seeds(0.0))
    torch.testing.assert_close(some, every[:, -3:])


def run_layer(made: EncoderLayer, fast: bool, dtype: torch.dtype, num_queries: int) -> list[torch.Tensor]:
    """Result, gradient of the tokens, and gradients of the parameters; one key of every sample is hidden."""
    generator = torch.Generator().manual_seed(1)
    width = made.out.in_features
    x = torch.randn(3, 37, width, generator=generator).to(dtype).detach().requires_grad_()
    visible = torch.ones(3, 37, dtype=torch.bool)
    visible[:, 5] = False
    made.zero_grad()
    # plus nothing: the layer's input is no leaf, as in the network
    out = (
        made(x + 0.0, visible, num_queries, Seeds(0.0))
        if fast
        else made.plain(x + 0.0, visible, num_queries, 0.0)
    )
    out.backward(torch.randn(out.shape, generator=generator).to(dtype))
    return [out.detach(), x.grad, *[p.grad.clone() for p in made.parameters()]]


# heads of 32, 15 and 3 numbers: kernels take 16 at a time, and of bfloat16 two together
SIZES = pytest.mark.parametrize(("width", "heads"), [(64, 2), (60, 4), (60, 20)])


@SIZES
@pytest.mark.parametrize("num_queries", [37, 5])
def test_compiled_layer_computes_what_torch_computes(num_queries, width, heads):
    made = layer(width, heads)
    fast = run_layer(made, True, torch.float32, num_queries)
    for a, b in zip(fast, run_layer(made, False, torch.float32, num_queries)):
        # float32 sums of up to 111 x 96 terms in another order
        assert (a - b).norm() <= 1e-5 * b.norm()


@SIZES
@pytest.mark.parametrize("num_queries", [37, 5])
def test_bfloat16_layer_stays_within_two_percent_of_float32(num_queries, width, heads):
    made = layer(width, heads)
    fast = run_layer(made, True, torch.bfloat16, num_queries)
    for a, b in zip(fast, run_layer(made, False, torch.float32, num_queries)):
        # eight bits: 0.4 % a rounding, about ten roundings one after the other
        assert (a.float() - b).norm() <= 0.02 * b.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("num_queries", [5, 9])
def test_packed_weights_give_the_same_numbers(num_queries, dtype):
    made, generator = layer(), torch.Generator().manual_seed(3)
    x, visible = torch.randn(4, 9, 64, generator=generator).to(dtype), torch.ones(4, 9, dtype=torch.bool)
    with torch.no_grad():
        expected = made(x, visible, num_queries, Seeds(0.0)).float()
        found = made(
            x, visible, num_queries, Seeds(0.0), packed=made.pack(dtype, 4 * 9, num_queries, 9)
        ).float()
    assert (found - expected).norm() <= (1e-6 if dtype == torch.float32 else 1e-2) * expected.norm()


def test_dropout_draws_the_same_bits_in_both_directions():
    # d/dx of x * mask / (1 - rate) is the mask: grad 1 gives what x = 1 gives
    x = torch.ones(400, 100, requires_grad=True)
    out = Dropout.apply(x, 0.25, 123)
    out.sum().backward()
    assert x.grad.equal(out.detach())
    assert out.unique().tolist() == pytest.approx([0.0, 4 / 3])
    # 40,000 draws: the share's standard deviation is 0.0022
    assert float((out == 0.0).float().mean()) == pytest.approx(0.25, abs=0.01)


def test_gradient_with_dropout_is_the_slope_of_the_result():
    made, generator = layer(), torch.Generator().manual_seed(3)
    x, way = (torch.randn(2, 9, 64, generator=generator) for _ in range(2))
    visible = torch.ones(2, 9, dtype=torch.bool)

    def value(start: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(7)
        return made(start, visible, 9, Seeds(0.3)).square()[..., ::3].sum()

    x.requires_grad_()
    value(x).backward()
    step = 1e-2
    with torch.no_grad():
        slope = (value(x + step * way) - value(x - step * way)) / (2.0 * step)
    # float32 differences over a step of 0.01
    assert float((x.grad * way).sum()) == pytest.approx(float(slope), rel=2e-2)


def test_height_tokens_are_those_of_a_linear_layer_on_squares_of_features():
    made = model("paper").denoiser
    patch = torch.randn(2, 31, 31, generator=torch.Generator().manual_seed(2))
    features = made.height_cnn(patch.clamp(-3.0, 3.0)[:, None] / made.height_scale)
    squares = functional.unfold(features, made.height_unfold, stride=made.height_unfold)
    expected = made.height_out(squares.transpose(1, 2))
    torch.testing.assert_close(made.encode_heights(patch), expected, atol=1e-5, rtol=1e-5)


def test_bfloat16_prediction_stays_near_float32():
    exact = model("small")
    rough = MotionModel.of(MdmConfig.preset("small", precision="bfloat16"), SKELETON, "cpu")
    rough.denoiser.load_state_dict(exact.denoiser.state_dict())
    rough.denoiser.eval()
    x, t = torch.randn(2, 15, 91, generator=torch.Generator().manual_seed(2)), torch.tensor([0, 3])
    with torch.no_grad():
        a, b = exact.denoiser(x, t, condition(exact)), rough.denoiser(x, t, condition(rough))
    # 0.4 % a rounding through three layers
    assert (a - b).norm() <= 0.03 * a.norm()
