"""DeepMimic's motions: axes, joints, durations, and what is wrong with others."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from parc_data.formats import amp, g1
from parc_data.formats.deepmimic import FORMAT, read
from parc_data.formats.format import ReadOptions
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data"
MOTIONS = (
    "backflip", "cartwheel", "dance_a", "dance_spin", "getup_facedown", "jog", "kick", "punch", "sideflip", "spin",
    "walk", "zombie_walk",
)  # fmt: skip
NEEDS_REAL = pytest.mark.skipif(not REAL.is_dir(), reason=f"no motions at {REAL}")
PLAIN = ReadOptions()
# humanoid3d.txt: joint, parent, place in the parent with y up, numbers of the joint in a frame
JOINTS = {
    "root": (None, (0, 0, 0), 4), "chest": ("root", (0, 0.236151, 0), 4), "neck": ("chest", (0, 0.223894, 0), 4),
    "right_hip": ("root", (0, 0, 0.084887), 4), "right_knee": ("right_hip", (0, -0.421546, 0), 1),
    "right_ankle": ("right_knee", (0, -0.40987, 0), 4),
    "right_shoulder": ("chest", (-0.02405, 0.2435, 0.18311), 4),
    "right_elbow": ("right_shoulder", (0, -0.274788, 0), 1),
    "left_hip": ("root", (0, 0, -0.084887), 4), "left_knee": ("left_hip", (0, -0.421546, 0), 1),
    "left_ankle": ("left_knee", (0, -0.40987, 0), 4),
    "left_shoulder": ("chest", (-0.02405, 0.2435, -0.18311), 4), "left_elbow": ("left_shoulder", (0, -0.274788, 0), 1),
}  # fmt: skip
HANDS = {"right_wrist": ("right_elbow", (0, -0.258947, 0)), "left_wrist": ("left_elbow", (0, -0.258947, 0))}
OURS = {
    "root": "pelvis", "chest": "torso", "neck": "head", "right_hip": "right_thigh", "right_knee": "right_shin",
    "right_ankle": "right_foot", "right_shoulder": "right_upper_arm", "right_elbow": "right_lower_arm",
    "right_wrist": "right_hand", "left_hip": "left_thigh", "left_knee": "left_shin", "left_ankle": "left_foot",
    "left_shoulder": "left_upper_arm", "left_elbow": "left_lower_arm", "left_wrist": "left_hand",
}  # fmt: skip


def frames_of(count: int = 5, duration: float = 0.033333) -> np.ndarray:
    rng = np.random.default_rng(4)
    quats = Rotation.random(9 * count, random_state=rng).as_quat().reshape(count, 9, 4)[..., [3, 0, 1, 2]]
    rows = np.zeros((count, 44))
    rows[:, 0] = duration
    rows[-1, 0] = 0.0
    rows[:, 1:4] = rng.normal(size=(count, 3))
    at, ball = 4, 0
    for _, _, width in JOINTS.values():
        if width == 4:
            rows[:, at : at + 4] = quats[:, ball]
            ball += 1
        else:
            rows[:, at] = rng.normal(size=count)
        at += width
    return rows


def load(folder: pathlib.Path, tree: Any, options: ReadOptions = PLAIN) -> SourceMotion:
    path = folder / "clip.txt"
    path.write_text(json.dumps(tree))
    (motion,) = read(path, options)
    return motion


def placed(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Joint places by SciPy in DeepMimic's own frame, y up, then x, -z, y."""
    pos: dict[str, np.ndarray] = {}
    turn: dict[str, Rotation] = {}
    at = 4
    for name, (parent, place, width) in JOINTS.items():
        numbers = rows[:, at : at + width]
        at += width
        if width == 4:
            own = Rotation.from_quat(numbers[:, [1, 2, 3, 0]])
        else:
            own = Rotation.from_rotvec(numbers * [0.0, 0.0, 1.0])
        turn[name] = own if parent is None else turn[parent] * own
        pos[name] = rows[:, 1:4] if parent is None else pos[parent] + turn[parent].apply(place)
    for name, (parent, place) in HANDS.items():
        pos[name] = pos[parent] + turn[parent].apply(place)
    return {name: np.stack([p[:, 0], -p[:, 2], p[:, 1]], axis=-1) for name, p in pos.items()}


def test_joints_are_where_deepmimic_puts_them(tmp_path: pathlib.Path) -> None:
    rows = frames_of()
    motion = load(tmp_path, {"Loop": "wrap", "Frames": rows.tolist()})
    assert (motion.loop, motion.fps, motion.num_frames) == ("wrap", 30.0, 5)
    for name, expected in placed(rows).items():
        # SciPy's quaternions and the offsets of our humanoid, which are float32
        assert motion.body_pos[:, motion.body_id(OURS[name])] == pytest.approx(expected, abs=1e-6), name


