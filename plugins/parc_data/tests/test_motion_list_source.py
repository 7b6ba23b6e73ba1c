"""Motions of a list: files of several formats, and what is left out."""

from __future__ import annotations

import json
import pathlib
from types import SimpleNamespace

import pytest

from parc_core.config import Use
from parc_core.interfaces import SeedStreams
from parc_data.augment.source import AugmentedConfig, AugmentedSource
from parc_data.motion_list import ListConfig, ListSource
from parc_motion.clips import MotionClip, save_clip
from parc_motion.errors import DataError, SkeletonMismatch
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data"
SKELETON = load_skeleton("humanoid")


def source(path: pathlib.Path, *rows: dict, **settings) -> ListSource:
    """The source of a list with these rows; JSON is YAML, too."""
    (path / "list.yaml").write_text(json.dumps({"motions": rows}))
    config = ListConfig(path=str(path / "list.yaml"), **settings)
    return ListSource(config, skeleton=SKELETON, seeds=SeedStreams(0))


def read(path: pathlib.Path, *rows: dict, **settings) -> list[MotionClip]:
    return list(source(path, *rows, **settings).clips())


def test_order_is_that_of_the_list(tmp_path):
    for name in "abc":
        save_clip(tmp_path / f"{name}.npz", make_clip(name=name))
    found = read(tmp_path, *({"file": f"{name}.npz"} for name in "cab"))
    assert [clip.name for clip in found] == ["c", "a", "b"]


def test_class_is_that_of_the_list_then_the_clip_then_the_folder(tmp_path):
    folder = tmp_path / "vaults"
    save_clip(folder / "a.npz", make_clip(name="a", motion_class="own"))
    save_clip(folder / "b.npz", make_clip(name="b", motion_class=""))
    rows = [{"file": "vaults/a.npz", "class": "listed"}, {"file": "vaults/b.npz"}]
    assert [clip.motion_class for clip in read(tmp_path, *rows)] == ["listed", "vaults"]
    assert [clip.motion_class for clip in read(tmp_path, {"file": "vaults/a.npz"})] == ["own"]


def test_files_are_taken_from_the_folder_of_the_list_or_absolutely(tmp_path, monkeypatch):
    save_clip(tmp_path / "a.npz", make_clip(name="a"))
    (tmp_path / "lists").mkdir()
    monkeypatch.chdir("/")
    found = read(tmp_path / "lists", {"file": "../a.npz"})
    assert [clip.name for clip in found] == ["a"]
    found = read(tmp_path / "lists", {"file": str(tmp_path / "a.npz")})
    assert [clip.name for clip in found] == ["a"]


def test_short_clips_and_wide_terrains_are_left_out_and_named(tmp_path, caplog):
    save_clip(tmp_path / "a.npz", make_clip(name="a", frames=14))
    save_clip(tmp_path / "b.npz", make_clip(name="b", terrain=make_terrain((3, 21))))
    save_clip(tmp_path / "c.npz", make_clip(name="c", frames=15))
    rows = [{"file": f"{name}.npz"} for name in "abc"]
    assert [clip.name for clip in read(tmp_path, *rows, max_terrain_dim=20)] == ["c"]
    assert "a.npz: left out: 14 frames, fewer than 15" in caplog.text
    assert "b.npz: left out: terrain of 3 x 21 cells" in caplog.text
    with pytest.raises(DataError, match="none of its 1 motions can be used"):
        read(tmp_path, {"file": "a.npz"})


def test_clip_of_another_character_is_refused_by_name(tmp_path):
    save_clip(tmp_path / "a.npz", make_clip(name="a", skeleton="other"))
    with pytest.raises(SkeletonMismatch, match=r"a\.npz"):
        read(tmp_path, {"file": "a.npz"})


def test_file_of_no_known_format_is_refused_by_name(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a\.npz"):
        read(tmp_path, {"file": "a.npz"})


def test_clips_of_one_file_share_its_weight(tmp_path, monkeypatch):
    """No format holds several motions per file so far; the interface of formats allows it."""
    found = [SimpleNamespace(clip=make_clip(name=name)) for name in ("take_1", "take_2")]
    monkeypatch.setattr("parc_data.motion_list.detect", lambda path: SimpleNamespace(name="takes"))
    monkeypatch.setattr("parc_data.motion_list.import_file", lambda *arguments: found)
    (tmp_path / "takes.bin").write_bytes(b"takes")
    one = source(tmp_path, {"file": "takes.bin", "weight": 3})
    assert [one.weight_of(clip) for clip in one.clips()] == [1.5, 1.5]


def test_variations_have_the_weight_of_their_clip(tmp_path):
    save_clip(tmp_path / "a.npz", make_clip(20, name="a", speed=1.0))
    save_clip(tmp_path / "b.npz", make_clip(20, name="b", speed=1.0))
    rows = [{"file": "a.npz", "weight": 3}, {"file": "b.npz", "weight": 1}]
    config = source(tmp_path, *rows).config
    augmented = AugmentedSource(
        AugmentedConfig(
            source=Use("list", config),
            optimizer=Use("none"),
            variations=1,
        ),
        skeleton=SKELETON,
        seeds=SeedStreams(0),
    )
    found = {clip.name: augmented.weight_of(clip) for clip in augmented.clips()}
    assert len(found) >= 2
    assert {name[0]: weight for name, weight in found.items()} == {"a": 3.0, "b": 1.0}


@pytest.mark.parametrize(
    ("file", "frames"),
    [("parc/dec2024_teaser_717_1_opt_dm.pkl", 142), ("amp/amp_humanoid_walk.npy", 78)],
)
def test_real_files_of_other_formats_are_read(tmp_path, file, frames):
    path = REAL / file
    if not path.is_file():
        pytest.skip(f"{file} is not in {REAL}")
    one = source(tmp_path, {"file": str(path), "weight": 0.5, "class": "parkour"})
    (clip,) = one.clips()
    assert (clip.num_frames, clip.motion_class) == (frames, "parkour")
    assert one.weight_of(clip) == 0.5
