"""Data sets of runs: motion lists with weights and classes, how clips are weighted, and the classes of recordings."""

from __future__ import annotations

import json
import pathlib
import pickle
from types import SimpleNamespace

import attrs
import numpy as np
import pytest
import yaml

from parc_core.cli.main import main
from parc_core.config import IterationConfig, Use, load_iteration
from parc_core.plugins import Registry
from parc_core.runner.run import contexts
from parc_core.stages import kin_gen, train_gen, train_tracker
from parc_core.stages.given import given_clips
from parc_core.stages.manifests import balance
from parc_core.stages.weighting import weighted
from parc_motion.clips import (
    DatasetEntry,
    MotionDataset,
    action_class,
    class_balanced_weights,
    load_clip,
    save_clip,
)
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain

MANIFEST_ROW = {
    "file": "a.npz", "name": "a", "class": "walk", "weight": 1.0, "num_frames": 30, "fps": 30.0, "origin": "input",
    "sha256": "0",
}  # fmt: skip
GIVEN = ("train_gen.dataset", "train_tracker.dataset", "phys_record.dataset")


@pytest.fixture
def lists(home: pathlib.Path) -> pathlib.Path:
    """Folder ``lists`` with clips of two classes beside it, and an iteration file that names ``lists/mixed.yaml``."""
    for name, motion_class, frames in (("a", "walk", 30), ("b", "walk", 60), ("c", "climb", 30)):
        save_clip(home / "some" / f"{name}.npz", make_clip(frames, name=name, motion_class=motion_class))
    (home / "lists").mkdir()
    text = (home / "quick.yaml").read_text().replace("dataset: [./clips]", "dataset: [lists/mixed.yaml]")
    (home / "listed.yaml").write_text(text.replace("name: quick", "name: listed"))
    return home / "lists"


def write_list(path: pathlib.Path, *rows: tuple, **more) -> pathlib.Path:
    """A list in the published form; a row is file, weight and perhaps class."""
    keys = ("file", "weight", "class")
    path.write_text(yaml.safe_dump({"motions": [dict(zip(keys, row)) for row in rows], **more}))
    return path


def published(path: pathlib.Path) -> pathlib.Path:
    """A motion-terrain file of the published system."""
    clip, terrain = make_clip(frames=20), make_terrain()
    motion = {
        "root_pos": np.array(clip.root_pos), "root_rot": np.array(clip.root_rot),
        "joint_rot": np.array(clip.joint_rot), "body_contacts": np.array(clip.contacts),
        "fps": np.float32(30.0), "loop_mode": "CLAMP",
    }  # fmt: skip
    ground = {"hf": np.array(terrain.height), "min_point": np.array(terrain.origin_xy), "dx": 0.4}
    sections = {"motion_data": pickle.dumps(motion), "terrain_data": pickle.dumps(ground), "misc_data": None}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(sections))
    return path


def of_run(home: pathlib.Path, below: str) -> dict[str, DatasetEntry]:
    """Entries of a manifest of the run, by name."""
    entries = MotionDataset.load(home / "runs" / "listed" / below).entries
    return {entry.name: entry for entry in entries}


def weights(entries) -> dict[str, float]:
    return {entry.name: entry.weight for entry in entries}


# motion lists as sources ------------------------------------------------------------------------------------------


def test_published_list_is_a_motion_source_and_keeps_weights_and_classes(parc, home, lists):
    published(home / "old" / "vault" / "d.pkl")
    rows = (("../some/a.npz", 3), ("../some/c.npz", 1.0, "vault"), ("../old/vault/d.pkl", 2))
    write_list(lists / "mixed.yaml", *rows)
    code, _, err = parc("listed.yaml", "--only", "train_gen")
    assert code == 0, err
    entries = of_run(home, "inputs/00_list/clips.yaml")
    assert weights(entries.values()) == pytest.approx({"a": 1.5, "c": 0.5, "d": 1.0})  # 3 : 1 : 2, mean 1
    assert {name: entry.motion_class for name, entry in entries.items()} == {
        "a": "walk",  # the clip's own
        "c": "vault",  # the list's
        "d": "vault",  # the folder's
    }
    assert load_clip(entries["c"].file).motion_class == "vault"
    # classes: walk 1/2 * 1.5, vault 1/2 split by length 30 : 20, times 0.5 and 1
    parts = {"a": 0.5 * 1.5, "c": 0.5 * 0.6 * 0.5, "d": 0.5 * 0.4 * 1.0}
    expected = {name: part / sum(parts.values()) for name, part in parts.items()}
    assert weights(of_run(home, "iter_001/dataset.yaml").values()) == pytest.approx(expected)


