"""Joint positions are read with their names, unit, axes and rate, and with boxes beside them as ground."""

from __future__ import annotations

import json
import pathlib
import time

import numpy as np
import pytest

from parc_data.formats.format import ReadOptions
from parc_data.formats.joint_layouts import LAYOUTS, find_layout
from parc_data.formats.joints import FORMAT
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError
from parc_testing.levels import rounds

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data" / "climb"
NAMES = ("pelvis", "head", "left_foot", "right_foot")
MUTATIONS, NIGHTLY = 300, 25_000  # of each of four kinds
MAX_SECONDS = 2.0


def walker(frames: int = 20) -> np.ndarray:
    """Pelvis, head and two feet of a person who glides along x, z up, ``[T, 4, 3]`` m."""
    body = np.array([[0, 0, 0.9], [0, 0, 1.6], [0, 0.1, 0.05], [0, -0.1, 0.05]])
    shift = np.zeros((frames, 1, 3))
    shift[:, 0, 0] = 0.02 * np.arange(frames)
    return body + shift


def layout_body(number: int, frames: int = 10) -> np.ndarray:
    """A body that fits a known layout: 10 cm bones, downwards for the left and right chains, else upwards."""
    layout = LAYOUTS[number]
    pos = np.zeros((len(layout.names), 3))
    for joint, (name, parent) in enumerate(zip(layout.names, layout.parents)):
        if parent >= 0:
            side = 1.0 if "left" in name.lower() else -1.0 if "right" in name.lower() else 0.0
            pos[joint] = pos[parent] + np.array([0.0, 0.05 * side, 0.2 if side == 0 else -0.2])
    return np.repeat(pos[None] + [0.0, 0.0, 1.0], frames, axis=0)


def save(folder: pathlib.Path, positions: np.ndarray, **extra: object) -> pathlib.Path:
    path = folder / "walk.npz"
    np.savez(path, joint_positions=positions, **{"joint_names": np.array(NAMES), "fps": 60.0, **extra})
    return path


def read(path: pathlib.Path, **options: object) -> SourceMotion:
    (motion,) = FORMAT.read(path, ReadOptions(**options))
    return motion


def box_text(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]) -> str:
    points = [(a, b, c) for c in z for a, b in ((x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1]))]
    faces = ("1 2 3 4", "5 6 7 8", "1 2 6 5", "2 3 7 6", "3 4 8 7", "4 1 5 8")
    return "\n".join(["v {} {} {}".format(*p) for p in points] + [f"f {face}" for face in faces]) + "\n"


def test_named_joints_keep_their_places(tmp_path: pathlib.Path) -> None:
    motion = read(save(tmp_path, walker()))
    assert (motion.fps, motion.num_frames, motion.body_names[0]) == (60.0, 20, "pelvis")
    for column, name in enumerate(NAMES):
        assert motion.body_pos[:, motion.body_id(name)] == pytest.approx(walker()[:, column])
    assert motion.terrain is None


def test_parents_of_the_file_are_kept_in_another_order(tmp_path: pathlib.Path) -> None:
    names = np.array(["head", "left_foot", "pelvis", "right_foot"])
    motion = read(
        save(tmp_path, walker()[:, [1, 2, 0, 3]], joint_names=names, parents=np.array([2, 2, -1, 1]))
    )
    bones = {name: motion.body_names[p] for name, p in zip(motion.body_names, motion.parents) if p >= 0}
    assert bones == {"head": "pelvis", "left_foot": "pelvis", "right_foot": "left_foot"}
    assert motion.root_pos == pytest.approx(walker()[:, 0])


def test_bones_are_found_by_their_constant_length(tmp_path: pathlib.Path) -> None:
    # the hand is rigid with the head although it mostly is nearer to the foot
    pos = walker(40)
    swing = 0.5 * np.sin(np.arange(40))
    pos[:, 1, :2] += np.stack([swing, swing], axis=-1)
    pos[:, 3] = pos[:, 1] + [0.0, 0.9, -0.9]
    motion = read(save(tmp_path, pos, joint_names=np.array(["pelvis", "head", "foot", "hand"])))
    assert motion.body_names[motion.parents[motion.body_id("hand")]] == "head"


@pytest.mark.parametrize(
    ("unit", "scale"), [(1.0, 1.0), (100.0, 0.01), (1000.0, 0.001)], ids=["m", "cm", "mm"]
)
def test_the_unit_is_found_from_the_size_of_the_body(
    tmp_path: pathlib.Path, unit: float, scale: float
) -> None:
    motion = read(save(tmp_path, walker() * unit))
    assert motion.notes["scale"] == scale
    assert motion.root_pos == pytest.approx(walker()[:, 0])


def test_y_up_is_found_and_turned(tmp_path: pathlib.Path) -> None:
    motion = read(save(tmp_path, walker()[:, :, [1, 2, 0]]))  # y up, z ahead
    assert motion.notes["up"] == "y"
    assert motion.root_pos == pytest.approx(walker()[:, 0])


