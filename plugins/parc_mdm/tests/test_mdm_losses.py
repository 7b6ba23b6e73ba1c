"""Loss terms on cases whose value is known."""

import attrs
import pytest
import torch

from parc_core.config import Use, load_settings
from parc_core.plugins import Registry
from parc_mdm.config import BUILT_IN_LOSSES, LossWeights, MdmConfig
from parc_mdm.features import FeatureLayout
from parc_mdm.losses import CollisionPoints, further_losses, loss_terms, total_loss
from parc_mdm.windows import Windows
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton

SKELETON = load_skeleton()
KIN = Kinematics(SKELETON)
LAYOUT = FeatureLayout.of(SKELETON)
ALL = LossWeights(collision=15.0, target=0.02)


def truth(patch_height: float = -5.0, frames: int = 4) -> Windows:
    """Two windows of random poses, walking along x at 0.1 m per frame."""
    generator = torch.Generator().manual_seed(0)
    dof = 0.3 * torch.randn(2, frames, SKELETON.num_dofs, generator=generator)
    root_rot = rot.expmap_to_quat(0.3 * torch.randn(2, frames, 3, generator=generator))
    root_pos = torch.zeros(2, frames, 3)
    root_pos[..., 0] = 0.1 * torch.arange(frames)
    joint_rot = KIN.dof_to_joint_rot(dof)
    body_pos, body_rot = KIN.forward(root_pos, root_rot, joint_rot)
    contacts = torch.rand(2, frames, SKELETON.num_bodies, generator=generator)
    return Windows(
        features=LAYOUT.pack(root_pos, rot.quat_to_expmap(root_rot), body_pos, dof, contacts),
        root_rot=root_rot,
        joint_rot=joint_rot,
        body_pos=body_pos,
        body_rot=body_rot,
        patch=torch.full((2, 31, 31), patch_height),
        target=torch.tensor([[1.0, 0.0], [-1.0, 0.0]]),
    )


def terms(predicted: torch.Tensor, windows: Windows, **options) -> dict[str, torch.Tensor]:
    collision = CollisionPoints.of(SKELETON)
    return loss_terms(predicted, windows, KIN, LAYOUT, ALL, collision=collision, **options)


@pytest.mark.parametrize("pseudo_huber", [False, True])
def test_losses_are_zero_on_the_truth(pseudo_huber):
    windows = truth()
    values = terms(windows.features, windows, pseudo_huber=pseudo_huber)
    del values["target"]
    assert set(values) == set(BUILT_IN_LOSSES) - {"target", "velocities"}
    # float32 rotations to exponential maps and back, times 30 per second, squared and summed
    assert max(float(value) for value in values.values()) < 1e-5


def test_lifting_everything_costs_positions_only():
    windows, lifted = truth(), truth().features.clone()
    lifted[..., 2] += 0.1
    lifted[..., 8:48:3] += 0.1
    values = terms(lifted, windows)
    # 4 frames: roots 4 * 0.01; the 14 bodies below 4 * 14 * 0.01; all 15 bodies 4 * 15 * 0.01
    assert float(values["root_pos"]) == pytest.approx(0.04, rel=1e-4)
    assert float(values["joint_pos"]) == pytest.approx(0.56, rel=1e-4)
    assert float(values["body_pos"]) == pytest.approx(0.60, rel=1e-4)
    assert max(float(values[name]) for name in ("consistency", "root_vel", "body_vel", "joint_rot")) < 1e-5


def test_turning_one_knee_costs_its_squared_angle():
    windows, bent = truth(), truth().features.clone()
    bent[:, 0, 48 + 17] += 0.2  # right knee, first frame only
    values = terms(bent, windows)
    assert float(values["joint_rot"]) == pytest.approx(0.04, rel=1e-3)
    # its speed differs by 0.2 * 30 rad/s between the first two frames: 36
    assert float(values["joint_ang_vel"]) == pytest.approx(36.0, rel=1e-3)


def test_pseudo_huber_by_hand():
    windows, moved = truth(), truth().features.clone()
    moved[:, 0, 0] += 0.04
    # sqrt(0.0016 + 0.0009) - 0.03 = 0.02 for the one coordinate that moved
    assert float(terms(moved, windows, pseudo_huber=True)["root_pos"]) == pytest.approx(0.02, rel=1e-4)


def test_target_loss_wants_displacement_along_the_target():
    # 0.3 m along the first window's target: -0.3 is cut to -0.1; 0.3 m against the second's: 0.3; mean 0.1
    assert float(terms(truth().features, truth())["target"]) == pytest.approx(0.1, rel=1e-5)


def test_collision_grows_with_the_depth():
    shallow, deep = (float(terms(truth().features, truth(patch_height=h))["collision"]) for h in (-0.6, 0.0))
    assert 0.0 < shallow < deep


def test_there_are_42_collision_points():
    assert len(CollisionPoints.of(SKELETON).points) == 42


def test_terms_of_weight_zero_are_not_computed():
    windows = truth()
    values = loss_terms(windows.features, windows, KIN, LAYOUT, LossWeights(body_vel=0.0))
    assert "body_vel" not in values and "collision" not in values and "target" not in values


