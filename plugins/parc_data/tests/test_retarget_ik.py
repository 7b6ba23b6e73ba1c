"""Retargeting by inverse kinematics on hand-made figures: poses come back, limits hold, feet stay."""

from __future__ import annotations

import json
import math
import re

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from parc_data.retarget import RetargetOptions, retarget
from parc_data.retarget.body_tree import BodyTree
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import load_skeleton, parse_skeleton
from parc_motion.terrains import Terrain

HUMANOID = load_skeleton("humanoid")
KINEMATICS = Kinematics(HUMANOID, dtype=torch.float64)
FOREIGN = {
    "pelvis": "Hips", "torso": "Spine", "head": "Head", "right_upper_arm": "RightArm",
    "right_lower_arm": "RightForeArm", "right_hand": "RightHand", "left_upper_arm": "LeftArm",
    "left_lower_arm": "LeftForeArm", "left_hand": "LeftHand",
    "right_thigh": "RightUpLeg", "right_shin": "RightLeg", "right_foot": "RightFoot", "left_thigh": "LeftUpLeg",
    "left_shin": "LeftLeg", "left_foot": "LeftFoot",
}  # fmt: skip
KNEES, ELBOWS = (17, 24), (9, 13)
SIZE = 1.2  # of the source against the humanoid


def movement(frames: int = 40, seed: int = 0, share: float = 0.6) -> np.ndarray:
    """Fast smooth movement inside the limits, [T, D] rad: nothing of it looks like standing."""
    rng = np.random.default_rng(seed)
    middle = 0.5 * (HUMANOID.dof_lower + HUMANOID.dof_upper)
    half = 0.5 * (HUMANOID.dof_upper - HUMANOID.dof_lower)
    phase = 2 * np.pi * rng.random(HUMANOID.num_dofs)
    t = np.arange(frames)[:, None] / 30.0
    return middle + share * half * np.sin(2 * np.pi * 0.8 * t + phase)


def figure(
    dof: np.ndarray, root_pos: np.ndarray | None = None, size: float = SIZE, **changes
) -> SourceMotion:
    """A larger humanoid with the names of another rig and toes, moved by the humanoid's own coordinates."""
    joint = KINEMATICS.dof_to_joint_rot(torch.tensor(dof, dtype=torch.float64)).numpy()
    frames = len(dof)
    names = [*(FOREIGN[name] for name in HUMANOID.body_names), "RightToeBase", "LeftToeBase"]
    feet = [HUMANOID.body_id("right_foot"), HUMANOID.body_id("left_foot")]
    local = np.zeros((frames, len(names), 4))
    local[..., 3] = 1.0
    local[:, 1 : HUMANOID.num_bodies] = joint
    if root_pos is None:
        root_pos = np.stack([0.05 * np.arange(frames), np.zeros(frames), np.full(frames, 3.0)], axis=1)
    fields = {
        "name": "figure", "format": "test", "fps": 30.0, "body_names": names, "parents": [*HUMANOID.parents, *feet],
        "root_pos": root_pos, "local_rot": local,
        "offsets": size * np.concatenate([HUMANOID.offsets, [[0.12, 0, -0.03]] * 2]),
    }  # fmt: skip
    return SourceMotion(**{**fields, **changes})


def standing(frames: int = 30, drift: float = 0.0, size: float = SIZE, height: float = 0.0) -> SourceMotion:
    """The figure on both feet, gliding to and fro by `drift` m as badly solved captures do."""
    dof = np.zeros((frames, HUMANOID.num_dofs))
    for hip, knee, ankle in ((15, 17, 19), (22, 24, 26)):
        dof[:, hip], dof[:, knee], dof[:, ankle] = -0.3, 0.6, -0.3
    hip_to_sole = (0.421546 + 0.40987) * math.cos(0.3) + 0.05
    sway = drift * np.sin(2 * np.pi * np.arange(frames) / frames)
    pos = np.stack([sway, np.zeros(frames), np.full(frames, height + size * hip_to_sole)], axis=1)
    return figure(dof, root_pos=pos, size=size)


