"""Boxes are read from .obj text, other shapes and damaged files are refused."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from parc_data.formats.obj import heights_of, read_boxes
from parc_motion.errors import DataError

QUADS = ("1 2 3 4", "5 6 7 8", "1 2 6 5", "2 3 7 6", "3 4 8 7", "4 1 5 8")


def corners(
    x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], yaw: float = 0.0
) -> np.ndarray:
    """Eight corners about the origin, then turned, ``[8, 3]``."""
    ring = [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]
    points = np.array([(*p, h) for h in z for p in ring])
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    return np.column_stack([points[:, :2] @ turn.T, points[:, 2]])


def obj_text(*boxes: np.ndarray, faces: tuple[str, ...] = QUADS) -> str:
    lines = ["# boxes", "o part", "vn 0 0 1"]
    for number, box in enumerate(boxes):
        lines += [f"v {p[0]:.8f} {p[1]:.8f} {p[2]:.8f}" for p in box]
        lines += ["f " + " ".join(f"{int(i) + 8 * number}//1" for i in face.split()) for face in faces]
    return "\n".join(lines) + "\n"


def write(folder: pathlib.Path, text: str) -> pathlib.Path:
    path = folder / "ground.obj"
    path.write_text(text)
    return path


def test_two_boxes_give_their_sizes_and_heights(tmp_path: pathlib.Path) -> None:
    text = obj_text(corners((0, 2), (0, 1), (0, 0.5)), corners((3, 4), (0, 1), (0, 0.2)))
    first, second = read_boxes(write(tmp_path, text))
    assert first.center == pytest.approx((1.0, 0.5))
    assert sorted(first.half) == pytest.approx([0.5, 1.0])
    assert (first.bottom, first.top, second.top) == pytest.approx((0.0, 0.5, 0.2))


def test_a_turned_box_covers_what_it_did_before_turning(tmp_path: pathlib.Path) -> None:
    yaw = 0.3
    (box,) = read_boxes(write(tmp_path, obj_text(corners((-1, 1), (-0.25, 0.25), (0, 1), yaw))))
    along, across = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    inside = [0.99 * along, -0.99 * along + 0.24 * across]
    outside = [1.01 * along, 0.26 * across, np.array([0.9, 0.0])]
    assert box.contains(np.array(inside)).all()
    assert not box.contains(np.array(outside)).any()


def test_the_highest_box_counts_where_two_overlap(tmp_path: pathlib.Path) -> None:
    boxes = read_boxes(
        write(tmp_path, obj_text(corners((0, 2), (0, 2), (0, 0.9)), corners((1, 3), (0, 2), (0, 0.2))))
    )
    xy = np.array([[0.5, 1.0], [1.5, 1.0], [2.5, 1.0], [5.0, 5.0]])
    assert heights_of(boxes, xy) == pytest.approx([0.9, 0.9, 0.2, 0.0])


def test_faces_with_their_own_vertices_are_joined(tmp_path: pathlib.Path) -> None:
    box = corners((0, 1), (0, 1), (0, 1))
    lines = []
    for face in QUADS:
        lines += ["v {} {} {}".format(*box[int(i) - 1]) for i in face.split()]
        lines.append("f -4 -3 -2 -1")
    (found,) = read_boxes(write(tmp_path, "\n".join(lines)))
    assert (found.center, found.top) == (pytest.approx((0.5, 0.5)), 1.0)


def test_scale_and_axes_are_applied(tmp_path: pathlib.Path) -> None:
    box = corners((0, 100), (0, 200), (0, 50))[:, [1, 2, 0]]  # y up, in centimeters; z goes to x, x to y
    turn = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    (found,) = read_boxes(write(tmp_path, obj_text(box)), turn, 0.01)
    assert found.center == pytest.approx((0.5, 1.0))
    assert found.top == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("v 0 0\nf 1 1 1\n", ":1: v: 2 coordinates, expected 3"),
        ("v 0 0 x\n", ":1: v: a coordinate is not a number"),
        ("v 0 0 nan\n", ":1: v: a coordinate is not finite"),
        ("v 0 0 0\nf 1 2 3\n", ":2: f: corner 2 does not exist, there are 1 vertices so far"),
        ("v 0 0 0\nf 1 a 3\n", ":2: f: corner 'a' is not the number of a vertex"),
        ("v 0 0 0\nf 0 0 0\n", ":2: f: corner 0 does not exist"),
        ("v 0 0 0\n", ": f: the file has no face"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "it has 3 distinct corners, a box has 8"),
        (obj_text(corners((0, 1), (0, 1), (0, 1)) + np.eye(8, 3) * 0.2), "from an upright box"),
        (obj_text(corners((0, 1e9), (0, 1), (0, 1))), "Is the scale right?"),
        ("", "the file is empty"),
    ],
    ids=["short", "text", "nan", "missing", "letter", "zero", "no-face", "triangle", "bent", "far", "empty"],
)
def test_other_things_are_refused_with_the_place(tmp_path: pathlib.Path, text: str, cause: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_boxes(path)
    assert str(caught.value).startswith(str(path))
    assert cause in str(caught.value)


def test_a_shape_that_is_no_box_is_refused_with_what_to_do(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(DataError) as caught:
        read_boxes(path)
    assert str(caught.value) == (
        f"{path}: part 1 of the faces: it has 3 distinct corners, a box has 8. "
        "Only upright boxes can become terrain; leave out other shapes."
    )
