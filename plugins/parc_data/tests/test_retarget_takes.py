"""Real takes of many rigs on the humanoid: targets met, feet at rest, limits kept, limbs bent their own way."""

from __future__ import annotations

import importlib
import pathlib

import numpy as np
import pytest
import torch

from parc_data.formats.format import ReadOptions
from parc_data.resample import resample
from parc_data.retarget import retarget
from parc_data.source_motion import SourceMotion
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import load_skeleton

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data"
HUMANOID = load_skeleton("humanoid")
KINEMATICS = Kinematics(HUMANOID, dtype=torch.float64)
CLIMB = "climb/mocap_climb_seq_1/mocap_climb_seq_1_joint_positions_f0-2422.npy"
# format, file, frames at 30 per second
TAKES = {
    "cmu_bvh": ("bvh", "cmu/01_01.bvh", (0, 200)),
    "cmu_asf": ("asf_amc", "cmu/01_01.amc", (0, 200)),
    "cmu_walk": ("bvh", "bvh/pybvh/cmu_12_01_walk.bvh", None),
    "climb_up": ("joints", CLIMB, (80, 240)),
    "climb_down": ("joints", CLIMB, (360, 540)),
    "mixamo": ("bvh", "bvh/mixamo/test_freebvh.bvh", None),
    "kick": ("bvh", "bvh/mass/kick.bvh", None),
    "smpl_walk": ("amass", "smpl/video_walk_level1_filter_amass.npz", None),
}


def take(name: str) -> SourceMotion:
    form, file, frames = TAKES[name]
    path = REAL / file
    if not path.exists():
        pytest.skip(f"{file} is not here: real motions are not part of the repository")
    reader = importlib.import_module(f"parc_data.formats.{form}").FORMAT
    motion = resample(reader.read(path, ReadOptions())[0], 30.0)
    return motion if frames is None else motion.frames(*frames)


@pytest.mark.parametrize("name", TAKES)
def test_take_meets_its_targets(name: str):
    found = retarget(take(name), HUMANOID)
    report = found.report
    assert report.method == "ik"
    assert report.key_body_error.mean < 0.01  # a third of what is asked for
    assert all(error.mean < 0.03 for error in report.key_bodies.values())
    assert report.foot_slide.max < 0.01
    assert report.max_joint_limit_rad == 0.0
    assert found.held[:, [HUMANOID.body_id("left_foot"), HUMANOID.body_id("right_foot")]].any(axis=0).all()


@pytest.mark.parametrize("name", TAKES)
def test_shins_and_forearms_point_where_the_source_points_them(name: str):
    motion = take(name)
    found = retarget(motion, HUMANOID)
    arrays = (torch.tensor(a) for a in (found.root_pos, found.root_rot, found.joint_rot))
    bodies = KINEMATICS.forward(*arrays)[0].numpy()
    marks = found.report.notes["landmarks"]
    for side in ("left", "right"):
        for ours, theirs in (
            (("shin", "foot"), ("knee", "ankle")),
            (("lower_arm", "hand"), ("elbow", "wrist")),
        ):
            here = np.diff([bodies[:, HUMANOID.body_id(f"{side}_{part}")] for part in ours], axis=0)[0]
            there = np.diff(
                [motion.body_pos[:, motion.body_id(marks[f"{side}_{part}"])] for part in theirs], axis=0
            )[0]
            cosine = (here * there).sum(-1) / np.linalg.norm(here, axis=-1) / np.linalg.norm(there, axis=-1)
            assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean() < 8.0, (side, ours)


def test_bvh_and_asf_of_one_take_give_the_same_motion():
    a, b = (retarget(take(name), HUMANOID) for name in ("cmu_bvh", "cmu_asf"))
    assert np.abs(a.root_pos - a.root_pos[0] - (b.root_pos - b.root_pos[0])).max() < 0.02
    dof = [KINEMATICS.joint_rot_to_dof(torch.tensor(found.joint_rot)).numpy() for found in (a, b)]
    assert np.degrees(np.abs(dof[0] - dof[1]).mean()) < 1.0
