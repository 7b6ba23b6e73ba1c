"""Names in clips become parts of paths: one that leads elsewhere is refused wherever a clip is read or made."""

import json
import pathlib

import numpy as np
import pytest

from parc_motion.clips import load_clip, save_clip
from parc_motion.errors import DataError
from parc_motion.storage import read_arrays, write_arrays
from parc_testing.builders import make_clip

UNSAFE = {
    "up": "../../../../../pwned/evil",
    "absolute": "/tmp/evil",
    "backslash": "..\\evil",
    "hidden": ".evil",
    "parent": "..",
    "empty": "",
    "nul": "a\0b",
    "line break": "a\nb",
    "long": "a" * 201,
}


def written(path: pathlib.Path, **header) -> pathlib.Path:
    """A clip file whose header says what no clip of ours would."""
    save_clip(path, make_clip())
    arrays, known = read_arrays(path)
    write_arrays(path, arrays, {**known, **header})
    return path


@pytest.mark.parametrize("name", UNSAFE.values(), ids=UNSAFE)
def test_clip_with_an_unsafe_name_is_not_read(tmp_path, name):
    with pytest.raises(
        DataError, match=r"x\.npz: the clip's name '.*' cannot be the name of a file: no slashes"
    ):
        load_clip(written(tmp_path / "x.npz", name=name))


@pytest.mark.parametrize(
    "name", [name for name in UNSAFE.values() if name], ids=[k for k in UNSAFE if k != "empty"]
)
def test_clip_with_an_unsafe_class_is_not_read(tmp_path, name):
    with pytest.raises(DataError, match=r"its class '.*' cannot be the name of a file"):
        load_clip(written(tmp_path / "x.npz", motion_class=name))


def test_name_that_is_not_text_is_not_read(tmp_path):
    with pytest.raises(DataError, match=r"x\.npz: field 'name' is 7, expected text\."):
        load_clip(written(tmp_path / "x.npz", name=7))


@pytest.mark.parametrize("name", ["walk 1", "laufen_äöü", "motions_0_0_opt_dm", "a.b-c", "(2)", "a" * 200])
def test_ordinary_names_are_read(tmp_path, name):
    clip = load_clip(written(tmp_path / "x.npz", name=name, motion_class=name))
    assert (clip.name, clip.motion_class) == (name, name)
    assert json.dumps(name) and np.isfinite(clip.root_pos).all()
