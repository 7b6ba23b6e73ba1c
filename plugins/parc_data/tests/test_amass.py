"""SMPL parameters: all spellings of AMASS, the average skeleton, and what is wrong with others."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from parc_data.formats import amass
from parc_data.formats.amass import FORMAT, read
from parc_data.formats.format import ReadOptions
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data" / "smpl"
NEEDS_REAL = pytest.mark.skipif(not REAL.is_dir(), reason=f"no SMPL motions at {REAL}")
PLAIN = ReadOptions()
STANDING = [0.5 * np.pi, 0.0, 0.0]  # rotation vector that puts a model with y up onto a ground with z up


def fields(width: int = 72, frames: int = 4, **changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    return {
        "poses": rng.normal(scale=0.5, size=(frames, width)),
        "trans": rng.normal(size=(frames, 3)),
        "betas": np.zeros(16),
        "gender": "neutral",
        "mocap_framerate": 120.0,
        **changes,
    }


def load(folder: pathlib.Path, options: ReadOptions = PLAIN, **stored: Any) -> SourceMotion:
    path = folder / "clip.npz"
    np.savez(path, **stored)
    (motion,) = read(path, options)
    return motion


def placed(poses: np.ndarray, trans: np.ndarray, rest: np.ndarray, count: int) -> np.ndarray:
    """Joints by SciPy in the frame of the model, as SMPL defines them: the pelvis at its rest place + trans."""
    turn = [Rotation.from_rotvec(poses[:, :3])]
    pos = [rest[0] + trans]
    for joint in range(1, count):
        parent = amass._PARENTS[joint]
        pos.append(pos[parent] + turn[parent].apply(rest[joint]))
        turn.append(turn[parent] * Rotation.from_rotvec(poses[:, 3 * joint : 3 * joint + 3]))
    return np.stack(pos, axis=1)


@pytest.mark.parametrize(
    ("width", "joints", "table", "model"),
    [(72, 24, "_SMPL", "SMPL"), (66, 22, "_SMPL", "SMPL"), (156, 22, "_SMPL", "SMPL-H"), (165, 22, "_SMPLX", "SMPL-X")],
    ids=["smpl", "body", "smplh", "smplx"],
)  # fmt: skip
def test_joints_are_where_the_model_puts_them(
    tmp_path: pathlib.Path, width: int, joints: int, table: str, model: str
) -> None:
    stored = fields(width)
    motion = load(tmp_path, **stored)
    expected = placed(stored["poses"], stored["trans"], np.array(getattr(amass, table)), joints)
    assert motion.body_pos == pytest.approx(expected, abs=1e-9)
    assert (motion.fps, motion.notes["body_model"]) == (120.0, model)


def test_split_fields_give_the_same_as_joined_ones(tmp_path: pathlib.Path) -> None:
    stored = fields(165, surface_model_type="smplx_locked_head")
    joined = load(tmp_path, **stored)
    poses = stored.pop("poses")
    split = load(
        tmp_path,
        **{**stored, "root_orient": poses[:, :3], "pose_body": poses[:, 3:66], "pose_hand": poses[:, 75:165]},
    )
    assert split.body_pos == pytest.approx(joined.body_pos, abs=1e-12)
    assert split.notes == joined.notes


def test_the_rest_pose_looks_along_x_and_stands_on_z(tmp_path: pathlib.Path) -> None:
    motion = load(tmp_path, **fields(poses=np.tile([*STANDING, *[0.0] * 69], (4, 1))))
    rest = dict(zip(motion.body_names, motion.rest_pos, strict=True))
    assert rest["left_wrist"][1] > 0.6
    assert rest["right_wrist"][1] < -0.6
    assert rest["head"][2] > 0.5
    assert rest["left_foot"][0] > rest["left_ankle"][0] + 0.1
    # a standing model of z up looks along -y, has its left at +x, and is 1.4 m from toes to head joint
    pos = dict(zip(motion.body_names, motion.body_pos[0] - motion.root_pos[0], strict=True))
    assert pos["left_wrist"][0] > 0.6
    assert pos["left_foot"][1] < pos["left_ankle"][1] - 0.1
    assert 1.3 < pos["head"][2] - pos["left_foot"][2] < 1.6


def test_a_file_with_y_up_is_turned_when_the_user_says_so(tmp_path: pathlib.Path) -> None:
    stored = fields()
    x, y, z = np.moveaxis(load(tmp_path, **stored).body_pos, -1, 0)
    turned = load(tmp_path, ReadOptions(up="y"), **stored)
    assert turned.body_pos == pytest.approx(np.stack([z, x, y], axis=-1), abs=1e-9)


@pytest.mark.parametrize("name", ["mocap_framerate", "mocap_frame_rate", "fps"])
def test_every_spelling_of_the_rate_is_known(tmp_path: pathlib.Path, name: str) -> None:
    stored = fields()
    del stored["mocap_framerate"]
    assert load(tmp_path, **{**stored, name: np.array(59.94)}).fps == 59.94


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"poses": np.zeros((4, 70))}, "poses holds 70 numbers a frame, expected one of 72"),
        ({"poses": np.zeros((3, 72))}, r"poses has shape \[3, 72\], expected \[4, any\]"),
        ({"trans": np.full((4, 3), np.inf)}, "trans holds inf"),
        ({"trans": np.array([None] * 4)}, r"trans is pickled \(dtype object\), which is not read"),
        ({"poses": np.full((4, 72), 180.0)}, "poses holds 180 rad. Are these exponential maps in radians"),
        ({"mocap_framerate": 0.0}, "mocap_framerate is 0 frames per second"),
    ],
    ids=["width", "frames", "inf", "pickled", "degrees", "rate"],
)
def test_what_is_wrong_is_named(tmp_path: pathlib.Path, change: dict[str, Any], cause: str) -> None:
    with pytest.raises(DataError, match=rf"clip\.npz: {cause}"):
        load(tmp_path, **fields(**change))


def test_a_pickled_field_that_is_not_needed_does_no_harm(tmp_path: pathlib.Path) -> None:
    motion = load(tmp_path, **fields(labels=np.array([{"walk": 1}], dtype=object)))
    assert motion.num_frames == 4


def test_a_file_without_rate_takes_that_of_the_user_or_is_refused(tmp_path: pathlib.Path) -> None:
    stored = fields()
    del stored["mocap_framerate"]
    assert load(tmp_path, ReadOptions(fps=24.0), **stored).fps == 24.0
    with pytest.raises(
        DataError, match=r"mocap_framerate is missing\. Give the frames per second as --source-fps"
    ):
        load(tmp_path, **stored)


@NEEDS_REAL
@pytest.mark.parametrize(("name", "frames"), [("walk", 152), ("CR7", 119)])
def test_real_motions_stand_on_their_feet(name: str, frames: int) -> None:
    path = REAL / f"video_{name}_level1_filter_amass.npz"
    assert FORMAT.recognizes(path, path.read_bytes()[:4096])
    (motion,) = read(path, PLAIN)
    assert (motion.num_frames, motion.fps) == (frames, 30.0)
    lowest = motion.body_pos[..., 2].min(axis=1)
    assert 0.0 < lowest.min() < 0.06  # the joint in the ball of the foot
    assert np.median(lowest) < 0.06
    head = np.median(motion.body_pos[:, motion.body_id("head"), 2])
    assert 1.4 < head < 1.6  # the head joint of a body of 1.7 m
