"""poselib files: motions and still poses, local and global rotations, and what is wrong with others."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from parc_data.formats.amp import FORMAT, read
from parc_data.formats.fields import humanoid
from parc_data.formats.format import ReadOptions
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data" / "amp"
NEEDS_REAL = pytest.mark.skipif(not REAL.is_dir(), reason=f"no AMP motions at {REAL}")
PLAIN = ReadOptions()


def stored(array: np.ndarray) -> dict[str, Any]:
    return {"arr": array, "context": {"dtype": array.dtype.name}}


def tree(frames: int | None = 5, **changes: Any) -> dict[str, Any]:
    """A motion of the humanoid in random poses; without frames a still pose."""
    skeleton = humanoid()
    rng = np.random.default_rng(3)
    rotation = Rotation.random((frames or 1) * 15, random_state=rng).as_quat().reshape(-1, 15, 4)
    root = rng.normal(size=(len(rotation), 3))
    value: dict[str, Any] = {
        "rotation": stored(rotation if frames else rotation[0]),
        "root_translation": stored(root if frames else root[0]),
        "skeleton_tree": {
            "node_names": list(skeleton.body_names),
            "parent_indices": stored(np.array(skeleton.parents)),
            "local_translation": stored(np.array(skeleton.offsets)),
        },
        "is_local": True,
        "__name__": "SkeletonMotion",
    }
    if frames:
        value["fps"] = np.array(60, dtype=np.int32)
    return {**value, **changes}


def write(folder: pathlib.Path, value: Any) -> pathlib.Path:
    path = folder / "clip.npy"
    np.save(path, np.array(value, dtype=object), allow_pickle=True)
    return path


def load(folder: pathlib.Path, value: Any, options: ReadOptions = PLAIN) -> SourceMotion:
    (motion,) = read(write(folder, value), options)
    return motion


def placed(value: dict[str, Any]) -> np.ndarray:
    """Body places by SciPy, body by body: an independent forward kinematics."""
    parents = value["skeleton_tree"]["parent_indices"]["arr"]
    offsets = value["skeleton_tree"]["local_translation"]["arr"]
    local = value["rotation"]["arr"]
    pos, turn = [value["root_translation"]["arr"]], [Rotation.from_quat(local[:, 0])]
    for body, parent in enumerate(parents[1:], start=1):
        pos.append(pos[parent] + turn[parent].apply(offsets[body]))
        turn.append(turn[parent] * Rotation.from_quat(local[:, body]))
    return np.stack(pos, axis=1)


def test_bodies_are_where_the_file_puts_them(tmp_path: pathlib.Path) -> None:
    value = tree()
    motion = load(tmp_path, value)
    assert (motion.name, motion.format, motion.fps, motion.num_frames) == ("clip", "amp", 60.0, 5)
    assert motion.body_pos == pytest.approx(placed(value), abs=1e-12)


def test_global_rotations_give_the_same_motion_as_local_ones(tmp_path: pathlib.Path) -> None:
    value = tree()
    local = load(tmp_path, value)
    world = {**value, "rotation": stored(np.array(local.body_rot)), "is_local": False}
    assert load(tmp_path, world).body_pos == pytest.approx(local.body_pos, abs=1e-12)


def test_a_still_pose_is_one_frame(tmp_path: pathlib.Path) -> None:
    motion = load(tmp_path, tree(frames=None))
    assert (motion.num_frames, motion.notes["still_pose"]) == (1, True)


def test_a_motion_without_rate_takes_that_of_the_user_or_is_refused(tmp_path: pathlib.Path) -> None:
    value = tree()
    del value["fps"]
    assert load(tmp_path, value, ReadOptions(fps=25.0)).fps == 25.0
    with pytest.raises(
        DataError, match=r"clip\.npy: fps is missing\. Give the frames per second as --source-fps"
    ):
        load(tmp_path, value)


def test_a_skeleton_in_centimeters_is_brought_to_meters(tmp_path: pathlib.Path) -> None:
    value = tree()
    meters = load(tmp_path, value)
    large = tree()
    large["skeleton_tree"]["local_translation"]["arr"] = (
        large["skeleton_tree"]["local_translation"]["arr"] * 100
    )
    large["root_translation"]["arr"] = large["root_translation"]["arr"] * 100
    motion = load(tmp_path, large)
    assert motion.notes["meters_per_unit"] == 0.01
    assert motion.body_pos == pytest.approx(meters.body_pos, abs=1e-5)  # the offsets are float32


def test_another_axis_up_is_turned(tmp_path: pathlib.Path) -> None:
    value = tree()
    x, y, z = np.moveaxis(load(tmp_path, value).body_pos, -1, 0)
    turned = load(tmp_path, value, ReadOptions(up="y")).body_pos
    assert turned == pytest.approx(np.stack([z, x, y], axis=-1), abs=1e-12)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"rotation": stored(np.zeros((5, 15, 3)))}, r"rotation has shape \[5, 15, 3\], expected \[5, 15, 4\]"),
        ({"rotation": stored(np.full((5, 15, 4), 0.4))}, "rotation holds a quaternion of length 0.8000"),
        ({"rotation": stored(np.full((5, 15, 4), np.nan))}, "rotation holds nan at index"),
        ({"root_translation": None}, "root_translation is missing"),
        ({"skeleton_tree": [1]}, "skeleton_tree holds a list, expected a dict"),
        ({"is_local": 3}, "is_local is 3, expected True or False"),
        ({"fps": 0}, "fps is 0 frames per second"),
        ({"fps": "fast"}, "fps holds <U4, expected plain numbers"),
    ],
    ids=["shape", "length", "nan", "missing", "tree", "local", "zero", "text"],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: pathlib.Path, change: dict[str, Any], cause: str) -> None:
    with pytest.raises(DataError, match=rf"clip\.npy: {cause}"):
        load(tmp_path, tree(**change))


def test_a_skeleton_of_no_known_unit_asks_for_the_scale(tmp_path: pathlib.Path) -> None:
    value = tree()
    value["skeleton_tree"]["local_translation"]["arr"] = (
        value["skeleton_tree"]["local_translation"]["arr"] * 3
    )
    with pytest.raises(DataError, match="Give the meters per unit as --scale"):
        load(tmp_path, value)


@NEEDS_REAL
@pytest.mark.parametrize(
    ("name", "frames", "fps"),
    [
        ("amp_humanoid_backflip", 29, 16.0),
        ("amp_humanoid_dance", 902, 60.0),
        ("amp_humanoid_walk", 154, 60.0),
    ],
)
def test_real_motions_stand_on_their_feet(name: str, frames: int, fps: float) -> None:
    path = REAL / f"{name}.npy"
    assert FORMAT.recognizes(path, path.read_bytes()[:4096])
    (motion,) = read(path, PLAIN)
    assert (motion.num_frames, motion.fps) == (frames, fps)
    lowest = motion.body_pos[..., 2].min(axis=1)
    # ankles are 5 to 9 cm above the ground; both flips leave it by up to 0.9 m
    assert -0.03 < lowest.min() < 0.1
    assert np.median(lowest) < 0.1
    assert motion.rest_pos[motion.body_id("left_foot"), 1] > 0.05


@NEEDS_REAL
def test_the_walk_goes_where_it_looks() -> None:
    (motion,) = read(REAL / "amp_humanoid_walk.npy", PLAIN)
    left = (
        motion.body_pos[:, motion.body_id("left_thigh")] - motion.body_pos[:, motion.body_id("right_thigh")]
    )
    ahead = np.cross(left, [0.0, 0.0, 1.0])
    ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
    speed = (np.diff(motion.root_pos, axis=0) * motion.fps * ahead[:-1]).sum(axis=-1)
    assert speed.mean() > 1.4  # of 1.53 m/s in all


@NEEDS_REAL
def test_the_t_pose_of_the_cmu_skeleton_is_a_still_pose_of_human_size() -> None:
    (motion,) = read(REAL / "cmu_tpose.npy", PLAIN)
    assert (motion.num_frames, len(motion.body_names)) == (1, 38)
    assert motion.notes["meters_per_unit"] == pytest.approx(0.0564, abs=1e-4)  # an inch / 0.45
    height = np.ptp(motion.body_pos[0, :, 2])
    assert 1.4 < height < 1.7
    # the rest pose looks along x: its left hand is 0.67 m to the left
    assert motion.rest_pos[motion.body_id("LeftHand")] == pytest.approx([-0.03, 0.67, 0.23], abs=0.01)
    assert motion.rest_pos[motion.body_id("LeftToeBase"), 0] > 0.1
