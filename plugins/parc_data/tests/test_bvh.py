"""BVH files: channels, units, axes, rest frames, and what is said about files that are not right."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from parc_data.formats import bvh
from parc_data.formats.euler import euler_to_quat
from parc_data.formats.format import ReadOptions
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data"
ROOT_CHANNELS = "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"
TURNS = "CHANNELS 3 Zrotation Xrotation Yrotation"

# A person of 1.7 m in centimeters: hips, two legs of 40 + 43 cm with feet, and a head 60 cm above the hips.
PERSON = f"""HIERARCHY
ROOT Hips
{{
 OFFSET 0 0 0
 {ROOT_CHANNELS}
 JOINT LeftUpLeg
 {{
  OFFSET 10 0 0
  {TURNS}
  JOINT LeftLeg
  {{
   OFFSET 0 -43 0
   {TURNS}
   JOINT LeftFoot
   {{
    OFFSET 0 -40 0
    {TURNS}
    End Site
    {{
     OFFSET 0 -5 15
    }}
   }}
  }}
 }}
 JOINT RightUpLeg
 {{
  OFFSET -10 0 0
  {TURNS}
  JOINT RightLeg
  {{
   OFFSET 0 -43 0
   {TURNS}
   JOINT RightFoot
   {{
    OFFSET 0 -40 0
    {TURNS}
    End Site
    {{
     OFFSET 0 -5 15
    }}
   }}
  }}
 }}
 JOINT Head
 {{
  OFFSET 0 60 0
  {TURNS}
  End Site
  {{
   OFFSET 0 15 0
  }}
 }}
}}
MOTION
Frames: 2
Frame Time: 0.0333333
"""
COLUMNS = 6 + 7 * 3
STILL = " ".join(["0", "90", "0"] + ["0"] * 24)

BONE = """HIERARCHY
ROOT Base
{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
 JOINT Arm
 {
  OFFSET 0 1 0
  CHANNELS 3 Zrotation Yrotation Xrotation
  End Site
  {
   OFFSET 0 0.5 0
  }
 }
}
MOTION
Frames: 1
Frame Time: 0.04
1 2 3 90 0 0 0 0 0
"""


def read(tmp_path: pathlib.Path, text: str | bytes, **options: object) -> SourceMotion:
    path = tmp_path / "take.bvh"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (motion,) = bvh.read(path, ReadOptions(**options))
    return motion


def person(*frames: str, text: str = PERSON) -> str:
    rows = frames or (STILL, STILL)
    return text.replace("Frames: 2", f"Frames: {len(rows)}") + "\n".join(rows) + "\n"


def place(motion: SourceMotion, body: str, frame: int = 0) -> list[float]:
    return motion.body_pos[frame, motion.body_id(body)].round(6).tolist()


def test_positions_follow_offsets_and_rotations(tmp_path: pathlib.Path) -> None:
    motion = read(tmp_path, BONE, scale=1.0, up="z")
    # Arm hangs 1 m along y of a base that is turned by 90 degrees about z: y goes to -x
    assert motion.body_names == ("Base", "Arm", "Arm_end")
    assert place(motion, "Base") == [1, 2, 3]
    assert place(motion, "Arm") == [0, 2, 3]
    assert place(motion, "Arm_end") == [-0.5, 2, 3]


def test_y_up_becomes_z_up_by_a_cyclic_change_of_axes(tmp_path: pathlib.Path) -> None:
    motion = read(tmp_path, BONE, scale=1.0, up="y")
    # file x, y, z are our y, z, x
    assert place(motion, "Base") == [3, 1, 2]
    assert place(motion, "Arm_end") == [3, -0.5, 2]


@pytest.mark.parametrize("order", ["xyz", "xzy", "yxz", "yzx", "zxy", "zyx", "x", "zy", ""])
def test_rotation_channels_multiply_in_the_order_of_the_file(tmp_path: pathlib.Path, order: str) -> None:
    angles = [20.0, -50.0, 130.0][: len(order)]
    channels = " ".join([str(len(order)), *(f"{axis.upper()}rotation" for axis in order)])
    values = " ".join(map(str, [0, 0, 0, 0, 0, 0, *angles]))
    text = BONE.replace("CHANNELS 3 Zrotation Yrotation Xrotation", f"CHANNELS {channels}")
    motion = read(tmp_path, text.replace("1 2 3 90 0 0 0 0 0", values), scale=1.0, up="z")
    expected = Rotation.from_euler(order.upper(), angles, degrees=True) if order else Rotation.identity()
    found = Rotation.from_quat(motion.local_rot[0, 1])
    assert (found * expected.inv()).magnitude() == pytest.approx(0.0, abs=1e-9)


def test_a_root_may_have_its_rotations_first(tmp_path: pathlib.Path) -> None:
    text = BONE.replace(
        "6 Xposition Yposition Zposition Zrotation Yrotation Xrotation",
        "6 Zrotation Yrotation Xrotation Zposition Xposition Yposition",
    ).replace("1 2 3 90 0 0 0 0 0", "90 0 0 3 1 2 0 0 0")
    motion = read(tmp_path, text, scale=1.0, up="z")
    assert place(motion, "Base") == [1, 2, 3]
    assert place(motion, "Arm") == [0, 2, 3]


def test_position_channels_of_a_joint_take_the_place_of_its_offset(tmp_path: pathlib.Path) -> None:
    text = BONE.replace("CHANNELS 3 Zrotation", "CHANNELS 4 Yposition Zrotation")
    motion = read(tmp_path, text.replace("90 0 0 0 0 0", "0 0 0 1.25 0 0 0"), scale=2.0, up="z")
    assert motion.local_pos[0, 1].tolist() == [0, 2.5, 0]
    assert motion.offsets[1].tolist() == [0, 2, 0]
    assert motion.notes["joint_positions"] == "in place of OFFSET"


def test_position_channels_that_would_fold_all_bones_up_are_added(tmp_path: pathlib.Path) -> None:
    text = BONE.replace("CHANNELS 3 Zrotation", "CHANNELS 4 Yposition Zrotation")
    motion = read(tmp_path, text.replace("90 0 0 0 0 0", "0 0 0 0.25 0 0 0"), scale=1.0, up="z")
    assert motion.local_pos[0, 1].tolist() == [0, 1.25, 0]
    assert motion.notes["joint_positions"] == "added to OFFSET"


def test_positions_that_only_repeat_the_offset_are_not_kept(tmp_path: pathlib.Path) -> None:
    text = BONE.replace("CHANNELS 3 Zrotation", "CHANNELS 4 Yposition Zrotation")
    motion = read(tmp_path, text.replace("90 0 0 0 0 0", "0 0 0 1 0 0 0"), scale=1.0, up="z")
    assert motion.local_pos is None


def test_spacing_of_the_text_does_not_matter(tmp_path: pathlib.Path) -> None:
    plain = read(tmp_path, person())
    words = person().replace(" OFFSET", "\tOFFSET\t").replace("\n{", " {").replace("Frames: 2", "Frames:\t2")
    odd = "\ufeff" + words.replace("OFFSET 0 60 0", "OFFSET 0\n60  0").replace("\n", "\r\n")
    motion = read(
        tmp_path, odd.replace("ROOT Hips", "root  Hips").replace(STILL, STILL.replace(" ", "\r\n", 3))
    )
    assert motion.body_names == plain.body_names
    assert np.array_equal(motion.body_pos, plain.body_pos)


@pytest.mark.parametrize(
    ("unit", "meters"),
    [
        ("meter", 1.0),
        ("decimeter", 0.1),
        ("centimeter", 0.01),
        ("millimeter", 0.001),
        ("foot", 0.3048),
        ("inch", 0.0254),
        ("inch / 0.45 (CMU)", 0.0254 / 0.45),
    ],
)
def test_the_unit_is_found_from_the_legs(tmp_path: pathlib.Path, unit: str, meters: float) -> None:
    factor = 0.01 / meters
    lines = [
        " OFFSET " + " ".join(repr(float(v) * factor) for v in line.split()[1:]) if "OFFSET" in line else line
        for line in person().splitlines()
    ]
    text = "\n".join(lines).replace("0 90 0", f"0 {90 * factor} 0")
    motion = read(tmp_path, text)
    assert motion.notes["unit"] == unit
    assert motion.notes["unit_from"].startswith("hip to ankle")
    assert place(motion, "Head") == pytest.approx([0, 0, 1.5])


def test_a_given_scale_wins(tmp_path: pathlib.Path) -> None:
    motion = read(tmp_path, person(), scale=0.02)
    assert place(motion, "Head") == pytest.approx([0, 0, 3.0])
    assert motion.notes["unit_from"] == "the user"


def test_a_size_of_no_person_asks_for_the_scale(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, BONE)
    # 1 to 2 m above 0 is the root of no unit: 2 m, 0.61 m, 0.2 m, 0.11 m, ...
    assert str(caught.value) == (
        f"{tmp_path}/take.bvh: OFFSET: the unit cannot be inferred: in no known unit is this the size of a person "
        "(height of the root in the motion 2 units; considered were the legs, the height of the rest pose and of the "
        "root). Give the meters per unit as --scale."
    )


def test_z_up_is_found_and_the_character_looks_along_x(tmp_path: pathlib.Path) -> None:
    # x, y, z of the file become z up with the left leg on -x: the person looks along -y there
    def z_up(line: str) -> str:
        word, x, y, z = line.split()
        return f" {word} {x} {-float(z):g} {y}"

    lines = [z_up(line) if "OFFSET" in line else line for line in person().splitlines()]
    motion = read(tmp_path, "\n".join(lines).replace("0 90 0", "0 0 90"))
    assert motion.notes["up"] == "z"
    assert motion.rest_pos[motion.body_id("LeftUpLeg")] == pytest.approx([0, 0.1, 0])
    assert motion.rest_pos[motion.body_id("LeftFoot_end")] == pytest.approx([0.15, 0.1, -0.88])
    assert place(motion, "Head") == pytest.approx([0, 0, 1.5])


def test_a_rest_pose_that_lies_does_not_hide_that_the_motion_stands(tmp_path: pathlib.Path) -> None:
    # the same person, whose zero pose lies along z, and whose root turns by -90 degrees about x to stand along y
    def lying(line: str) -> str:
        word, x, y, z = line.split()
        return f" {word} {x} {-float(z):g} {y}"

    lines = [lying(line) if "OFFSET" in line else line for line in person().splitlines()]
    standing = STILL.replace("0 90 0 0 0 0", "0 90 0 0 -90 0", 1)
    motion = read(tmp_path, "\n".join(lines).replace(STILL, standing))
    assert (motion.notes["up"], motion.notes["up_from"]) == ("y", "the posture in the motion")
    assert place(motion, "Head") == pytest.approx([0, 0, 1.5])


def test_a_rest_pose_with_all_bones_along_x_is_no_hindrance(tmp_path: pathlib.Path) -> None:
    def along_x(line: str) -> str:
        word, x, y, z = line.split()
        return f" {word} {abs(float(y)):g} {z} {x}"

    lines = [along_x(line) if "OFFSET" in line else line for line in person().splitlines()]
    # 90 degrees about z raise the spine, and 180 more turn the thighs down
    frame = " ".join(["0 90 0", "90 0 0", "180 0 0", "0 0 0 0 0 0", "180 0 0", "0 0 0 0 0 0", "0 0 0"])
    motion = read(tmp_path, "\n".join(lines).replace(STILL, frame))
    assert (motion.notes["rest_pose_upright"], motion.notes["up"]) == (False, "y")
    assert place(motion, "Head")[2] == pytest.approx(1.5)
    assert place(motion, "LeftFoot")[2] == pytest.approx(0.07)


@pytest.mark.parametrize("turn", ["0 90 0", "-90 0 0"], ids=["along z", "along x"])
def test_a_crawling_motion_keeps_the_up_axis_of_the_rest_pose(tmp_path: pathlib.Path, turn: str) -> None:
    frame = STILL.replace("0 90 0 0 0 0", f"0 40 0 {turn}", 1)
    motion = read(tmp_path, person(frame, frame))
    assert (motion.notes["up"], motion.notes["up_from"]) == ("y", "the rest pose")


@pytest.mark.parametrize(
    ("printed", "rate"),
    [
        ("0.0083333", 120.0),
        (".0083333", 120.0),
        ("0.008333", 120.0),
        ("8.33333e-003", 120.0),
        ("0.0333333", 30.0),
        ("0.0166", 60.0),
        ("0.04", 25.0),
        ("0.0333667", 30000.0 / 1001.0),
        ("0.0417083750417", 23.976),
        ("0.03", 1.0 / 0.03),
        ("0.0123", 1.0 / 0.0123),
    ],
)
def test_a_printed_frame_time_gives_the_rate_it_was_rounded_from(printed: str, rate: float) -> None:
    # 0.0123 is 81.3 frames per second: 1 / 81 is 0.012346, which prints as 0.0123, so 81 fits
    expected = 81.0 if printed == "0.0123" else rate
    assert bvh.frame_rate(printed) == pytest.approx(expected, rel=1e-12)


def moving(count: int) -> list[str]:
    """Frames of a person whose joints all turn on by 0.1 degrees a frame, from 30 degrees."""
    return [
        " ".join(["0", "90", "0", "0", "0", "0"] + [f"{30 + 0.1 * frame:.1f}"] * 21) for frame in range(count)
    ]


def test_a_first_frame_at_rest_far_from_the_second_is_left_out(tmp_path: pathlib.Path) -> None:
    motion = read(tmp_path, person(STILL, *moving(9)))
    assert motion.num_frames == 9
    assert motion.notes["first_frame"].startswith("left out: a rest pose")


@pytest.mark.parametrize(
    "frames",
    [moving(9), [STILL] * 9, [STILL]],
    ids=["no rest pose", "rest pose all along", "single frame"],
)
def test_a_first_frame_that_belongs_to_the_motion_is_kept(tmp_path: pathlib.Path, frames: list[str]) -> None:
    assert read(tmp_path, person(*frames)).num_frames == len(frames)


def test_the_user_decides_about_the_first_frame(tmp_path: pathlib.Path) -> None:
    assert read(tmp_path, person(STILL, *moving(9)), rest_frame="keep").num_frames == 10
    assert read(tmp_path, person(*moving(9)), rest_frame="drop").num_frames == 8
    with pytest.raises(DataError, match=r"take\.bvh: has one frame only; nothing is left"):
        read(tmp_path, person(STILL), rest_frame="drop")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY", "HIERARCHIE", "line 1: 'HIERARCHIE': expected 'HIERARCHY' at the start."),
        ("ROOT Hips\n", "ROOT\n", "line 2: '': a joint has no name."),
        ("OFFSET 10 0 0", "OFFSET 10 zero 0", "line 8: 'zero': OFFSET needs three numbers."),
        ("OFFSET 10 0 0", "OFFSET 10 nan 0", "line 8: 'nan': OFFSET needs finite numbers up to 1e+07."),
        ("OFFSET 10 0 0", "", "line 24: '}': 'LeftUpLeg' has no OFFSET."),
        ("CHANNELS 6 Xp", "CHANNELS six Xp", "line 5: 'six': CHANNELS needs their number, 0 to 12."),
        (
            "Xposition",
            "Wposition",
            "line 5: 'Wposition': expected 6 channels such as Xposition or Zrotation.",
        ),
        ("Xposition", "Yposition", "line 5: 'yp yp zp': a position channel is repeated."),
        (
            "RightUpLeg",
            "LeftUpLeg",
            "line 25: 'LeftUpLeg': a second joint of this name; the first is on line 6. ",
        ),
        ("}\nMOTION", "MOTION", "line 2: the brace of 'Hips' is not closed before MOTION."),
        (
            "}\nMOTION",
            "}}\nMOTION",
            "line 53: '}': expected ROOT, JOINT, End Site, OFFSET, CHANNELS or a brace",
        ),
        (
            "}\nMOTION",
            "}\nROOT B\nMOTION",
            "line 54: 'ROOT': a second ROOT; the first is 'Hips'. Split the file",
        ),
        ("MOTION", "", "no 'MOTION' section with 'Frames:' and 'Frame Time:' in it."),
        ("Frames: 2", "Frames: 3", "'Frames:' says 3, but 2 follow. Is the file truncated?"),
        ("Frames: 2", "Frames: 1", "'Frames:' says 1, but 2 follow. "),
        ("Frames: 2", "Frames: -2", "line 55: Frames is '-2', expected a number from 1 to 2000000."),
        ("0.0333333", "0", "line 56: Frame Time is '0', expected the seconds between two frames"),
        ("0.0333333", "nan", "line 56: Frame Time is 'nan', expected"),
        (STILL, "0 x" + STILL[4:], "line 57: 'x' is not a number. Correct the motion data."),
        (STILL, "0 nan" + STILL[4:], "frame 0: Hips.yp is nan, expected finite numbers up to 1e+07."),
        (STILL, "0 inf" + STILL[4:], "frame 0: Hips.yp is inf, expected"),
        (STILL, STILL[:-2], f"line 57: {COLUMNS - 1} numbers, expected {COLUMNS}, one per channel."),
        (STILL, STILL + " 1", f"line 57: {COLUMNS + 1} numbers, expected {COLUMNS}"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: pathlib.Path, old: str, new: str, message: str
) -> None:
    text = person()
    assert old in text
    with pytest.raises(DataError) as caught:
        read(tmp_path, text.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path}/take.bvh: {message}")


def test_a_header_may_not_promise_more_numbers_than_the_file_can_hold(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DataError, match=r"'Frames:' says 2000000, but 2 follow"):
        read(tmp_path, person().replace("Frames: 2", "Frames: 2000000"))


def test_blocks_of_long_files_are_joined_without_a_seam(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read(tmp_path, person(*moving(40)))
    monkeypatch.setattr("parc_data.formats.bvh_text._BLOCK_BYTES", 97)
    monkeypatch.setattr("parc_data.formats.bvh._BLOCK_FRAMES", 7)
    monkeypatch.setattr("parc_data.formats.world._BLOCK_FRAMES", 9)
    parts = read(tmp_path, person(*moving(40)))
    assert np.array_equal(whole.local_rot, parts.local_rot)
    assert np.array_equal(whole.root_pos, parts.root_pos)


def test_quaternions_of_many_angles_agree_with_scipy() -> None:
    angles = np.random.default_rng(0).uniform(-7.0, 7.0, (50, 3))
    expected = Rotation.from_euler("YZX", angles)
    assert (Rotation.from_quat(euler_to_quat(angles, "yzx")) * expected.inv()).magnitude().max() < 1e-12


def test_recognized_by_content_or_name() -> None:
    assert bvh.FORMAT.recognizes(pathlib.Path("a.txt"), b"\xef\xbb\xbf \r\nHierarchy\r\nROOT")
    assert bvh.FORMAT.recognizes(pathlib.Path("a.BVH"), b"")
    assert not bvh.FORMAT.recognizes(pathlib.Path("a.txt"), b"ROOT HIERARCHY")


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no motions at {REAL}")
@pytest.mark.parametrize(
    ("name", "frames", "fps", "unit", "up"),
    [
        ("bvh/mass/kick.bvh", 231, 120.0, "centimeter", "y"),
        ("bvh/mass/walk.bvh", 132, 120.0, "centimeter", "y"),
        ("bvh/mixamo/test_freebvh.bvh", 69, 30.0, "centimeter", "y"),
        ("bvh/pybvh/cmu_12_01_walk.bvh", 523, 120.0, "inch / 0.45 (CMU)", "y"),
        ("bvh/pybvh/full_precision_frame_time.bvh", 3, 23.976, "centimeter", "y"),
        ("bvh/pybvh/rotation_first_root.bvh", 4, 25.0, "inch / 0.45 (CMU)", "y"),
        ("bvh/pybvh/standard_skeleton.bvh", 1, 120.0, "inch", "z"),
        ("cmu/01_01.bvh", 2751, 120.0, "inch / 0.45 (CMU)", "y"),
    ],
)
def test_real_files_are_read_without_options(name: str, frames: int, fps: float, unit: str, up: str) -> None:
    (motion,) = bvh.read(REAL / name, ReadOptions())
    assert (motion.num_frames, motion.fps, motion.notes["unit"], motion.notes["up"]) == (
        frames,
        fps,
        unit,
        up,
    )