def test_total_is_the_weighted_sum():
    # 1 * 2 + 0.5 * 3 = 3.5
    values = {"root_pos": torch.tensor(2.0), "joint_rot": torch.tensor(3.0)}
    assert float(total_loss(values, LossWeights())) == 3.5


def test_gradient_is_finite_on_the_truth():
    windows = truth()
    predicted = windows.features.clone().requires_grad_()
    total_loss(terms(predicted, windows), ALL).backward()
    assert torch.isfinite(predicted.grad).all()


def walking_into(height: float) -> tuple[torch.Tensor, Windows]:
    """Predictions that are a little off, over ground so high that feet and shins are inside."""
    windows = truth(patch_height=height)
    noise = torch.randn(windows.features.shape, generator=torch.Generator().manual_seed(3))
    return windows.features + 0.05 * noise, windows


@pytest.mark.parametrize("name", ["collision", "target"])
def test_term_falls_when_its_gradient_is_followed(name):
    predicted, windows = walking_into(-0.6)
    weights = attrs.evolve(LossWeights(**dict.fromkeys(BUILT_IN_LOSSES, 0.0)), **{name: 1.0})
    collision = CollisionPoints.of(SKELETON)
    values = []
    for _ in range(30):
        at = predicted.clone().requires_grad_()
        value = loss_terms(at, windows, KIN, LAYOUT, weights, collision=collision)[name]
        (slope,) = torch.autograd.grad(value, at)
        predicted = predicted - 0.02 * slope
        values.append(float(value.detach()))
    assert values[0] > 0.05 and values[-1] < 0.25 * values[0]


@pytest.mark.parametrize("name", [name for name in BUILT_IN_LOSSES if name != "velocities"])
def test_gradient_of_every_term_agrees_with_differences(name):
    predicted, windows = walking_into(-0.6)
    kin = Kinematics(SKELETON, dtype=torch.float64)
    exact = Windows(**{f.name: getattr(windows, f.name).double() for f in attrs.fields(Windows)})
    points = CollisionPoints.of(SKELETON)
    points = attrs.evolve(points, points=points.points.double())
    weights = LossWeights(**{**dict.fromkeys(BUILT_IN_LOSSES, 0.0), name: 1.0})

    def value(features: torch.Tensor) -> torch.Tensor:
        return loss_terms(features, exact, kin, LAYOUT, weights, collision=points)[name]

    at = predicted.double().requires_grad_()
    (slope,) = torch.autograd.grad(value(at), at)
    places = slope.abs().flatten().topk(5).indices  # where there is something to agree on
    assert slope.flatten()[places[0]].abs() > 1e-3
    for place in places:
        step = torch.zeros_like(slope)
        step.view(-1)[place] = 1e-6
        with torch.no_grad():
            difference = (value(at + step) - value(at - step)) / 2e-6
        assert float(slope.flatten()[place]) == pytest.approx(float(difference), rel=1e-4, abs=1e-6)


def test_predicted_velocities_are_compared_where_they_are_features():
    layout = FeatureLayout.of(SKELETON, velocities=True)
    windows = truth()
    pos, root, _, joints, contacts = LAYOUT.split(windows.features)
    windows = attrs.evolve(windows, features=layout.pack(pos, root, windows.body_pos, joints, contacts))
    wrong = windows.features.clone()
    wrong[:, 0, 48] += 0.5  # first velocity, after 6 numbers of the root and 42 of positions
    values = loss_terms(wrong, windows, KIN, layout, LossWeights())
    assert float(values["velocities"]) == pytest.approx(0.25, rel=1e-4)


def test_further_loss_sees_both_windows_and_counts_with_its_weight(tmp_path):
    file = tmp_path / "my_losses.py"
    file.write_text(
        "def height(batch, *, scale: float = 1.0):\n"
        "    off = batch.predicted.body_pos[..., 2] - batch.truth.body_pos[..., 2]\n"
        "    return scale * off.square().mean()\n"
        "def unused(batch):\n"
        "    raise AssertionError('a loss of weight 0 is not computed')\n"
    )
    mine, none = f"{{use: '{file}:height', weight: 3.0, scale: 2.0}}", f"{{use: '{file}:unused', weight: 0}}"
    text = f"terms: {{mine: {mine}, none: {none}}}"
    weights, _ = load_settings(text, "test", LossWeights, Registry.discover())
    windows, lifted = truth(), truth().features.clone()
    lifted[..., 2] += 0.1
    further = further_losses(weights, SKELETON, "cpu")
    values = loss_terms(lifted, windows, KIN, LAYOUT, weights, further=further)
    # 2 * 0.1^2, of every body; the positions are float32
    assert float(values["mine"]) == pytest.approx(0.02, rel=1e-3) and "none" not in values
    without = {name: value for name, value in values.items() if name != "mine"}
    expected = total_loss(without, weights) + 3.0 * values["mine"]
    assert float(total_loss(values, weights)) == pytest.approx(float(expected), rel=1e-6)


def test_name_of_a_built_in_loss_is_refused():
    with pytest.raises(ValueError, match=r"losses\.terms\.root_pos: the name is that of a built-in loss"):
        MdmConfig(losses=LossWeights(terms={"root_pos": Use("x", weight=1.0)}))