def bodies(found) -> np.ndarray:
    arrays = (torch.tensor(a) for a in (found.root_pos, found.root_rot, found.joint_rot))
    return KINEMATICS.forward(*arrays)[0].numpy()


def dof_of(found) -> np.ndarray:
    return KINEMATICS.joint_rot_to_dof(torch.tensor(found.joint_rot)).numpy()


def test_scaled_figure_gives_back_the_pose_that_moved_it():
    dof = movement()
    found = retarget(figure(dof), HUMANOID, RetargetOptions(ground=-5.0))
    wanted = figure(dof, size=1.0).body_pos[:, : HUMANOID.num_bodies]
    here = bodies(found)
    assert found.report.method == "ik"
    assert found.report.scale == pytest.approx(1 / SIZE, abs=1e-6)
    error = np.linalg.norm((here - here[:, :1]) - (wanted - wanted[:, :1]), axis=-1)
    assert error.mean() < 0.001 and error.max() < 0.03  # smoothing over time takes off a little


def test_path_of_the_hips_is_scaled_by_leg_length():
    found = retarget(figure(movement()), HUMANOID, RetargetOptions(ground=-5.0))
    # the source's hips move 0.05 m a frame
    assert np.diff(found.root_pos[:, 0]).mean() == pytest.approx(0.05 / SIZE, abs=1e-3)


def test_positions_alone_give_hands_feet_and_head_too():
    source = figure(movement())
    marks = attrs.evolve(source, local_rot=None, offsets=None, marker_pos=source.body_pos)
    found = retarget(marks, HUMANOID, RetargetOptions(ground=-5.0))
    assert found.report.notes["frames_from"] == "positions"
    assert found.report.key_body_error.mean < 0.01
    assert found.report.max_joint_limit_rad == 0.0


def test_rest_pose_that_lies_down_changes_nothing():
    source = figure(movement(frames=20))
    turn = Rotation.from_euler("y", 90, degrees=True)
    lying = attrs.evolve(
        source,
        offsets=turn.inv().apply(np.array(source.offsets)),
        local_rot=np.stack(
            [
                (
                    (Rotation.identity() if b == 0 else turn.inv())
                    * Rotation.from_quat(source.local_rot[:, b])
                    * turn
                ).as_quat()
                for b in range(len(source.body_names))
            ],
            axis=1,
        ),
    )
    assert np.abs(lying.body_pos - source.body_pos).max() < 1e-9
    same, other = (bodies(retarget(m, HUMANOID, RetargetOptions(ground=-5.0))) for m in (source, lying))
    assert np.abs(same - other).max() < 1e-6


def test_rest_pose_that_is_no_human_is_not_believed():
    source = figure(movement(frames=20))
    turns = Rotation.random(len(source.body_names), rng=np.random.default_rng(1))
    before = [Rotation.identity() if p < 0 else turns[p] for p in source.parents]
    odd = attrs.evolve(
        source,
        offsets=np.stack([before[b].inv().apply(np.array(source.offsets[b])) for b in range(len(before))]),
        local_rot=np.stack(
            [
                (before[b].inv() * Rotation.from_quat(source.local_rot[:, b]) * turns[b]).as_quat()
                for b in range(len(before))
            ],
            axis=1,
        ),
    )
    found = retarget(odd, HUMANOID, RetargetOptions(ground=-5.0))
    assert found.report.notes["frames_from"] == "positions"
    assert found.report.key_body_error.mean < 0.01