def test_frames_of_different_durations_are_resampled_at_the_shortest(tmp_path: pathlib.Path) -> None:
    rows = frames_of(3)
    rows[:, 0] = [0.1, 0.05, 0.0]
    # a turn about y (up) by 0, 0.4, 0.5 rad; places 0, 2, 3 m along x
    for row, (angle, x) in zip(rows, [(0.0, 0.0), (0.4, 2.0), (0.5, 3.0)], strict=True):
        row[4:8] = [np.cos(angle / 2), 0.0, np.sin(angle / 2), 0.0]
        row[1:4] = [x, 1.0, 0.0]
    motion = load(tmp_path, {"Loop": "none", "Frames": rows.tolist()})
    assert (motion.fps, motion.num_frames) == (20.0, 4)
    assert motion.root_pos[:, 0] == pytest.approx([0.0, 1.0, 2.0, 3.0])
    angles = Rotation.from_quat(motion.local_rot[:, 0]).as_rotvec()
    assert angles == pytest.approx(np.outer([0.0, 0.2, 0.4, 0.5], [0.0, 0.0, 1.0]), abs=1e-9)
    assert motion.notes["resampled"] == "3 frames of different durations"


def test_quaternions_of_other_length_are_brought_to_one_and_noted(tmp_path: pathlib.Path) -> None:
    rows = frames_of()
    expected = load(tmp_path, {"Frames": rows.tolist()}).body_pos
    rows[2, 4:8] *= 0.7
    motion = load(tmp_path, {"Frames": rows.tolist()})
    assert motion.body_pos == pytest.approx(expected)
    assert motion.notes == {"quaternion_length_was": 0.7}


@pytest.mark.parametrize(
    ("tree", "cause"),
    [
        ({"Skeleton": {}, "BodyDefs": []}, "Frames is missing or not a list; .*of a character, not a motion"),
        ({"Frames": []}, "Frames holds 0 frames"),
        ({"Frames": [[0.0] * 44, [0.0] * 43]}, r"Frames\[1\] holds 43 numbers, expected 44 as for humanoid3d"),
        ({"Frames": [[0.0] * 44]}, "Frames, rotation of pelvis holds a quaternion of length 0.0000"),
        ({"Frames": [["a"] * 44]}, "Frames holds <U1, expected plain numbers"),
        ({"Frames": frames_of(3, -0.1).tolist()}, r"Frames\[0\] lasts -0.1 s, expected more than 0"),
        ({"Frames": frames_of(3, 1e-9).tolist()}, "Frames: a duration of 1e-09 s, the rate is 1e.09 frames per second"),
        ({"Frames": frames_of(3).tolist(), "Loop": "spin"}, "Loop is 'spin', expected none or wrap"),
        ([1], "the file holds a list, expected a dict"),
    ],
    ids=["character", "none", "width", "zero", "text", "backwards", "instant", "loop", "list"],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: pathlib.Path, tree: Any, cause: str) -> None:
    with pytest.raises(DataError, match=rf"clip\.txt: {cause}"):
        load(tmp_path, tree)


@pytest.mark.parametrize(
    "content", ["", "[" * 100_000, '{"Frames": [[1', "\x00\xff"], ids=["empty", "deep", "cut", "no"]
)
def test_text_that_is_no_json_is_refused(tmp_path: pathlib.Path, content: str) -> None:
    path = tmp_path / "clip.txt"
    path.write_bytes(content.encode("latin1"))
    with pytest.raises(DataError, match=r"clip\.txt: (not readable as JSON|the file is empty)"):
        read(path, PLAIN)


@NEEDS_REAL
def test_real_motions_stand_on_the_ground_and_the_character_is_no_motion() -> None:
    character = REAL / "deepmimic" / "humanoid3d.txt"
    assert not FORMAT.recognizes(character, character.read_bytes()[:4096])
    for name in MOTIONS:
        path = REAL / "deepmimic" / f"humanoid3d_{name}.txt"
        assert FORMAT.recognizes(path, path.read_bytes()[:4096])
        (motion,) = read(path, PLAIN)
        lowest = motion.body_pos[..., 2].min(axis=1)
        assert -0.03 < lowest.min() < 0.06, path.name
        assert motion.fps in (16.0, 24.0, 30.0, 60.0, 120.0), path.name


@NEEDS_REAL
def test_the_backflip_is_that_of_amp() -> None:
    # the same motion in both formats: two readers that share no code agree on every body
    (ours,) = read(REAL / "deepmimic" / "humanoid3d_backflip.txt", PLAIN)
    (theirs,) = amp.read(REAL / "amp" / "amp_humanoid_backflip.npy", PLAIN)
    assert ours.body_names == theirs.body_names
    assert np.linalg.norm(ours.body_pos - theirs.body_pos, axis=-1).max() < 1e-3


@NEEDS_REAL
def test_the_robot_is_refused_with_the_name_of_the_missing_character() -> None:
    path = REAL / "g1" / "output_walk.csv"
    assert g1.FORMAT.recognizes(path, path.read_bytes()[:4096])
    with pytest.raises(DataError, match="the character 'g1' is missing, only 'humanoid' is built in"):
        g1.read(path, PLAIN)


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"1," * 36 + b"\n", b""], ids=["two", "37", "empty"])
def test_other_tables_are_not_taken_for_the_robot(content: bytes) -> None:
    assert not g1.FORMAT.recognizes(pathlib.Path("x.csv"), content)
