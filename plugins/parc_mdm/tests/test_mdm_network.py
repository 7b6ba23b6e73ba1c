"""The denoiser: size, masks, and what it may not depend on."""

import attrs
import pytest
import torch
from parc_mdm.config import MdmConfig
from parc_mdm.model import MotionModel
from parc_mdm.transformer import Condition, EncoderLayer

from parc_core.kinematics.mjcf import load_skeleton

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


def test_last_layer_gives_the_same_numbers_for_fewer_tokens():
    torch.manual_seed(0)
    layer = EncoderLayer(16, 2, 32, 0.0).eval()
    x, bias = torch.randn(2, 7, 16), torch.zeros(2, 1, 1, 7)
    torch.testing.assert_close(layer(x, bias, 3), layer(x, bias, 7)[:, -3:])