def test_manifest_of_parc_data_is_a_motion_source_whose_weights_are_sampled_under_balance_clip(
    parc, home, lists
):
    with pytest.raises(SystemExit) as ended:
        main(["data", "weights", "some", "-o", "lists/mixed.yaml", "--class-weight", "climb=3"])
    assert ended.value.code in (0, None)
    assert parc("listed.yaml", "--only", "train_gen", "--set", "balance=clip")[0] == 0
    # walk has a quarter, by length 30 : 60, climb three quarters
    expected = {"a": 1 / 12, "b": 2 / 12, "c": 9 / 12}
    assert weights(of_run(home, "iter_001/dataset.yaml").values()) == pytest.approx(expected)


def test_weights_that_count_length_already_are_named(parc, home, lists):
    with pytest.raises(SystemExit):
        main(["data", "weights", "some", "-o", "lists/mixed.yaml"])
    text = "00_list: its weights are in proportion to length inside every class already"
    once, again = "balance=clip", "balance=class"
    assert text not in parc("listed.yaml", "--only", "train_gen", "--set", once)[2]
    redo = ("--redo", "inputs", "--only", "train_gen")
    assert text in parc("listed.yaml", *redo, "--set", again)[2]
    write_list(lists / "mixed.yaml", ("../some/a.npz", 1), ("../some/b.npz", 3), ("../some/c.npz", 1))
    assert text not in parc("listed.yaml", *redo)[2]


def test_merged_data_set_is_a_motion_source(parc, home, lists):
    with pytest.raises(SystemExit) as ended:
        main(["data", "merge", "some", "clips", "-o", "lists/mixed.yaml"])
    assert ended.value.code in (0, None)
    assert parc("listed.yaml", "--only", "train_gen")[0] == 0
    assert sorted(of_run(home, "iter_001/dataset.yaml")) == ["a", "b", "c", "walk"]


def test_weights_of_a_source_and_of_its_list_multiply(parc, home, lists):
    write_list(lists / "mixed.yaml", ("../some/a.npz", 1), ("../some/b.npz", 3))
    text = (home / "listed.yaml").read_text()
    sources = "dataset: [{use: lists/mixed.yaml, weight: 2}, ./clips]"
    (home / "listed.yaml").write_text(text.replace("dataset: [lists/mixed.yaml]", sources))
    assert parc("listed.yaml", "--only", "train_gen", "--set", "balance=clip")[0] == 0
    # list: 0.5 and 1.5 on average 1, times 2; the folder's clip 1
    expected = {"a": 1 / 5, "b": 3 / 5, "walk": 1 / 5}
    assert weights(of_run(home, "iter_001/dataset.yaml").values()) == pytest.approx(expected)


def test_edited_weight_shows_in_the_plan_and_redo_takes_it(parc, home, lists):
    write_list(lists / "mixed.yaml", ("../some/a.npz", 1), ("../some/b.npz", 1))
    assert parc("listed.yaml", "--only", "train_gen")[0] == 0
    folder = str(home / "runs" / "listed")
    assert inputs_row(parc(folder, "--dry-run", "--json")[1])["changed"] == []
    write_list(lists / "mixed.yaml", ("../some/a.npz", 1), ("../some/b.npz", 3))
    row = inputs_row(parc(folder, "--dry-run", "--json")[1])
    assert row["state"] == "finished" and "mixed.yaml" in row["changed"][0]
    assert parc(folder, "--redo", "inputs", "--only", "train_gen")[0] == 0
    assert weights(of_run(home, "inputs/00_list/clips.yaml").values()) == {"a": 0.5, "b": 1.5}


