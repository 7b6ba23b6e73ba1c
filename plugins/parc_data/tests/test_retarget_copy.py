"""Copying between characters of one build: exact where nothing differs, constant rotations where rest poses do."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
import torch

from parc_data.retarget import RetargetOptions, retarget
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton

HUMANOID = load_skeleton("humanoid")
KINEMATICS = Kinematics(HUMANOID, dtype=torch.float64)
QUARTER = math.sqrt(0.5)


def dofs(frames: int = 8, seed: int = 0, share: float = 0.4) -> np.ndarray:
    """Slow movement within `share` of the limits, [T, D] rad."""
    rng = np.random.default_rng(seed)
    middle = 0.5 * (HUMANOID.dof_lower + HUMANOID.dof_upper)
    half = 0.5 * (HUMANOID.dof_upper - HUMANOID.dof_lower)
    ways = np.cumsum(rng.normal(size=(frames, HUMANOID.num_dofs)), axis=0) / math.sqrt(frames)
    return middle + share * half * np.tanh(ways)


def motion(dof: np.ndarray, **changes) -> SourceMotion:
    joint = KINEMATICS.dof_to_joint_rot(torch.tensor(dof, dtype=torch.float64)).numpy()
    frames = len(dof)
    root = np.tile([0.0, 0.0, math.sin(0.3), math.cos(0.3)], (frames, 1, 1))
    fields = {
        "name": "m", "format": "test", "fps": 30.0, "body_names": HUMANOID.body_names, "parents": HUMANOID.parents,
        "root_pos": np.stack([0.02 * np.arange(frames), np.zeros(frames), np.full(frames, 0.9)], axis=1),
        "offsets": HUMANOID.offsets, "local_rot": np.concatenate([root, joint], axis=1),
    }  # fmt: skip
    return SourceMotion(**{**fields, **changes})


def hanging(source: SourceMotion) -> SourceMotion:
    """The same motion told by a skeleton whose arms hang at rest, as those of AMP and DeepMimic."""
    offsets, local = np.array(source.offsets), np.array(source.local_rot)
    for side, sign in (("right", 1.0), ("left", -1.0)):
        upper, lower, hand = (source.body_id(f"{side}_{part}") for part in ("upper_arm", "lower_arm", "hand"))
        down = torch.tensor(
            [sign * QUARTER, 0.0, 0.0, QUARTER], dtype=torch.float64
        )  # y to the side becomes -z
        up = rot.inverse(down)
        for body in (lower, hand):
            offsets[body] = rot.rotate(down, torch.tensor(offsets[body])).numpy()
        q = torch.tensor(local)
        local[:, upper] = rot.multiply(q[:, upper], up.expand(len(q), 4)).numpy()
        local[:, lower] = rot.multiply(
            rot.multiply(down.expand(len(q), 4), q[:, lower]), up.expand(len(q), 4)
        ).numpy()
        local[:, hand] = rot.multiply(
            rot.multiply(down.expand(len(q), 4), q[:, hand]), up.expand(len(q), 4)
        ).numpy()
    return attrs.evolve(source, offsets=offsets, local_rot=local)


def test_motion_in_our_rest_pose_is_copied_bit_by_bit():
    source = motion(dofs())
    found = retarget(source, HUMANOID)
    assert found.report.method == "copy" and found.report.notes["exact"]
    assert np.array_equal(found.joint_rot, source.local_rot[:, 1:])
    assert np.array_equal(found.root_rot, source.local_rot[:, 0])
    assert np.array_equal(found.root_pos, source.root_pos)


def test_hanging_arms_at_rest_give_the_same_bodies():
    source = motion(dofs())
    found = retarget(hanging(source), HUMANOID)
    bodies, _ = KINEMATICS.forward(
        *(torch.tensor(a) for a in (found.root_pos, found.root_rot, found.joint_rot))
    )
    assert found.report.method == "copy"
    assert np.abs(bodies.numpy() - source.body_pos).max() < 1e-9
    assert (
        np.abs(hanging(source).body_pos - source.body_pos).max() < 1e-9
    )  # the two skeletons agree to begin with


def test_elbow_of_hanging_arms_becomes_a_pure_hinge():
    dof = np.zeros((2, HUMANOID.num_dofs))
    dof[:, 9] = 1.2  # right elbow
    found = retarget(hanging(motion(dof)), HUMANOID)
    elbow = HUMANOID.body_id("right_lower_arm") - 1
    assert found.joint_rot[0, elbow] == pytest.approx([0, 0, math.sin(0.6), math.cos(0.6)], abs=1e-12)


def test_order_of_bodies_in_the_file_does_not_matter():
    source = motion(dofs())
    order = [0, 9, 10, 11, 12, 13, 14, 1, 2, 6, 7, 8, 3, 4, 5]  # legs first, left arm before the right one
    place = {body: i for i, body in enumerate(order)}
    shuffled = attrs.evolve(
        source,
        body_names=[source.body_names[b] for b in order],
        parents=[-1 if source.parents[b] < 0 else place[source.parents[b]] for b in order],
        offsets=source.offsets[order],
        local_rot=source.local_rot[:, order],
    )
    assert np.array_equal(retarget(shuffled, HUMANOID).joint_rot, source.local_rot[:, 1:])


def test_small_excess_is_moved_to_the_limit_and_reported():
    dof = np.zeros((3, HUMANOID.num_dofs))
    dof[1, 17] = -0.05  # right knee, 3 degrees the wrong way
    found = retarget(hanging(motion(dof)), HUMANOID)
    assert found.report.method == "copy"
    assert found.report.max_joint_limit_rad == 0.0
    assert "in 1 frames a joint was moved to its limit" in found.report.sentence


def test_large_excess_is_fitted_to_the_limits_and_the_head_stays_near():
    dof = np.zeros((20, HUMANOID.num_dofs))
    dof[8:12, 5] = math.radians(70)  # neck_z, limit 45 degrees
    source = hanging(motion(dof))
    found = retarget(source, HUMANOID)
    assert found.report.max_joint_limit_rad == 0.0
    assert found.report.notes["frames_beyond_limits"] == 4
    assert found.report.key_body_error.max < 0.02
    only_copied = retarget(source, HUMANOID, RetargetOptions(method="copy"))
    assert only_copied.report.max_joint_limit_rad == pytest.approx(math.radians(25), abs=1e-6)


def test_longer_bones_are_not_copied():
    source = motion(dofs(), offsets=HUMANOID.offsets * 1.1)
    with pytest.raises(DataError, match=r"motion 'm' is not of the build of character 'humanoid'"):
        retarget(source, HUMANOID, RetargetOptions(method="copy"))
    assert retarget(source, HUMANOID).report.method == "ik"
