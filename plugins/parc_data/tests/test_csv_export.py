"""Clips written as a table."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import torch

from parc_data.export.csv import clip_to_csv
from parc_motion.errors import DataError, SkeletonMismatch
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip

HUMANOID = load_skeleton("humanoid")


def table(**how: str) -> dict[str, np.ndarray]:
    rows = list(csv.DictReader(io.StringIO(clip_to_csv(make_clip(speed=1.0), HUMANOID, **how).decode())))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def stack(columns: dict[str, np.ndarray], *names: str) -> np.ndarray:
    return np.stack([columns[name] for name in names], axis=1).astype(np.float32)


def test_one_row_per_frame_with_its_time() -> None:
    columns = table()
    assert columns["frame"].tolist() == list(range(30))
    assert columns["time_s"] == pytest.approx(np.arange(30) / 30.0)
    assert len(columns) == 2 + 3 + 4 + 14 * 4 + 15


def test_numbers_come_back_exactly() -> None:
    clip, columns = make_clip(speed=1.0), table()
    assert np.array_equal(stack(columns, "root_pos_x", "root_pos_y", "root_pos_z"), clip.root_pos)
    names = [f"right_upper_arm_rot_{axis}" for axis in "xyzw"]
    assert np.array_equal(stack(columns, *names), clip.joint_rot[:, 2])
    assert np.array_equal(stack(columns, "contact_left_foot")[:, 0], clip.contacts[:, 14])


def test_dofs_are_named_by_joint() -> None:
    clip, columns = make_clip(speed=1.0), table(joints="dofs")
    dof = Kinematics(HUMANOID).joint_rot_to_dof(torch.from_numpy(clip.joint_rot.copy())).numpy()
    assert len(columns) == 2 + 3 + 4 + 28 + 15
    # abdomen 3, neck 3, then the right shoulder's three and its elbow
    assert np.array_equal(stack(columns, "right_shoulder_x")[:, 0], dof[:, 6])
    assert np.array_equal(stack(columns, "right_elbow")[:, 0], dof[:, 9])


def test_an_unknown_form_and_another_character_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        clip_to_csv(make_clip(), HUMANOID, joints="angles")
    assert str(caught.value) == "clip 'standing': joints is 'angles', expected quaternions or dofs."
    with pytest.raises(SkeletonMismatch):
        clip_to_csv(make_clip(skeleton="robot"), HUMANOID)
