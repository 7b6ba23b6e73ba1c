"""Finding, weighing, merging and packing clips: which come in, where they go, and what is never touched."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from parc_data.command.info import info
from parc_data.command.merge import merge as merge_verb
from parc_data.command.pack import pack as pack_verb
from parc_data.command.weights import weights
from parc_data.tools.find import find_clips, load_found
from parc_data.tools.merge import MergeConfig, Merged, merge
from parc_data.tools.output import new_folder
from parc_data.tools.preprocess import Preprocessor
from parc_motion.clips import MotionDataset, PackedClips, load_clip, save_clip
from parc_motion.errors import CorruptArtifact, DataError, StorageError
from parc_motion.skeletons import load_skeleton
from parc_motion.storage import digest_file
from parc_testing.builders import make_clip, make_terrain


def put(folder: pathlib.Path, place: str, **override: Any) -> pathlib.Path:
    """Save a clip named after its file."""
    file = folder / f"{place}.npz"
    save_clip(file, make_clip(override.pop("frames", 30), **{"name": file.stem, **override}))
    return file


def places(folder: pathlib.Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def merged(*folders: pathlib.Path, into: pathlib.Path, **settings: Any) -> Merged:
    config = MergeConfig(folder_paths=tuple(map(str, folders)), save_path=str(into), **settings)
    return merge(config)


def test_class_is_the_first_sub_folder_else_the_clips_own(tmp_path):
    put(tmp_path, "run/fast/a")
    put(tmp_path, "b", motion_class="hop")
    put(tmp_path, "c", motion_class="")
    found = {clip.name: clip.motion_class for clip in map(load_found, find_clips([tmp_path]))}
    assert found == {"a": "run", "b": "hop", "c": tmp_path.name}


def test_names_with_ignore_are_not_seen_below_the_folder(tmp_path):
    root = tmp_path / "ignored_elsewhere"
    for place in ("run/a", "ignore/b", "run/old_ignore/c", "run/ignore_d"):
        put(root, place)
    assert [item.file.stem for item in find_clips([root])] == ["a"]


def test_a_file_that_is_named_twice_counts_once(tmp_path):
    file = put(tmp_path, "run/a")
    assert len(find_clips([file, tmp_path, tmp_path / "run"])) == 1


@pytest.mark.parametrize(
    ("name", "message"), [("nowhere", "does not exist"), ("empty", "no clip"), ("text.txt", "not a clip")]
)
def test_paths_without_clips_are_refused(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("")
    with pytest.raises(DataError, match=message):
        find_clips([tmp_path / name])


def test_info_sums_up_each_class(tmp_path):
    put(tmp_path, "run/a", frames=31, speed=2.0, terrain=make_terrain((20, 10)))
    put(tmp_path, "run/b", frames=31, speed=4.0, fps=60.0, contacts=np.zeros((31, 15)))
    put(tmp_path, "stand/c", frames=62)
    document = json.loads(run(info, tmp_path, "--json").output)
    row = document["classes"][0]
    assert (row["class"], row["clips"], row["frames"], row["fps"]) == ("run", 2, 62, [30.0, 60.0])
    assert row["seconds"] == pytest.approx(31 / 30 + 31 / 60, abs=1e-3)
    assert row["terrain_cells"] == [[12, 10], [20, 10]]
    assert (row["contact_share"], row["no_contacts"], row["weight"]) == (0.5, 1, 0.5)
    assert row["speed_m_s"] == pytest.approx([2.0, 3.0, 4.0], abs=1e-3)
    assert document["all"]["clips"] == 3


def test_info_prints_a_row_per_class_and_one_for_all(tmp_path):
    put(tmp_path, "run/a")
    put(tmp_path, "stand/b", terrain=None)
    output = run(info, tmp_path).output
    assert [word in output for word in ("run", "stand", "all", "12x10")] == [True] * 4


def test_weights_balance_classes_and_follow_length_inside(tmp_path):
    put(tmp_path, "run/a", frames=20)
    put(tmp_path, "run/b", frames=60)
    put(tmp_path, "climb/c", frames=15)
    assert run(weights, tmp_path, "-o", tmp_path / "set.yaml").exit_code == 0
    dataset = MotionDataset.load(tmp_path / "set.yaml")
    # half for each class; 20 and 60 of 80 frames within 'run'
    assert {e.name: e.weight for e in dataset.entries} == pytest.approx({"a": 0.125, "b": 0.375, "c": 0.5})


def test_a_class_may_be_sampled_more_often(tmp_path):
    put(tmp_path, "run/a")
    put(tmp_path, "climb/c")
    rows = json.loads(run(weights, tmp_path, "--class-weight", "climb=3", "--json").output)["classes"]
    assert {row["class"]: row["weight"] for row in rows} == pytest.approx({"run": 0.25, "climb": 0.75})
    assert isinstance(run(weights, tmp_path, "--class-weight", "swim=3").exception, DataError)
    assert run(weights, tmp_path, "--class-weight", "climb").exit_code == 2


def test_a_manifest_that_exists_is_kept_unless_told(tmp_path):
    put(tmp_path, "run/a")
    (tmp_path / "set.yaml").write_text("mine")
    assert isinstance(run(weights, tmp_path, "-o", tmp_path / "set.yaml").exception, StorageError)
    assert (tmp_path / "set.yaml").read_text() == "mine"
    assert run(weights, tmp_path, "-o", tmp_path / "set.yaml", "--overwrite").exit_code == 0


def test_merging_copies_clips_as_they_are_and_balances_them(tmp_path):
    first, second = put(tmp_path / "a", "run/x", motion_class="run"), put(tmp_path / "b", "run/y")
    before = [digest_file(first), digest_file(second)]
    result = merged(tmp_path / "a", tmp_path / "b", into=tmp_path / "out")
    assert places(tmp_path / "out") == ["dataset.yaml", "run/x.npz", "run/y.npz"]
    assert digest_file(tmp_path / "out/run/x.npz") == before[0]
    assert (
        load_clip(tmp_path / "out/run/y.npz").motion_class == "run"
    )  # its file says 'stand', its folder 'run'
    assert [entry.weight for entry in result.dataset.entries] == [0.5, 0.5]
    assert [clip.name for clip in result.dataset] == ["x", "y"]  # every digest is right
    assert [digest_file(first), digest_file(second)] == before


def test_equal_names_are_an_error_that_names_both_files(tmp_path):
    first, second = put(tmp_path / "a", "run/x"), put(tmp_path / "b", "jump/x")
    with pytest.raises(DataError) as caught:
        merged(tmp_path / "a", tmp_path / "b", into=tmp_path / "out")
    assert str(caught.value) == (
        f"two clips are called 'x': {first} and {second}. Rename one, or merge with --rename."
    )
    assert not (tmp_path / "out").exists()


def test_renaming_numbers_later_clips_and_avoids_taken_names(tmp_path):
    put(tmp_path / "a", "run/x")
    put(tmp_path / "a", "run/x_2")
    put(tmp_path / "b", "run/x")
    merged(tmp_path / "a", tmp_path / "b", into=tmp_path / "out", rename=True)
    assert places(tmp_path / "out") == ["dataset.yaml", "run/x.npz", "run/x_2.npz", "run/x_3.npz"]
    assert load_clip(tmp_path / "out/run/x_3.npz").name == "x_3"


def test_short_clips_wide_and_missing_terrains_are_left_out_with_reasons(tmp_path):
    put(tmp_path / "a", "run/short", frames=14)
    put(tmp_path / "a", "run/wide", terrain=make_terrain((3, 30)))
    put(tmp_path / "a", "run/none", terrain=None)
    put(tmp_path / "a", "run/good")
    result = merged(tmp_path / "a", into=tmp_path / "out", max_terrain_dim_y=29)
    assert [entry.name for entry in result.dataset.entries] == ["good"]
    assert [why for _, why in result.left_out] == [
        "it has no terrain", "14 frames, fewer than 15", "terrain of 3 x 30 cells"
    ]  # fmt: skip


def test_halving_keeps_every_second_clip_of_the_class_per_folder(tmp_path):
    for place in ("run/a", "run/b", "run/c", "climb/d", "climb/e"):
        put(tmp_path / "one", place)
    put(tmp_path / "two", "run/f")
    put(tmp_path / "two", "run/g")
    result = merged(
        tmp_path / "one", tmp_path / "two", into=tmp_path / "set.yaml",
        cut_some_classes_in_half=True, motion_classes_to_cut_in_half=("run",),
    )  # fmt: skip
    assert [entry.name for entry in result.dataset.entries] == ["d", "e", "a", "c", "f"]


def test_halving_a_class_that_no_clip_has_is_refused(tmp_path):
    put(tmp_path / "a", "run/x")
    result = run(merge_verb, tmp_path / "a", "-o", tmp_path / "out", "--halve", "walk")
    assert isinstance(result.exception, DataError)
    assert "no clip has class 'walk', which is to be cut in half; there are run." in str(result.exception)


def test_merging_preprocesses_what_lacks_it(tmp_path):
    file = put(tmp_path / "a", "run/x")
    merged(tmp_path / "a", into=tmp_path / "out", compute_preprocessing_data=True)
    clip = load_clip(tmp_path / "out/run/x.npz")
    assert clip.touched is not None
    assert clip.terrain.bounds is not None
    assert load_clip(file).touched is None


def test_settings_may_come_from_a_file_and_options_win(tmp_path):
    put(tmp_path / "a", "run/x", frames=20)
    put(tmp_path / "a", "run/y", frames=40)
    (tmp_path / "merge.yaml").write_text(
        f"folder_paths: [a]\nmin_num_frames: 30\nsave_path: {tmp_path / 'out'}\n"
    )
    document = json.loads(run(merge_verb, "--config", tmp_path / "merge.yaml", "--json").output)
    assert (document["clips"], document["left_out"][0]["why"]) == (1, "20 frames, fewer than 30")
    again = run(
        merge_verb, "--config", tmp_path / "merge.yaml", "--min-num-frames", "10", "--overwrite", "--json"
    )
    assert json.loads(again.output)["clips"] == 2


def test_an_output_folder_that_exists_is_kept_unless_told(tmp_path, caplog):
    put(tmp_path / "a", "run/x")
    put(tmp_path / "out", "old/y")
    result = run(merge_verb, tmp_path / "a", "-o", tmp_path / "out")
    assert isinstance(result.exception, StorageError)
    assert places(tmp_path / "out") == ["old/y.npz"]
    assert run(merge_verb, tmp_path / "a", "-o", tmp_path / "out", "--overwrite").exit_code == 0
    assert places(tmp_path / "out") == ["dataset.yaml", "run/x.npz"]
    assert "out: replaced; the 1 files that were there are gone" in caplog.text


def test_a_folder_with_other_peoples_files_is_never_replaced(tmp_path):
    put(tmp_path / "a", "run/x")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("")
    result = run(merge_verb, tmp_path / "a", "-o", tmp_path / "out", "--overwrite")
    assert isinstance(result.exception, StorageError)
    assert "holds thesis.tex, which `parc data` did not write" in str(result.exception)
    assert places(tmp_path / "out") == ["thesis.tex"]


def test_inputs_are_not_replaced_even_when_told(tmp_path):
    put(tmp_path / "a", "run/x")
    result = run(merge_verb, tmp_path / "a", "-o", tmp_path / "a", "--overwrite")
    assert isinstance(result.exception, StorageError)
    assert "inputs are never rewritten" in str(result.exception)


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out", []) as folder:
        put(folder, "run/x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_replaced_folder_stays_when_the_new_one_fails(tmp_path):
    put(tmp_path / "out", "old/y")
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out", [], overwrite=True):
        raise RuntimeError
    assert places(tmp_path) == ["out/old/y.npz"]


def test_packing_keeps_the_weights_of_a_manifest(tmp_path):
    put(tmp_path / "a", "run/x")
    put(tmp_path / "a", "climb/y")
    run(weights, tmp_path / "a", "-o", tmp_path / "set.yaml", "--class-weight", "run=4")
    assert (
        json.loads(run(pack_verb, tmp_path / "set.yaml", "-o", tmp_path / "s", "--json").output)["clips"] == 2
    )
    assert PackedClips.load(tmp_path / "s").weights.tolist() == pytest.approx([0.2, 0.8])


def test_checking_a_store_sees_damage_and_age(tmp_path):
    file = put(tmp_path / "a", "run/x")
    run(pack_verb, tmp_path / "a", "-o", tmp_path / "s")
    assert run(pack_verb, tmp_path / "a", "-o", tmp_path / "s", "--check").exit_code == 0
    save_clip(file, make_clip(31, name="x"))
    old = run(pack_verb, tmp_path / "a", "-o", tmp_path / "s", "--check").exception
    assert isinstance(old, DataError)
    assert "the store is stale" in str(old)
    run(pack_verb, tmp_path / "a", "-o", tmp_path / "s", "--overwrite")
    data = bytearray((tmp_path / "s" / "root_pos.npy").read_bytes())
    data[200] ^= 1
    (tmp_path / "s" / "root_pos.npy").write_bytes(data)
    assert isinstance(
        run(pack_verb, tmp_path / "a", "-o", tmp_path / "s", "--check").exception, CorruptArtifact
    )


def test_a_manifest_whose_clips_changed_is_not_packed(tmp_path):
    file = put(tmp_path / "a", "run/x")
    run(weights, tmp_path / "a", "-o", tmp_path / "set.yaml")
    save_clip(file, make_clip(31, name="x"))
    result = run(pack_verb, tmp_path / "set.yaml", "-o", tmp_path / "s")
    assert isinstance(result.exception, CorruptArtifact)
    assert not (tmp_path / "s").exists()


def test_preprocessing_marks_the_cells_under_the_body():
    skeleton = load_skeleton("humanoid")
    clip = Preprocessor(skeleton)(make_clip(2))
    # arms stretched out along y reach 0.92 m and more to each side of (0, 0), which is cell (2, 2) of 0.4 m
    assert {tuple(row) for row in clip.touched[:, 1:].tolist()} == {(2, j) for j in range(5)}
    assert clip.terrain.bounds[2, 2].tolist() == [0.0, 0.0]  # stands there
    assert clip.terrain.bounds[8, 8].tolist() == pytest.approx([-3.0, 0.881416 + 3.0])  # free


def test_preprocessing_leaves_done_work_alone_unless_told():
    prepare = Preprocessor(load_skeleton("humanoid"))
    clip = prepare(make_clip(5))
    assert prepare(clip, override=False) is clip
    assert prepare(clip) is not clip
