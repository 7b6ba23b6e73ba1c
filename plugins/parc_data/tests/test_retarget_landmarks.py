"""Landmarks by name: common rigs, ambiguous words, and what is refused."""

from __future__ import annotations

import pytest

from parc_data.retarget.landmarks import find_landmarks
from parc_motion.errors import DataError

# name -> parent, root first; only what matters
CMU_ASF = [
    "root", "lhipjoint", "lfemur", "ltibia", "lfoot", "ltoes", "rhipjoint", "rfemur", "rtibia", "rfoot",
    "rtoes", "lowerback", "upperback", "thorax", "lowerneck", "upperneck", "head", "lclavicle", "lhumerus",
    "lradius", "lwrist", "lhand", "rclavicle", "rhumerus", "rradius", "rwrist", "rhand",
]  # fmt: skip
CMU_ASF_PARENTS = [
    -1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14, 15, 13, 17, 18, 19, 20, 13, 22, 23, 24, 25,
]  # fmt: skip
SMPL = [
    "Pelvis", "L_Hip", "R_Hip", "Spine1", "L_Knee", "R_Knee", "Spine2", "L_Ankle", "R_Ankle", "Spine3",
    "L_Foot", "R_Foot", "Neck", "L_Collar", "R_Collar", "Head", "L_Shoulder", "R_Shoulder", "L_Elbow",
    "R_Elbow", "L_Wrist", "R_Wrist", "L_Hand", "R_Hand",
]  # fmt: skip
SMPL_PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
XSENS = [
    "Pelvis", "L5", "L3", "T12", "T8", "Neck", "Head", "RightShoulder", "RightUpperArm", "RightForeArm",
    "RightHand", "LeftShoulder", "LeftUpperArm", "LeftForeArm", "LeftHand", "RightUpperLeg",
    "RightLowerLeg", "RightFoot", "RightToe", "LeftUpperLeg", "LeftLowerLeg", "LeftFoot", "LeftToe",
]  # fmt: skip
XSENS_PARENTS = [-1, 0, 1, 2, 3, 4, 5, 4, 7, 8, 9, 4, 11, 12, 13, 0, 15, 16, 17, 0, 19, 20, 21]


@pytest.mark.parametrize(
    ("names", "parents", "wanted"),
    [
        (CMU_ASF, CMU_ASF_PARENTS, {"left_hip": "lfemur", "right_knee": "rtibia", "left_toe": "ltoes",
                                    "chest": "thorax", "neck": "lowerneck", "right_wrist": "rwrist"}),
        (SMPL, SMPL_PARENTS, {"left_ankle": "L_Ankle", "left_toe": "L_Foot", "right_shoulder": "R_Shoulder",
                              "left_wrist": "L_Wrist", "chest": "Spine3", "spine": "Spine1"}),
        (XSENS, XSENS_PARENTS, {"left_shoulder": "LeftUpperArm", "right_hip": "RightUpperLeg", "chest": "T8",
                                "left_knee": "LeftLowerLeg", "right_toe": "RightToe"}),
    ],
    ids=["cmu_asf", "smpl", "xsens"],
)  # fmt: skip
def test_common_rigs_are_understood(names, parents, wanted):
    marks = find_landmarks(names, parents, "rig")
    assert marks.missing == ()
    assert {name: names[marks[name]] for name in wanted} == wanted


@pytest.mark.parametrize("prefix", ["mixamorig:", "Character1_", "Bip01 ", "hero|"])
def test_prefixes_of_exporters_do_not_matter(prefix):
    names = [prefix + name for name in ("Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase")]
    marks = find_landmarks(names, [-1, 0, 1, 2, 3], "rig")
    assert [marks[f"left_{part}"] for part in ("hip", "knee", "ankle", "toe")] == [1, 2, 3, 4]


def test_shoulder_is_the_joint_only_where_no_arm_says_so():
    with_arm = find_landmarks(["Hips", "LeftShoulder", "LeftArm"], [-1, 0, 1], "rig")
    without = find_landmarks(["Hips", "LeftShoulder", "LeftElbow"], [-1, 0, 1], "rig")
    assert (with_arm["left_shoulder"], without["left_shoulder"]) == (2, 1)


def test_mesh_body_of_the_same_name_does_not_take_the_place_of_the_joint():
    # a mesh named "Neck" hangs on the real neck, which carries the head
    marks = find_landmarks(["Hips", "Spine", "Character1_Neck", "Head", "Neck"], [-1, 0, 1, 2, 2], "rig")
    assert marks["neck"] == 2


def test_knee_outside_its_leg_is_an_error_that_names_both():
    with pytest.raises(DataError) as caught:
        find_landmarks(["Hips", "LeftUpLeg", "Spine", "LeftLeg"], [-1, 0, 0, 2], "motion 'odd'")
    assert str(caught.value).startswith(
        "motion 'odd': by their names 'LeftUpLeg' comes before 'LeftLeg' in a left limb"
    )


def test_missing_limbs_are_listed_with_the_bodies_of_the_file():
    marks = find_landmarks(["Root", "Bone1", "Bone2"], [-1, 0, 1], "rig")
    with pytest.raises(DataError) as caught:
        marks.require_human("motion 'x'", ["Root", "Bone1", "Bone2"])
    text = str(caught.value)
    assert "left_hip" in text and "head" in text and "Root, Bone1, Bone2" in text and "Rename" in text