def test_options_come_before_the_file(tmp_path: pathlib.Path) -> None:
    motion = read(save(tmp_path, walker()), fps=25.0, scale=2.0, joint_names=("root", "a", "b", "c"), up="z")
    assert (motion.fps, motion.body_names[0]) == (25.0, "root")
    assert motion.root_pos[0, 2] == pytest.approx(1.8)


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_sidecar_names_and_chooses_columns(tmp_path: pathlib.Path, suffix: str) -> None:
    path = tmp_path / "walk.npy"
    np.save(path, walker())
    names = {"pelvis": 0, "right_foot": 3, "head": 1}
    text = json.dumps({"joint_names": names, "fps": 50})
    path.with_suffix(suffix).write_text(text)
    motion = read(path)
    assert (set(motion.body_names), motion.fps) == (set(names), 50.0)
    assert motion.body_pos[:, motion.body_id("right_foot")] == pytest.approx(walker()[:, 3])


@pytest.mark.parametrize("number", range(len(LAYOUTS)), ids=[one.title for one in LAYOUTS])
def test_known_layouts_are_recognized_and_told_apart(number: int) -> None:
    assert find_layout(layout_body(number)) is LAYOUTS[number]


def test_positions_that_fit_no_layout_need_names(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "walk.npy"
    np.save(path, np.random.default_rng(0).normal(size=(30, 53, 3)))
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path}: joint_names: the file does not name its 53 joints and they fit no known layout. Give the names of "
        "the columns as 'joint_names' in the .npz, or in walk.json beside it."
    )


def test_a_box_beside_it_becomes_ground(tmp_path: pathlib.Path) -> None:
    # the walker stands on a box of 0.4 m from x = 0.21 on
    pos = walker(60)
    pos[..., 2] += np.where(pos[:, :1, 0] > 0.21, 0.4, 0.0)
    path = save(tmp_path, pos)
    (tmp_path / "step.obj").write_text(box_text((0.21, 5.0), (-2.0, 2.0), (0.0, 0.4)))
    motion = read(path)
    feet = motion.body_pos[:, [motion.body_id("left_foot"), motion.body_id("right_foot")]]
    above = feet[..., 2] - motion.terrain.height_at(feet[..., :2])
    assert above == pytest.approx(0.05, abs=1e-6)
    half = 0.5 * motion.terrain.cell
    assert (motion.root_pos[:, :2].min(axis=0) - (motion.terrain.origin_xy - half) >= 1.6).all()
    assert (motion.terrain.max_xy + half - motion.root_pos[:, :2].max(axis=0) >= 1.6).all()


def test_boxes_are_in_the_unit_and_axes_of_the_positions(tmp_path: pathlib.Path) -> None:
    path = save(tmp_path, 100.0 * walker()[:, :, [1, 2, 0]])  # centimeters, y up
    text = box_text((-200.0, 200.0), (0.0, 30.0), (-10.0, 500.0))
    (tmp_path / "walk.obj").write_text(text)
    assert read(path).terrain.height.max() == pytest.approx(0.3)


def test_the_obj_of_the_same_name_comes_before_others(tmp_path: pathlib.Path) -> None:
    path = save(tmp_path, walker())
    (tmp_path / "walk.obj").write_text(box_text((0, 1), (0, 1), (0, 0.3)))
    (tmp_path / "other.obj").write_text("v 0 0 0\nnonsense\n")
    assert read(path).notes["box_files"] == ["walk.obj"]


def test_a_box_in_the_air_is_refused(tmp_path: pathlib.Path) -> None:
    path = save(tmp_path, walker())
    (tmp_path / "bar.obj").write_text(box_text((0, 1), (0, 2), (1.5, 1.7)))
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path}: the box at x 0.50, y 1.00 begins 1.50 m above the ground with nothing below it; terrain has no "
        "overhangs. Extend it to the ground, or remove it."
    )


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"joint_names": np.array(["a", "b"])}, "joint_names: 2 names for 4 joints"),
        ({"joint_names": np.array(["a", "a", "b", "c"])}, "repeated"),
        ({"parents": np.array([1, 0, 0, 0])}, "parents: 0 roots"),
        ({"parents": np.array([-1, 2, 1, 0])}, "form a cycle"),
        ({"parents": np.array([-1, 0, 0, 9])}, "indices below 4"),
        ({"fps": 0.0}, "fps: '0.0', expected a number above 0"),
        ({"positions_": np.zeros((5, 4))}, "expected numbers [T, J, 3]"),
        ({"positions_": np.full((5, 4, 3), np.nan)}, "nan at index [0, 0, 0]"),
        ({"positions_": walker() * 1e5}, "which is not the size of a person in m, cm or mm"),
        ({"positions_": walker() * [1, 1, -1]}, "so that axis points down"),
    ],
    ids=["names", "twice", "no-root", "circle", "index", "fps", "shape", "nan", "unit", "down"],
)
def test_what_does_not_fit_is_refused(tmp_path: pathlib.Path, change: dict, cause: str) -> None:
    path = save(tmp_path, change.pop("positions_", walker()), **change)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert cause in str(caught.value)