def test_edited_clip_of_a_published_list_shows_in_the_plan(parc, home, lists):
    write_list(lists / "mixed.yaml", ("../some/a.npz", 1))
    assert parc("listed.yaml", "--only", "train_gen")[0] == 0
    save_clip(home / "some" / "a.npz", make_clip(31, name="a", motion_class="walk"))
    changed = inputs_row(parc(str(home / "runs" / "listed"), "--dry-run", "--json")[1])["changed"]
    assert len(changed) == 1 and "a.npz" in changed[0]


def test_finished_inputs_stay_when_the_list_is_gone(parc, home, lists):
    write_list(lists / "mixed.yaml", ("../some/a.npz", 1))
    assert parc("listed.yaml", "--only", "train_gen")[0] == 0
    (lists / "mixed.yaml").unlink()
    assert parc(str(home / "runs" / "listed"), "--only", "kin_gen")[0] == 0


def inputs_row(plan: dict) -> dict:
    return next(row for row in plan["jobs"] if row["stage"] == "inputs")


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (("../some/a.npz", -1), "motion 2 ('../some/a.npz') has weight -1, expected a number of 0 or more"),
        (("../some/a.npz", float("nan")), "has weight nan, expected a number"),
        (("../some/a.npz", True), "has weight True, expected a number"),
        (("../some/a.npz", "much"), "has weight 'much', expected a number"),
        (("../some/z.npz", 1), "1 of 2 files are missing, the first is"),
        (("../some/a.npz", 1, "../../evil"), "its class '../../evil' cannot be the name of a file"),
        (("", 1), "motion 2: file is '', expected the path of a motion"),
    ],
    ids=["negative", "NaN", "boolean", "text", "missing", "hostile class", "no file"],
)
def test_wrong_row_of_a_list_is_one_error_before_other_sources_are_imported(parc, home, lists, row, text):
    write_list(lists / "mixed.yaml", ("../some/b.npz", 1), row)
    listed = (home / "listed.yaml").read_text()
    (home / "listed.yaml").write_text(listed.replace("[lists/mixed.yaml]", "[./clips, lists/mixed.yaml]"))
    code, _, err = parc("listed.yaml")
    assert code == 65
    assert text in err and "mixed.yaml" in err
    assert not (home / "runs" / "listed" / "inputs").exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("motions: [{file: a.npz, wieght: 2}]", "unknown key 'wieght'. Known are file, weight, class"),
        ("motions: [{file: a.npz}]\nfps: 30", "unknown key 'fps'. Known are motions"),
        ("motions: [{file: a.npz, weight: 0}]", "all 1 weights are 0, expected one above 0"),
        ("motions: [a.npz]", "motion 1 is 'a.npz', expected `file:` and `weight:`"),
        ("clips: []", "not a motion list. Expected `motions:`"),
        ("motions: [", "not a YAML file"),
        ('{"format": 1, "motions": [{"file": "a.npz", "weight": 1}]}', "'name' is missing from a manifest"),
        (
            json.dumps({"format": 1, "motions": [{**MANIFEST_ROW, "fps": 0}]}),
            "fps is 0, expected a number above 0",
        ),
        (
            json.dumps({"format": 1, "motions": [{**MANIFEST_ROW, "name": None}]}),
            "its name is None, expected text",
        ),
        ('{"format": 9, "motions": []}', "manifest of format 9; this version reads 2"),
        ("motions: []", "names no motion"),
    ],
    ids=[
        "key",
        "key above",
        "zero",
        "row",
        "no list",
        "no YAML",
        "missing key",
        "fps",
        "name",
        "format",
        "empty",
    ],
)
def test_wrong_list_is_one_error(parc, home, lists, content, text):
    (lists / "mixed.yaml").write_text(content)
    code, _, err = parc("listed.yaml")
    assert code == 65 and text in err and "mixed.yaml" in err


def test_missing_list_is_an_error(parc, home, lists):
    code, _, err = parc("listed.yaml")
    assert code == 65 and "mixed.yaml: no such file" in err


def test_clip_that_changed_since_its_manifest_was_made_is_an_error(parc, home, lists):
    with pytest.raises(SystemExit):
        main(["data", "weights", "some", "-o", "lists/mixed.yaml"])
    save_clip(home / "some" / "a.npz", make_clip(31, name="a", motion_class="walk"))
    code, _, err = parc("listed.yaml")
    assert code == 65 and "a.npz: changed since" in err


