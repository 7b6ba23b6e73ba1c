"""MimicKit files: coordinates of the humanoid become its rotations; other characters are named."""

from __future__ import annotations

import pathlib
import pickle
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from parc_data.formats.fields import humanoid
from parc_data.formats.format import ReadOptions
from parc_data.formats.mimickit import FORMAT, read
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError


def load(folder: pathlib.Path, value: Any) -> SourceMotion:
    path = folder / "clip.pkl"
    path.write_bytes(pickle.dumps(value))
    assert (
        not isinstance(value, dict)
        or FORMAT.recognizes(path, path.read_bytes()[:4096])
        or "frames" not in value
    )
    (motion,) = read(path, ReadOptions())
    return motion


def value_of(frames: np.ndarray, **changes: Any) -> dict[str, Any]:
    return {"loop_mode": 0, "fps": 30, "frames": frames.tolist(), **changes}


def test_coordinates_become_places_and_rotations(tmp_path: pathlib.Path) -> None:
    skeleton = humanoid()
    rng = np.random.default_rng(1)
    frames = rng.normal(scale=0.4, size=(6, 34))
    motion = load(tmp_path, value_of(frames))
    assert (motion.fps, motion.loop, motion.body_names) == (30.0, "clamp", skeleton.body_names)
    assert motion.root_pos == pytest.approx(frames[:, :3])
    # by SciPy: the root's exponential map; the right knee is coordinate 17, a hinge about y
    root = Rotation.from_rotvec(frames[:, 3:6])
    assert (Rotation.from_quat(motion.local_rot[:, 0]) * root.inv()).magnitude() == pytest.approx(0, abs=1e-9)
    knee = Rotation.from_rotvec(frames[:, 6 + 17, None] * [0.0, 1.0, 0.0])
    turned = Rotation.from_quat(motion.local_rot[:, skeleton.body_id("right_shin")])
    assert (turned * knee.inv()).magnitude() == pytest.approx(0, abs=1e-9)


def test_zero_coordinates_are_our_rest_pose(tmp_path: pathlib.Path) -> None:
    motion = load(tmp_path, value_of(np.zeros((1, 34))))
    hand = motion.body_pos[0, motion.body_id("left_hand")]
    # shoulder 0.183 + upper arm 0.275 + lower arm 0.259 m to the left
    assert hand == pytest.approx([-0.02405, 0.716845, 0.479651], abs=1e-6)


@pytest.mark.parametrize(("mode", "loop"), [(0, "clamp"), (1, "wrap"), ("CLAMP", "clamp"), ("WRAP", "wrap")])
def test_loop_modes_of_both_spellings(tmp_path: pathlib.Path, mode: Any, loop: str) -> None:
    assert load(tmp_path, value_of(np.zeros((2, 34)), loop_mode=mode)).loop == loop


def test_contacts_of_the_older_files_are_kept(tmp_path: pathlib.Path) -> None:
    contacts = np.eye(15)[:4]
    motion = load(tmp_path, value_of(np.zeros((4, 34)), contacts=contacts))
    assert (motion.contacts == contacts).all()


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (
            value_of(np.zeros((3, 35))),
            r"frames holds 35 numbers a frame, expected 34 \(6 of the root, 28 joint coordinates of the character "
            r"'humanoid'\)\. It was made for another character",
        ),
        (value_of(np.zeros((3, 34)), loop_mode=7), r"loop_mode is '7', expected 0 \(clamp\) or 1 \(wrap\)"),
        (value_of(np.zeros((3, 34)), fps=-1), "fps is -1 frames per second, expected 0.1 to 10000"),
        (value_of(np.full((3, 34), 9000.0)), "frames holds an angle of 9000 rad. Are these radians"),
        ({"fps": 30}, "frames is missing; there are fps"),
        ([1, 2], "the file holds a list, expected a dict"),
        (value_of(np.zeros((0, 34))), "frames"),
    ],
    ids=["width", "loop", "fps", "degrees", "missing", "list", "empty"],
)
def test_what_is_wrong_is_named(tmp_path: pathlib.Path, value: Any, cause: str) -> None:
    with pytest.raises(DataError, match=rf"clip\.pkl: {cause}"):
        load(tmp_path, value)


def test_a_pickled_terrain_object_of_the_older_files_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "clip.pkl"
    path.write_bytes(
        b"\x80\x02}(U\x06framesK\x01U\x03fpsK\x1eU\x07terraincutil.terrain_util\nSubTerrain\n)\x81u."
    )
    with pytest.raises(DataError, match=r"it refers to 'util\.terrain_util\.SubTerrain'"):
        read(path, ReadOptions())