def test_a_file_without_rate_asks_for_it(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "walk.npz"
    np.savez(path, positions=walker(), joint_names=np.array(NAMES))
    with pytest.raises(DataError, match=r"walk.npz: fps: its frame rate is unknown"):
        read(path)


def test_pickled_objects_are_not_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "bad.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert not FORMAT.recognizes(path, path.read_bytes()[:4096])
    with pytest.raises(DataError, match=r"positions is pickled \(dtype object\), which is not read"):
        read(path)


def test_only_files_of_positions_are_recognized(tmp_path: pathlib.Path) -> None:
    good = [save(tmp_path, walker()), tmp_path / "a.npy"]
    np.save(good[1], walker())
    other = [tmp_path / "b.npy", tmp_path / "c.npz"]
    np.save(other[0], np.zeros((5, 4)))
    np.savez(other[1], poses=np.zeros((5, 72)), trans=np.zeros((5, 3)))
    assert [FORMAT.recognizes(path, path.read_bytes()[:4096]) for path in good + other] == [
        True,
        True,
        False,
        False,
    ]


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with a few changed, a part cut out, doubled or replaced by noise."""
    changed = bytearray(data)
    at = int(rng.integers(len(changed))) if rng.random() < 0.5 else int(rng.integers(min(len(changed), 300)))
    kind = rng.integers(5)
    if kind == 0:
        for _ in range(rng.integers(1, 8)):
            changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
    elif kind == 1:
        del changed[at:]
    elif kind == 2:
        del changed[at : at + int(rng.integers(1, 40))]
    elif kind == 3:
        changed[at:at] = changed[at : at + int(rng.integers(1, 200))]
    else:
        changed[at : at + 8] = rng.bytes(8)
    return bytes(changed)


@pytest.mark.parametrize("which", ["npz", "npy", "obj", "sidecar"])
def test_damaged_files_give_one_clear_error_or_a_motion(tmp_path: pathlib.Path, which: str, measured) -> None:
    rng = np.random.default_rng(5)
    path = tmp_path / "walk.npy"
    np.save(path, walker())
    sidecar = path.with_suffix(".json")
    sidecar.write_text(json.dumps({"joint_names": list(NAMES), "parents": [-1, 0, 0, 0], "fps": 50}))
    (tmp_path / "walk.obj").write_text(box_text((0, 1), (0, 1), (0, 0.3)))
    target = {"npy": path, "obj": tmp_path / "walk.obj", "sidecar": sidecar}.get(which)
    if which == "npz":
        target = path = save(tmp_path, walker(), parents=np.array([-1, 0, 0, 0]))
        sidecar.unlink()
    original, count, refused, slowest = target.read_bytes(), 0, 0, 0.0
    for _ in rounds(pr=MUTATIONS, nightly=NIGHTLY):
        target.write_bytes(mutated(original, rng))
        started, count = time.process_time(), count + 1
        FORMAT.recognizes(path, path.read_bytes()[:4096])
        try:
            read(path)
        except DataError as err:
            refused += 1
            assert str(tmp_path) in str(err)
        slowest = max(slowest, time.process_time() - started)
    measured(f"mutated files, joints ({which})", f"{count}, {refused} refused; at most {slowest:.2f} s CPU")
    assert refused > count // 10
    assert slowest < MAX_SECONDS


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no climb at {REAL}")
def test_the_climb_stands_on_its_boxes() -> None:
    path = REAL / "mocap_climb_seq_1" / "mocap_climb_seq_1_joint_positions_f0-2422.npy"
    assert FORMAT.recognizes(path, path.read_bytes()[:4096])
    motion = read(path)
    assert (motion.num_frames, motion.fps, motion.notes["scale"]) == (2423, 120.0, 1.0)
    assert sorted(np.unique(motion.terrain.height)) == pytest.approx([0.0, 0.18, 0.95])
    assert motion.notes["ground_off_share"] < 0.01
    # standing toes are a few centimeters over the ground: on the low box first, on the high one in between
    toe = motion.body_pos[:, motion.body_id("LeftToeBase")]
    speed = np.linalg.norm(np.gradient(toe, axis=0), axis=-1) * motion.fps
    over = toe[:, 2] - motion.terrain.height_at(toe[:, :2])
    standing = over[(speed < 0.1) & (over < 0.3)]
    assert 0.0 < np.quantile(standing, 0.05) < np.quantile(standing, 0.95) < 0.06
    assert motion.terrain.height_at(toe[0, :2]) == pytest.approx(0.18)
    assert motion.terrain.height_at(toe[1150, :2]) == pytest.approx(0.95)