def test_equal_names_in_a_list_are_an_error(parc, home, lists):
    save_clip(home / "other" / "a.npz", make_clip(30, name="a"))
    write_list(lists / "mixed.yaml", ("../some/a.npz", 1), ("../other/a.npz", 1))
    code, _, err = parc("listed.yaml")
    assert code == 65 and "two clips are called 'a'" in err


def test_numbers_without_a_point_are_weights(lists):
    (lists / "mixed.yaml").write_text(
        "motions:\n- {file: ../some/a.npz, weight: 1e-3}\n- {file: ../some/b.npz, weight: 3e-3}\n"
    )
    assert MotionDataset.load(lists / "mixed.yaml").weights.tolist() == pytest.approx([0.25, 0.75])


# lists as the input of a stage ------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", GIVEN)
def test_stage_takes_a_published_list(lists, setting):
    path = write_list(lists / "mixed.yaml", ("../some/a.npz", 1), ("../some/c.npz", 3, "vault"))
    found = given_clips(setting, str(path), "input")
    assert weights(found.entries) == {"a": 0.25, "c": 0.75}
    assert [entry.motion_class for entry in found.entries] == ["walk", "vault"]
    assert [clip.num_frames for clip in found] == [30, 30]


def test_generator_trains_on_a_published_list(parc, home, lists):
    path = write_list(lists / "mixed.yaml", ("../some/a.npz", 1), ("../some/c.npz", 3))
    assert parc("quick.yaml", "--only", "train_gen", "--set", f"train_gen.dataset={path}")[0] == 0
    record = json.loads((home / "runs" / "quick" / "iter_001" / "p1_train_gen" / "DONE.json").read_text())
    assert record["key_fields"]["inputs"]["dataset"] == MotionDataset.load(path).digest
    assert record["summary"]["in"] == 2


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (("d.pkl", 1), "d.pkl is not a clip (.npz). Lists of other files can be a motion source"),
        (("z.npz", 1), "1 of 1 files are missing"),
        (("d.pkl", -1), "has weight -1"),
    ],
    ids=["pickle", "missing", "weight"],
)
def test_stage_refuses_a_list_by_the_name_of_the_setting(lists, row, text):
    published(lists / "d.pkl")
    path = write_list(lists / "mixed.yaml", row)
    with pytest.raises(DataError) as caught:
        given_clips("train_gen.dataset", str(path), "input")
    assert str(caught.value).startswith("train_gen.dataset: ") and text in str(caught.value)


# balance, class_weights, recorded_share ---------------------------------------------------------------------------


def entry(
    name: str, motion_class: str, frames: int, origin: str = "input", folder: str = "x"
) -> DatasetEntry:
    return DatasetEntry(
        file=pathlib.Path("/") / folder / f"{name}.npz", name=name, motion_class=motion_class, num_frames=frames,
        fps=30.0, digest=name, origin=origin,
    )  # fmt: skip


def config(**settings) -> IterationConfig:
    return IterationConfig(parc=1, name="x", dataset=(Use("folder"),), **settings)


INPUTS = [entry("a", "walk", 30), entry("b", "walk", 90), entry("c", "climb", 60)]
RECORDED = [
    entry("m_0", "walk", 30, "recorded", "motions_0_49"),
    entry("m_1", "walk", 30, "recorded", "motions_0_49"),
    entry("m_50", "climb", 60, "recorded", "motions_50_99"),
]


