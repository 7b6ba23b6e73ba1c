"""What the first layer keeps between diffusion steps changes nothing."""

import attrs
import pytest
import torch

from parc_mdm.config import MdmConfig
from parc_mdm.first_layer import FirstLayer
from parc_mdm.model import MotionModel
from parc_mdm.transformer import Condition
from parc_motion.skeletons import load_skeleton

SKELETON = load_skeleton()
SAMPLES = 40  # with their copies more than are computed at a time, in float32


def model(precision: str) -> MotionModel:
    torch.manual_seed(0)
    made = MotionModel.of(MdmConfig.preset("small", precision=precision), SKELETON, "cpu")
    made.denoiser.eval()
    return made


def condition(made: MotionModel, has_history: bool) -> Condition:
    generator, yes = torch.Generator().manual_seed(1), torch.ones(SAMPLES, dtype=torch.bool)
    some = torch.arange(SAMPLES) % 3 > 0
    with torch.no_grad():
        tokens = made.denoiser.encode_heights(torch.randn(SAMPLES, 31, 31, generator=generator))
    return Condition(
        height_tokens=tokens,
        target=torch.randn(SAMPLES, 2, generator=generator),
        history=torch.randn(SAMPLES, 2, 91, generator=generator),
        history_clean=yes if has_history else ~yes,
        see_history=yes,
        see_target=some,
        see_heights=some.roll(1),
    )


def both(made: MotionModel, cond: Condition, copies: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Predictions of three steps with the first layer kept, and without."""
    generator = torch.Generator().manual_seed(2)
    keeping, found = attrs.evolve(cond, first=FirstLayer(copies)), []
    for step in (20, 9, 0):
        xt = torch.randn(SAMPLES, 15, 91, generator=generator).repeat(copies, 1, 1)
        t = torch.full((len(xt),), step)
        with torch.no_grad():
            found.append((made.denoiser(xt, t, keeping), made.denoiser(xt, t, cond)))
    return found


@pytest.mark.parametrize(("precision", "most"), [("float32", 1e-6), ("bfloat16", 0.01)])
def test_kept_first_layer_predicts_the_same_with_and_without_history(precision, most):
    made = model(precision)
    cond = condition(made, has_history=True)
    for kept, plain in both(made, Condition.cat([cond, cond.without_history()]), 2):
        # the products have other numbers of rows: sums may be in another order
        assert (kept - plain).norm() <= most * plain.norm()


@pytest.mark.parametrize("has_history", [True, False])
def test_kept_first_layer_predicts_the_same_without_copies(has_history):
    made = model("float32")
    for kept, plain in both(made, condition(made, has_history), 1):
        assert (kept - plain).norm() <= 1e-6 * plain.norm()


def test_kept_first_layer_follows_noised_history_that_is_seen():
    made = model("float32")
    cond = condition(made, has_history=False)
    for kept, plain in both(made, Condition.cat([cond, cond]), 2):
        assert (kept - plain).norm() <= 1e-6 * plain.norm()


def test_samples_in_groups_predict_what_they_predict_together():
    made = model("float32")
    cond, generator = condition(made, has_history=True), torch.Generator().manual_seed(2)
    xt, t = torch.randn(SAMPLES, 15, 91, generator=generator), torch.full((SAMPLES,), 5)
    together = made.denoiser(xt, t, cond).detach()  # gradients are wanted: no groups
    with torch.no_grad():
        assert (made.denoiser(xt, t, cond) - together).norm() <= 1e-6 * together.norm()