def test_turned_and_moved_source_gives_the_turned_and_moved_result():
    source = figure(movement(frames=20))
    yaw, shift = Rotation.from_euler("z", 1.1), np.array([3.0, -2.0, 0.0])
    local = np.array(source.local_rot)
    local[:, 0] = (yaw * Rotation.from_quat(local[:, 0])).as_quat()
    turned = attrs.evolve(source, local_rot=local, root_pos=yaw.apply(np.array(source.root_pos)) + shift)
    a, b = (bodies(retarget(m, HUMANOID, RetargetOptions(ground=-5.0))) for m in (source, turned))
    moved = yaw.apply((a - source.root_pos[0]).reshape(-1, 3)).reshape(a.shape) + turned.root_pos[0]
    assert np.abs(moved - b).max() < 1e-4


def test_knee_that_bends_the_wrong_way_is_straightened():
    dof = np.zeros((12, HUMANOID.num_dofs))
    dof[:, KNEES[0]] = -0.4
    found = retarget(figure(dof), HUMANOID, RetargetOptions(ground=-5.0))
    assert found.report.max_joint_limit_rad == 0.0
    assert dof_of(found)[:, KNEES[0]].max() < 0.2


def test_bent_limbs_bend_to_their_own_side():
    dof = np.zeros((12, HUMANOID.num_dofs))
    dof[:, KNEES], dof[:, ELBOWS[0]], dof[:, ELBOWS[1]] = 1.0, 1.0, -1.0
    found = dof_of(retarget(figure(dof), HUMANOID, RetargetOptions(ground=-5.0)))
    assert np.abs(found[:, [*KNEES, *ELBOWS]] - [1.0, 1.0, 1.0, -1.0]).max() < 0.02


def test_creeping_feet_stand_still_on_the_ground():
    source = standing(drift=0.02)
    source_step = np.abs(np.diff(source.body_pos[:, source.body_id("LeftFoot"), 0])).max()
    found = retarget(source, HUMANOID)
    feet = bodies(found)[:, [HUMANOID.body_id("left_foot"), HUMANOID.body_id("right_foot")]]
    assert source_step > 0.004
    assert found.held[:, HUMANOID.body_id("left_foot")].all()
    assert found.report.foot_slide.max < 1e-3
    assert found.ground == 0.0
    assert np.abs(feet[..., 2] - 0.05).max() < 0.003  # the humanoid's ankle is 5 cm above its sole


def test_feet_that_the_rest_pose_slants_are_leveled_where_they_stand():
    # the toes of the rest pose are 20 degrees too low, so everything turned from it points the feet down
    source = standing()
    local = np.array(source.local_rot)
    slant = Rotation.from_euler("y", 20, degrees=True)
    for side in ("Left", "Right"):
        foot = source.body_id(f"{side}Foot")
        local[:, foot] = (Rotation.from_quat(local[:, foot]) * slant).as_quat()
    offsets = np.array(source.offsets)
    toes = [source.body_id("LeftToeBase"), source.body_id("RightToeBase")]
    offsets[toes] = slant.inv().apply(offsets[toes])
    found = retarget(attrs.evolve(source, local_rot=local, offsets=offsets), HUMANOID)
    arrays = (torch.tensor(a) for a in (found.root_pos, found.root_rot, found.joint_rot))
    feet = KINEMATICS.forward(*arrays)[1][:, HUMANOID.body_id("left_foot")]
    up = Rotation.from_quat(feet.numpy()).apply([0.0, 0.0, 1.0])
    assert np.degrees(np.arccos(up[:, 2])).max() < 1.0


def test_on_a_terrain_feet_keep_their_places_and_nothing_is_scaled():
    height = np.zeros((8, 8))
    height[2:6, 2:6] = 0.5  # a block of 1.6 m around the origin
    terrain = Terrain(height=height, origin_xy=(-1.4, -1.4), cell=0.4)
    source = attrs.evolve(standing(height=0.5), terrain=terrain)
    found = retarget(source, HUMANOID)
    assert found.report.scale == 1.0 and found.ground is None
    for side in ("Left", "Right"):
        foot = bodies(found)[:, HUMANOID.body_id(f"{side.lower()}_foot")]
        place = source.body_pos[:, source.body_id(f"{side}Foot")]
        assert np.abs(foot[:, :2] - place[:, :2]).max() < 0.01
        assert np.abs(foot[:, 2] - 0.55).max() < 0.01
    assert found.report.max_penetration_m < 0.01