def test_default_weights_are_those_of_balanced_classes_to_the_last_bit():
    entries = [attrs.evolve(one, weight=0.7 + 0.1 * k) for k, one in enumerate(INPUTS + RECORDED)]
    plain = class_balanced_weights([one.motion_class for one in entries], [one.length for one in entries])
    plain = plain * np.array([one.weight for one in entries])
    plain = plain / plain.sum()
    assert [one.weight for one in weighted(entries, config())] == plain.tolist()
    assert [one.weight for one in balance(entries)] == plain.tolist()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [1 / 8, 3 / 8, 1 / 2]),
        ({"balance": "clip"}, [1 / 3, 1 / 3, 1 / 3]),
        ({"balance": "length"}, [1 / 6, 3 / 6, 2 / 6]),
        ({"class_weights": {"climb": 3.0}}, [1 / 16, 3 / 16, 3 / 4]),
        ({"class_weights": {"climb": 0.0}}, [1 / 4, 3 / 4, 0.0]),
        ({"balance": "clip", "class_weights": {"climb": 2.0}}, [1 / 4, 1 / 4, 1 / 2]),
        ({"recorded_share": 0.9}, [1 / 8, 3 / 8, 1 / 2]),  # nothing is recorded yet
    ],
    ids=str,
)
def test_settings_weigh_the_data_set(settings, expected):
    found = [one.weight for one in weighted(INPUTS, config(**settings))]
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # walk by length 30 : 90 : 30 : 30, climb 60 : 60
        ({}, [1 / 12, 3 / 12, 1 / 4, 1 / 12, 1 / 12, 1 / 4]),
        ({"recorded_share": 0.2}, [0.1, 0.3, 0.4, 0.05, 0.05, 0.1]),
        ({"recorded_share": 0.0}, [1 / 8, 3 / 8, 1 / 2, 0.0, 0.0, 0.0]),
        ({"recorded_share": 1.0}, [0.0, 0.0, 0.0, 1 / 4, 1 / 4, 1 / 2]),
        ({"recorded_share": 0.5, "balance": "clip"}, [1 / 6] * 6),
        # four classes: walk and climb of the inputs, motions_0_49 and motions_50_99
        ({"recorded_share": "published"}, [1 / 16, 3 / 16, 1 / 4, 1 / 8, 1 / 8, 1 / 4]),
    ],
    ids=str,
)
def test_recorded_share_divides_the_weight_between_inputs_and_recordings(settings, expected):
    found = [one.weight for one in weighted(INPUTS + RECORDED, config(**settings))]
    assert found == pytest.approx(expected, abs=1e-12)


def test_recorded_clip_that_is_called_like_an_input_is_an_error():
    twin = entry("a", "walk", 30, "recorded")
    with pytest.raises(DataError, match="two clips are called 'a'"):
        weighted([*INPUTS, twin], config(recorded_share=0.5))


@pytest.mark.parametrize("stage", ["train_gen", "train_tracker"])
def test_settings_weigh_a_folder_that_a_stage_is_given(home, lists, stage):
    folder, registry = home / "runs" / "quick", Registry.discover()
    overrides = (f"{stage}.dataset={home / 'some'}", "balance=clip")
    settings = load_iteration(home / "quick.yaml", overrides, registry).config
    (run,) = contexts(settings, registry, folder, reporter=None)
    choose = train_gen.training_dataset if stage == "train_gen" else train_tracker.tracker_dataset
    assert weights(choose(run, MotionDataset(entries=())).entries) == pytest.approx(
        dict.fromkeys("abc", 1 / 3)
    )


def test_no_weight_above_0_is_an_error():
    with pytest.raises(DataError, match="all 3 clips have weight 0"):
        weighted(INPUTS, config(class_weights={"walk": 0.0, "climb": 0.0}))


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("balance=much", "balance: 'much' is not allowed"),
        ("class_weights={walk: -1}", "class_weights.walk"),
        ("recorded_share=1.5", "recorded_share"),
        ("recorded_share=many", "recorded_share: expected"),
    ],
)
def test_wrong_setting_is_an_error_before_the_run(parc, home, setting, text):
    code, _, err = parc("quick.yaml", "--set", setting)
    assert code == 2 and text in err
    assert not (home / "runs").exists()


def test_published_share_needs_balanced_classes(parc, home):
    code, _, err = parc("quick.yaml", "--set", "recorded_share=published", "--set", "balance=clip")
    assert code == 2 and "recorded_share is published, which is about classes, but balance is clip" in err


def test_weight_of_an_absent_class_is_an_error_before_training(parc, home, lists):
    write_list(lists / "mixed.yaml", ("../some/a.npz", 1), ("../some/c.npz", 1))
    code, _, err = parc("listed.yaml", "--set", "class_weights={swim: 2}")
    assert code == 65
    assert "class_weights: no clip of the data set has class 'swim'. There are climb, walk." in err
    assert not (home / "runs" / "listed" / "iter_001" / "p1_train_gen").exists()
    assert parc("listed.yaml", "--only", "train_gen", "--set", "class_weights={climb: 3}")[0] == 0
    assert weights(of_run(home, "iter_001/dataset.yaml").values()) == pytest.approx({"a": 0.25, "c": 0.75})


