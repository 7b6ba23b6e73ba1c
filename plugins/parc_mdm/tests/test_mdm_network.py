"""The denoiser: size, masks, and what it may not depend on."""

import attrs
import pytest
import torch
from torch import nn
from torch.nn import functional

from parc_core.interfaces import Condition
from parc_mdm.config import MdmConfig
from parc_mdm.encoder_layer import EncoderLayer
from parc_mdm.model import MotionModel
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


def layer(width: int = 64, heads: int = 2, feed_forward: int = 96, dropout: float = 0.0) -> EncoderLayer:
    torch.manual_seed(0)
    return EncoderLayer(width, heads, feed_forward, dropout)


def test_last_layer_gives_the_same_numbers_for_fewer_tokens():
    made, x, mask = layer(16, 2, 32), torch.randn(2, 7, 16), torch.ones(2, 7, dtype=torch.bool)
    torch.testing.assert_close(made(x, mask, 3), made(x, mask, 7)[:, -3:])


@pytest.mark.parametrize("num_queries", [37, 5])
def test_layer_is_the_encoder_layer_of_torch(num_queries):
    made = layer().eval()
    theirs = nn.TransformerEncoderLayer(64, 2, 96, activation="gelu", batch_first=True).eval()
    theirs.load_state_dict(
        {
            "self_attn.in_proj_weight": made.qkv.weight,
            "self_attn.in_proj_bias": made.qkv.bias,
            "self_attn.out_proj.weight": made.out.weight,
            "self_attn.out_proj.bias": made.out.bias,
            "linear1.weight": made.up.weight,
            "linear1.bias": made.up.bias,
            "linear2.weight": made.down.weight,
            "linear2.bias": made.down.bias,
            "norm1.weight": made.norm_attention.weight,
            "norm1.bias": made.norm_attention.bias,
            "norm2.weight": made.norm_feed_forward.weight,
            "norm2.bias": made.norm_feed_forward.bias,
        }
    )
    x = torch.randn(3, 37, 64, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(3, 37, dtype=torch.bool)
    mask[:, 5] = False
    expected = theirs(x, src_key_padding_mask=~mask)[:, -num_queries:]
    torch.testing.assert_close(made(x, mask, num_queries), expected, atol=1e-5, rtol=1e-5)


def test_bfloat16_layer_stays_within_two_percent_of_float32():
    made = layer()
    x, mask = (
        torch.randn(3, 37, 64, generator=torch.Generator().manual_seed(1)),
        torch.ones(3, 37, dtype=torch.bool),
    )
    exact, rough = made(x, mask, 37), made(x.bfloat16(), mask, 37)
    # eight bits: 0.4 % a rounding, about ten roundings one after the other
    assert (rough.float() - exact).norm() <= 0.02 * exact.norm()


def test_dropout_is_for_training_only():
    made, mask = layer(dropout=0.5), torch.ones(2, 9, dtype=torch.bool)
    x = torch.randn(2, 9, 64, generator=torch.Generator().manual_seed(3))
    made.eval()
    torch.testing.assert_close(made(x, mask, 9), made(x, mask, 9), atol=0.0, rtol=0.0)
    made.train()
    assert not torch.allclose(made(x, mask, 9), made(x, mask, 9))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("sees", [True, False], ids=["all", "nothing"])
def test_prepared_condition_predicts_the_same_in_every_step(precision, sees):
    made = MotionModel.of(MdmConfig.preset("small", precision=precision), SKELETON, "cpu")
    made.denoiser.eval()
    flags = dict.fromkeys(("see_history", "see_target", "see_heights"), torch.full((2,), sees))
    cond = condition(made, **flags)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        prepared = made.denoiser.prepare(cond)
        for step in (20, 9, 0):
            x, t = torch.randn(2, 15, 91, generator=generator), torch.full((2,), step)
            torch.testing.assert_close(
                made.denoiser(x, t, prepared), made.denoiser(x, t, cond), atol=0, rtol=0
            )


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