@given(frames=st.integers(1, 6), seed=st.integers(0, 10_000), share=st.floats(0.0, 1.3))
@settings(max_examples=12, deadline=None)
def test_no_motion_leaves_the_limits_or_unit_length(frames: int, seed: int, share: float):
    found = retarget(figure(movement(frames, seed, share)), HUMANOID)
    assert found.report.max_joint_limit_rad == 0.0
    for q in (found.root_rot, found.joint_rot):
        assert np.abs(np.linalg.norm(q, axis=-1) - 1.0).max() < 1e-9


@given(
    frames=st.integers(1, 5), seed=st.integers(0, 10_000), size=st.floats(1e-3, 1e3), equal=st.integers(0, 3)
)
@settings(max_examples=15, deadline=None)
def test_nonsense_positions_give_a_motion_inside_limits_or_a_clear_error(frames, seed, size, equal):
    rng = np.random.default_rng(seed)
    source = figure(movement(frames))
    pos = size * rng.normal(size=(frames, len(source.body_names), 3))
    pos[:, rng.integers(0, len(source.body_names), equal)] = pos[:, :1]
    try:
        found = retarget(attrs.evolve(source, local_rot=None, offsets=None, marker_pos=pos), HUMANOID)
    except DataError as err:
        assert str(err).startswith("motion 'figure': ")
        return
    assert np.isfinite(found.root_pos).all() and found.report.max_joint_limit_rad == 0.0


def test_derivatives_are_those_of_the_kinematics():
    tree, rng = BodyTree(HUMANOID), np.random.default_rng(3)
    x = torch.tensor(np.concatenate([rng.normal(size=(1, 6)), movement(1, seed=5)], axis=1))
    root_pos, root_rot = torch.zeros(1, 3, dtype=torch.float64), torch.eye(4, dtype=torch.float64)[3:]
    body, local = torch.tensor([5, 2, 11]), torch.tensor(rng.normal(size=(3, 3)))

    def points(values: torch.Tensor) -> torch.Tensor:
        return tree.points(tree.forward(values, root_pos, root_rot), body, local)

    numeric = torch.autograd.functional.jacobian(points, x)[0, :, :, 0]  # [3, 3, N]
    posed = tree.forward(x, root_pos, root_rot)
    place = tree.points(posed, body, local)
    assert torch.allclose(tree.point_jacobian(posed, body, place)[0], numeric, atol=1e-10)
    along = torch.tensor(rng.normal(size=(3, 3)))
    row = tree.push_jacobian(posed, torch.zeros(3, dtype=torch.long), body, place[0], along)
    assert torch.allclose(row, (along[:, :, None] * numeric).sum(dim=1), atol=1e-10)


def test_long_motion_is_continuous_where_windows_meet(monkeypatch):
    dof = movement(frames=60)
    whole = bodies(retarget(figure(dof), HUMANOID, RetargetOptions(ground=-5.0)))
    monkeypatch.setattr("parc_data.retarget.solver._WINDOW", 20)
    monkeypatch.setattr("parc_data.retarget.solver._AHEAD", 8)
    parts = bodies(retarget(figure(dof), HUMANOID, RetargetOptions(ground=-5.0)))
    assert np.abs(whole - parts).max() < 2e-3


def test_skeleton_with_two_bodies_moves_the_root_and_says_so():
    frames = 5
    toy = SourceMotion(
        name="toy", format="test", fps=30.0, body_names=("Hips", "Head"), parents=(-1, 0),
        root_pos=np.tile([0.0, 0.0, 1.0], (frames, 1)) + np.arange(frames)[:, None] * [0.1, 0.0, 0.0],
        offsets=[[0, 0, 0], [0, 0, 0.6]], local_rot=np.tile([0.0, 0.0, 0.0, 1.0], (frames, 2, 1)),
    )  # fmt: skip
    found = retarget(toy, HUMANOID)
    assert found.report.method == "partial"
    assert found.root_pos[:, 0] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert "(Hips, Head) is not human" in found.report.sentence and "left_knee" in found.report.sentence