def test_settings_hold_for_the_data_set_of_the_next_iteration(parc, home):
    assert parc("quick.yaml", "--set", "recorded_share=0.25", "--set", "balance=clip")[0] == 0
    entries = MotionDataset.load(home / "runs" / "quick" / "iter_002" / "dataset.yaml").entries
    shares = {
        origin: [one.weight for one in entries if one.origin == origin] for origin in ("input", "recorded")
    }
    assert shares["input"] == pytest.approx([0.75])
    assert shares["recorded"] == pytest.approx([0.25 / 4] * 4)


def test_tracker_weighs_generated_motions_like_the_data_set(parc, home):
    assert parc("quick.yaml", "--set", "balance=clip")[0] == 0
    path = home / "runs" / "quick" / "iter_001" / "p3_tracker" / "motions.yaml"
    generated = [one.weight for one in MotionDataset.load(path).entries if one.origin == "generated"]
    assert generated == pytest.approx([0.5 / 4] * 4)


# classes of what a run makes --------------------------------------------------------------------------------------


def test_generated_and_recorded_clips_have_the_class_of_what_is_done_in_them(parc, home):
    assert parc("quick.yaml")[0] == 0
    iteration = home / "runs" / "quick" / "iter_001"
    for folder, ending in (("p2_kin_gen", "_opt"), ("p4_phys_record", "_opt_dm")):
        files = [file for file in (iteration / folder).rglob("*.npz") if "ignore" not in file.parts]
        assert sorted(file.stem for file in files) == [f"motions_{k}_0{ending}" for k in range(4)]
        for file in files:
            clip = load_clip(file)
            assert clip.motion_class == action_class(clip, load_skeleton("humanoid")) == "walk"
    recorded = MotionDataset.load(iteration / "p4_phys_record" / "recorded_motions" / "clips.yaml").entries
    assert {one.motion_class for one in recorded} == {"walk"}


def test_recording_has_the_class_of_what_was_really_done(parc, home):
    """The generated clips walk; the recorder of this run lets the character stand."""
    (home / "standing.py").write_text(STANDING)
    code, _, err = parc(
        "quick.yaml", "--set", f"phys_record.recorder.use={home}/standing.py:StandingRecorder"
    )
    assert code == 0, err
    iteration = home / "runs" / "quick" / "iter_001"
    generated = MotionDataset.load(iteration / "p2_kin_gen" / "motions_0_1" / "clips.yaml").entries
    recorded = MotionDataset.load(iteration / "p4_phys_record" / "recorded_motions" / "clips.yaml").entries
    assert {one.motion_class for one in generated} == {"walk"}
    assert {one.motion_class for one in recorded} == {"stand"}


STANDING = """
import attrs
from parc_testing.quick import QuickRecorder


class StandingRecorder(QuickRecorder):
    def record(self, env, agent, clips, ctx):
        report = super().record(env, agent, clips, ctx)
        rows = [attrs.evolve(one, clip=still(one.clip)) for one in report.recorded]
        return attrs.evolve(report, recorded=tuple(rows))


def still(clip):
    return attrs.evolve(clip, root_pos=clip.root_pos[:1].repeat(clip.num_frames, axis=0))
"""


def test_numbers_of_motions_are_asked_for_by_every_batch_and_lists_read_once(parc, home, monkeypatch):
    read, load = [], MotionDataset.load
    monkeypatch.setattr(
        kin_gen, "MotionDataset", SimpleNamespace(load=lambda path: read.append(path) or load(path))
    )
    assert parc("quick.yaml", "--iterations", "4", "--set", "kin_gen.batches=3")[0] == 0
    names = [path.parent.name for path in (home / "runs/quick").rglob("motions_*_opt.npz")]
    assert len(set(names)) == 12
    states = {(path, path.stat().st_ino) for path in read if path.exists()}
    assert len(read) <= 3 * len(
        states
    )  # of the data set and of the tracker's motions, before and after they change
