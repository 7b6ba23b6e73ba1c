"""What the restricted reader of pickles gives is what was written."""

from __future__ import annotations

import collections
import pathlib
import pickle
from typing import Any

import numpy as np
import pytest

from parc_data.formats.pickles import MAX_PICKLE_BYTES, read_pickle_tree
from parc_motion.errors import DataError


def same(a: Any, b: Any) -> bool:
    """Equal in type, shape and every bit of arrays; OrderedDict counts as dict."""
    if isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and a.tobytes() == b.tobytes()
        )
    if isinstance(b, dict):
        return type(a) is dict and list(a) == list(b) and all(same(a[key], b[key]) for key in b)
    if isinstance(b, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


def through(value: Any, folder: pathlib.Path, protocol: int = 4, **words: Any) -> Any:
    path = folder / "value.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    return read_pickle_tree(path, **words)


RICH = {
    "numbers": [1, -(1 << 62), 2.5, float("inf"), True, None],
    "text": ["plain", "grün", ""],
    "nested": ({"a": [(), [], {}]}, (1, (2.0, 3.0))),
    "same": [1.0, 2.0, 3.0, 4.0, 5.0],
    "counts": (1, 2, 3, 4, 5),
    "mixed": [True, 1, 2.0, 3, 4, 5],
    7: "a number as key",
    "f4": np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),
    "f2": np.array([0.5], dtype=np.float16),
    "i8": np.arange(-3, 3),
    "u1": np.arange(3, dtype=np.uint8),
    "bool": np.array([True, False, True]),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "empty": np.zeros((0, 3)),
    "point": np.array(4.0),
    "nan": np.array([np.nan, np.inf]),
}


@pytest.mark.parametrize("protocol", range(6))
def test_a_tree_of_plain_values_and_arrays_comes_back_as_it_was(
    tmp_path: pathlib.Path, protocol: int
) -> None:
    assert same(through(RICH, tmp_path, protocol), RICH)


def test_numpy_numbers_become_plain_ones(tmp_path: pathlib.Path) -> None:
    value = [np.float32(0.4), np.int64(3), np.bool_(True), np.str_("x"), np.float64("nan")]
    got = through(value, tmp_path)
    assert [type(one) for one in got] == [float, int, bool, str, float]
    assert got[:4] == [float(np.float32(0.4)), 3, True, "x"]


def test_arrays_of_another_byte_order_come_in_that_of_the_machine(tmp_path: pathlib.Path) -> None:
    value = np.arange(4, dtype=">i4")
    got = through(value, tmp_path)
    assert got.tolist() == [0, 1, 2, 3]
    assert got.dtype == np.dtype("i4")


def test_arrays_of_text_become_lists(tmp_path: pathlib.Path) -> None:
    assert through([np.array(["Hips", "LHip"]), np.array([b"ab"]), np.array("x")], tmp_path) == [
        ["Hips", "LHip"], ["ab"], "x",
    ]  # fmt: skip


def test_an_ordered_dict_becomes_a_dict_in_its_order(tmp_path: pathlib.Path) -> None:
    value = collections.OrderedDict([("b", 1), ("a", np.zeros(2))])
    assert same(through(value, tmp_path), dict(value))


def test_an_array_that_occurs_twice_is_there_twice(tmp_path: pathlib.Path) -> None:
    one = np.arange(3.0)
    got = through([one, {"again": one}], tmp_path)
    assert same(got, [one, {"again": one}])


def test_a_pickle_of_python_2_is_read(tmp_path: pathlib.Path) -> None:
    # what Python 2 wrote for {'a': 'text', 'x': numpy.array([1.0])} with protocol 2: texts are strings of bytes
    path = tmp_path / "old.pkl"
    path.write_bytes(
        b"\x80\x02}q\x00(U\x01aU\x04textU\x01xcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b"
        b"\x87R(K\x01K\x01\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tb\x89U\x08\x00\x00\x00\x00\x00\x00\xf0?tbu."
    )
    assert same(read_pickle_tree(path), {"a": "text", "x": np.array([1.0])})


def test_one_pickled_object_in_an_npy_file_is_read(tmp_path: pathlib.Path) -> None:
    value = {"rotation": {"arr": np.eye(3)}, "fps": 30}
    np.save(tmp_path / "value.npy", np.array(value, dtype=object), allow_pickle=True)
    assert same(read_pickle_tree(tmp_path / "value.npy"), value)


def test_named_sections_are_unpickled_and_others_refused(tmp_path: pathlib.Path) -> None:
    inner = pickle.dumps([1, np.zeros(2)])
    assert same(through({"a": inner}, tmp_path, sections=("a",)), {"a": [1, np.zeros(2)]})
    with pytest.raises(DataError, match="it holds a value of type bytes"):
        through({"a": inner}, tmp_path, sections=("b",))


def test_a_number_of_more_than_64_bits_is_refused_with_its_size(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DataError, match="a number of 101 bits; numbers up to 64 bits are read"):
        through([1, 2, 3, 4, 1 << 100], tmp_path)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "large.pkl"
    with path.open("wb") as stream:
        stream.truncate(MAX_PICKLE_BYTES + 1)  # takes no space on the disk
    with pytest.raises(DataError, match="268 MB; pickles up to 268 MB are read"):
        read_pickle_tree(path)


def test_a_missing_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.pkl: cannot read: No such file"):
        read_pickle_tree(tmp_path / "nowhere.pkl")