def test_rig_without_known_names_is_refused_with_its_bodies():
    source = figure(movement(frames=3))
    odd = attrs.evolve(source, body_names=[f"Bone{i}" for i in range(len(source.body_names))])
    with pytest.raises(DataError, match=r"motion 'figure': no body for left_hip.* \(Bone0, Bone1"):
        retarget(odd, HUMANOID)


def test_exchanged_sides_are_refused():
    source = figure(movement(frames=5, share=0.2))
    swap = {"Left": "Right", "Right": "Left"}
    names = [
        swap[n[:4]] + n[4:] if n[:4] in swap else swap[n[:5]] + n[5:] if n[:5] in swap else n
        for n in source.body_names
    ]
    with pytest.raises(DataError, match="sides are exchanged"):
        retarget(attrs.evolve(source, body_names=names), HUMANOID)


def test_limb_without_length_is_refused():
    source = figure(movement(frames=3))
    offsets = np.array(source.offsets)
    offsets[source.body_id("LeftForeArm")] = 0.0
    with pytest.raises(DataError, match=r"'LeftArm' and 'LeftForeArm' lie 0\.0 mm apart"):
        retarget(attrs.evolve(source, offsets=offsets), HUMANOID)


def test_another_character_by_its_file_is_fitted_as_well():
    text = HUMANOID.mjcf.replace("0 0 -0.421546", "0 0 -0.35")
    for ours, theirs in FOREIGN.items():
        text = re.sub(rf"\b{ours}\b", theirs, text)  # bodies, and the lists of hands and feet
    other = parse_skeleton(text, "other", "other.xml")
    dof = movement(frames=20)
    found = retarget(figure(dof), other, RetargetOptions(ground=-5.0))
    assert found.report.key_body_error.mean < 0.005 and found.report.max_joint_limit_rad == 0.0
    # legs of 0.35 + 0.40987 m against 1.2 times 0.421546 + 0.40987 m
    assert found.report.scale == pytest.approx(0.75987 / (SIZE * 0.831416), abs=1e-4)


def test_character_without_knees_is_refused():
    text = HUMANOID.mjcf.replace('body name="left_shin"', 'body name="thing"')
    with pytest.raises(DataError, match="character 'odd': no body for left_knee"):
        retarget(figure(movement(frames=2)), parse_skeleton(text, "odd", "odd.xml"))


@pytest.mark.parametrize(
    ("options", "text"),
    [({"scale": 0.0}, "scale is 0.0, expected more than 0"), ({"ground": float("nan")}, "ground is nan")],
)
def test_senseless_options_are_refused(options, text):
    with pytest.raises(DataError, match=text):
        retarget(figure(movement(frames=2)), HUMANOID, RetargetOptions(**options))


def test_scale_on_a_terrain_is_refused():
    terrain = Terrain(height=np.zeros((4, 4)), origin_xy=(-0.8, -0.8), cell=0.4)
    with pytest.raises(DataError, match=r"comes with a terrain, whose cells do not scale; scale is 0\.8"):
        retarget(attrs.evolve(standing(), terrain=terrain), HUMANOID, RetargetOptions(scale=0.8))


def test_report_is_json_and_one_sentence():
    report = retarget(standing(), HUMANOID).report
    stored = json.loads(json.dumps(report.to_json()))
    assert stored["key_bodies"]["left_hand"]["mean"] == report.key_bodies["left_hand"].mean
    assert report.sentence.endswith("and no joint limit is exceeded.") and report.sentence.count(". ") == 0
