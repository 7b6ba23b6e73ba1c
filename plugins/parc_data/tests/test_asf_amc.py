"""Acclaim files: the rotation of a bone, the skeleton beside a motion, and the same take as BVH."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from parc_data.formats import asf_amc, bvh
from parc_data.formats.format import ReadOptions
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError
from parc_motion.kinematics import rotations as rot

CMU = pathlib.Path(__file__).parents[4] / "shared" / "data" / "cmu"

ASF = """# a comment
:version 1.10
:units
  mass 1.0
  length 1.0
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name upper
     direction 1 0 0
     length 2
     axis 0 0 90 XYZ
    dof rx rz
    limits (-160.0 20.0)
           (-70.0 70.0)
  end
  begin
     id 2
     name lower
     direction 0 1 0
     length 3
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root upper
    upper lower
  end
"""
AMC = """#!OML:ASF
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 0 0
upper 0 0
2
root 1 2 3 0 0 90
upper 90 0
"""


def read(
    tmp_path: pathlib.Path, asf: str = ASF, amc: str = AMC, name: str = "a", **options: object
) -> SourceMotion:
    (tmp_path / "a.asf").write_text(asf)
    (tmp_path / f"{name}.amc").write_text(amc)
    settings = {"scale": 1.0, "up": "z", **options}
    (motion,) = asf_amc.read(tmp_path / f"{name}.amc", ReadOptions(**settings))
    return motion


def place(motion: SourceMotion, body: str, frame: int) -> list[float]:
    return motion.body_pos[frame, motion.body_id(body)].round(6).tolist()


def test_a_bone_lies_where_its_parent_ends(tmp_path: pathlib.Path) -> None:
    motion = read(tmp_path)
    assert motion.body_names == ("root", "upper", "lower", "lower_end")
    assert [place(motion, name, 0) for name in motion.body_names] == [
        [1, 2, 3],
        [1, 2, 3],
        [3, 2, 3],
        [3, 5, 3],
    ]


def test_a_bone_turns_about_its_own_axes(tmp_path: pathlib.Path) -> None:
    motion = read(tmp_path)
    # upper's own x axis is the world's y; 90 degrees about it take x to -z, and leave lower's y. The root then turns
    # everything by 90 degrees about z: -z stays, y goes to -x.
    assert place(motion, "lower", 1) == [1, 2, 1]
    assert place(motion, "lower_end", 1) == [-2, 2, 1]


def test_dofs_are_taken_in_their_order_and_turn_in_that_of_the_axes(tmp_path: pathlib.Path) -> None:
    asf = ASF.replace("dof rx rz", "dof rz rx ry").replace("axis 0 0 90 XYZ", "axis 10 20 30 XYZ")
    motion = read(
        tmp_path, asf, AMC.replace("upper 90 0", "upper 70 50 60").replace("upper 0 0", "upper 0 0 0")
    )
    own = Rotation.from_euler("xyz", [10, 20, 30], degrees=True)  # about fixed axes, x first
    turn = Rotation.from_euler("xyz", [50, 60, 70], degrees=True)
    expected = own * turn * own.inv()
    found = Rotation.from_quat(motion.local_rot[1, 1])
    assert (found * expected.inv()).magnitude() == pytest.approx(0.0, abs=1e-9)


def test_radians_are_read_where_the_file_says_so(tmp_path: pathlib.Path) -> None:
    amc = AMC.replace(":DEGREES", ":RADIANS").replace(" 90", f" {np.pi / 2}")
    assert np.allclose(read(tmp_path, amc=amc).body_pos, read(tmp_path).body_pos)


def test_the_rate_is_that_of_cmu_unless_the_user_says_another(tmp_path: pathlib.Path) -> None:
    motion = read(tmp_path)
    assert motion.fps == 120.0
    assert motion.notes["fps"].startswith("120, the rate of the CMU recordings")
    assert read(tmp_path, fps=60.0).fps == 60.0


def test_the_length_of_the_asf_gives_inches(tmp_path: pathlib.Path) -> None:
    asf = ASF.replace("length 1.0", "length 0.45").replace("name upper", "name lfemur")
    asf = asf.replace("name lower", "name lfoot").replace("upper lower", "lfemur lfoot")
    asf = asf.replace("length 2", "length 15").replace("root upper", "root lfemur")
    motion = read(tmp_path, asf, AMC.replace("upper", "lfemur"), scale=None)
    # a leg of 15 units is 15 / 0.45 inches = 0.847 m
    assert motion.notes["unit"] == "inch / 0.45 (asf)"
    assert motion.offsets[2] == pytest.approx([15 * 0.0254 / 0.45, 0, 0])


@pytest.mark.parametrize("name", ["a", "A", "a_07", "other"])
def test_the_skeleton_is_found_by_stem_prefix_or_as_the_only_one(tmp_path: pathlib.Path, name: str) -> None:
    assert read(tmp_path, name=name).notes["skeleton_file"] == "a.asf"


def test_a_missing_skeleton_is_named_with_what_was_looked_for(tmp_path: pathlib.Path) -> None:
    (tmp_path / "b.asf").write_text(ASF)
    with pytest.raises(DataError) as caught:
        read(tmp_path, name="01_02")
    assert str(caught.value) == (
        f"{tmp_path}/01_02.amc: its skeleton is missing: looked for '01_02.asf' or '01.asf' beside it, found a.asf, "
        "b.asf. Put the .asf there."
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (":hierarchy", ":other", "no section ':hierarchy'. Is the file truncated, or not .asf?"),
        ("length 1.0", "length 0", "units: length is '0' and angle 'deg', expected a number above 0"),
        ("     id 1", "begin\n", None),
        ("name upper", "name", "line 22: the name of a bone is missing or repeated: ''."),
        ("name lower", "name upper", "line 29: the name of a bone is missing or repeated: 'upper'."),
        (
            "direction 1 0 0",
            "direction 1 0",
            "line 22: 'upper': direction is '1 0', expected 3 finite numbers.",
        ),
        ("length 2", "length nan", "line 22: 'upper': length is 'nan', expected 1 finite numbers."),
        ("90 XYZ", "90 XYX", "line 22: 'upper': axis order is 'XYX', expected one like XYZ."),
        ("dof rx rz", "dof rx l", "line 22: 'upper': dof is 'rx l', expected each of rx ry rz at most once."),
        (
            "upper lower",
            "upper lower thumb",
            "line 33: hierarchy names 'thumb', which is not a bone of bonedata.",
        ),
        ("root upper", "root upper lower", "line 33: 'lower' gets a second parent, 'upper'."),
        ("root upper", "upper upper", "hierarchy: 'lower' does not descend from the root."),
        ("upper lower", "", "hierarchy: 'lower' does not descend from the root."),
        ("order TX TY TZ RX RY RZ", "order", "root: order is empty, so the character cannot be placed."),
    ],
)
def test_what_is_wrong_in_the_skeleton_is_named(
    tmp_path: pathlib.Path, old: str, new: str, message: str | None
) -> None:
    assert old in ASF
    amc = AMC if "order" not in old else "1\nupper 0 0\n"
    if message is None:  # a field that no reader knows does no harm
        assert read(tmp_path, ASF.replace(old, new, 1), amc).num_frames == 2
        return
    with pytest.raises(DataError) as caught:
        read(tmp_path, ASF.replace(old, new, 1), amc)
    assert str(caught.value).startswith(f"{tmp_path}/a.asf: {message}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("upper 0 0", "upper 0", "line 6: 'upper' needs 2 finite numbers (rx rz)."),
        ("upper 0 0", "upper 0 nan", "line 6: 'upper' needs 2 finite numbers (rx rz)."),
        ("upper 0 0", "upper 0 1e9", "line 6: 'upper' needs 2 finite numbers (rx rz)."),
        (
            "upper 0 0",
            "thumb 0 0",
            "line 6: 'thumb' is not a moving bone of the .asf, or appears before the first frame.",
        ),
        ("upper 0 0\n", "", "line 6: frame 1 has no 'upper'."),
        ("upper 90 0\n", "", "frame 2 has no 'upper'. Is the file truncated?"),
        ("upper 0 0", "upper 0 0\nupper 0 0", "line 7: 'upper' is named twice"),
        ("\n2\n", "\n3\n", "line 7: frame 3 follows frame 1."),
        ("\n2\n", "\nzwei\n", "line 7: expected the number of a frame, not 'zwei'."),
        (AMC[AMC.index("1\n") :], "", "holds no frame. Is the file truncated, or not .amc?"),
    ],
)
def test_what_is_wrong_in_the_motion_is_named(
    tmp_path: pathlib.Path, old: str, new: str, message: str
) -> None:
    assert old in AMC
    with pytest.raises(DataError) as caught:
        read(tmp_path, amc=AMC.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path}/a.amc: {message}")


def test_recognized_by_keyword_or_name() -> None:
    assert asf_amc.FORMAT.recognizes(pathlib.Path("a.txt"), AMC.encode())
    assert asf_amc.FORMAT.recognizes(pathlib.Path("a.AMC"), b"")
    assert not asf_amc.FORMAT.recognizes(pathlib.Path("a.txt"), ASF.encode())


BELOW_CHEST = {
    **{"Hips": "root", "LowerBack": "lowerback", "Spine": "upperback", "Spine1": "thorax"},
    **{"LeftUpLeg": "lfemur", "LeftLeg": "ltibia", "LeftFoot": "lfoot", "LeftToeBase": "ltoes"},
    **{"RightUpLeg": "rfemur", "RightLeg": "rtibia", "RightFoot": "rfoot", "RightToeBase": "rtoes"},
    **{"LeftToeBase_end": "ltoes_end", "RightToeBase_end": "rtoes_end"},
}
ABOVE_CHEST = {
    **{"Neck": "lowerneck", "Neck1": "upperneck", "Head": "head", "Head_end": "head_end"},
    **{"LeftShoulder": "lclavicle", "LeftArm": "lhumerus", "LeftForeArm": "lradius", "LeftHand": "lwrist"},
    **{
        "RightShoulder": "rclavicle",
        "RightArm": "rhumerus",
        "RightForeArm": "rradius",
        "RightHand": "rwrist",
    },
}


Takes = tuple[SourceMotion, SourceMotion]
needs_cmu = pytest.mark.skipif(not CMU.is_dir(), reason=f"no motions at {CMU}")


@pytest.fixture(scope="module")
def takes() -> Takes:
    """Take 01_01 as BVH and as ASF/AMC."""
    options = ReadOptions()
    return bvh.read(CMU / "01_01.bvh", options)[0], asf_amc.read(CMU / "01_01.amc", options)[0]


@needs_cmu
def test_frames_agree_once_the_rest_pose_is_left_out(takes: Takes) -> None:
    assert [take.num_frames for take in takes] == [2751, 2751]
    assert [take.fps for take in takes] == [120.0, 120.0]


@needs_cmu
def test_hips_legs_and_spine_are_at_the_same_places(takes: Takes) -> None:
    apart = distance(takes, BELOW_CHEST)
    assert apart.mean() < 1e-5
    assert apart.max() < 1e-4


@needs_cmu
def test_neck_head_and_arms_are_too_once_the_chest_has_its_length(takes: Takes) -> None:
    # This BVH writes OFFSET 0 0 0 for the children of Spine1, which are 2.06488 units (11.7 cm) away in the .asf.
    # The skeletons are aligned by giving the missing bone to the BVH.
    text, acclaim = takes
    assert np.all(text.offsets[text.body_id("Neck")] == 0.0)
    bone = acclaim.offsets[acclaim.body_id("lowerneck")]
    assert np.linalg.norm(bone) == pytest.approx(2.06488 * 0.0254 / 0.45, abs=1e-6)
    chest = torch.from_numpy(text.body_rot[:, text.body_id("Spine1")].copy())
    shift = rot.rotate(chest, torch.from_numpy(bone.copy()).expand(len(chest), 3)).numpy()
    apart = distance(takes, ABOVE_CHEST, shift[:, None])
    assert apart.mean() < 1e-5
    assert apart.max() < 1e-4


def distance(takes: Takes, pairs: dict[str, str], shift: np.ndarray | float = 0.0) -> np.ndarray:
    text, acclaim = takes
    one = text.body_pos[:, [text.body_id(name) for name in pairs]] + shift
    other = acclaim.body_pos[:, [acclaim.body_id(name) for name in pairs.values()]]
    return np.linalg.norm(one - other, axis=-1)
