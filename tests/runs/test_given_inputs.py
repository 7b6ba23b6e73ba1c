"""Every stage works alone, on inputs from elsewhere."""

from __future__ import annotations

import json

import pytest

from parc_core.stages.given import given_clips, given_generator, given_policy
from parc_motion.clips import MotionDataset, load_clip, save_clip
from parc_motion.errors import DataError
from parc_testing.builders import make_clip


@pytest.fixture
def first(home, parc):
    """The folder of a finished run, and a file for other runs."""
    assert parc("quick.yaml")[0] == 0
    text = (home / "quick.yaml").read_text()
    (home / "other.yaml").write_text(text.replace("name: quick", "name: other"))
    return home / "runs" / "quick"


def test_motions_are_generated_with_a_generator_from_elsewhere(parc, home, first):
    given = f"kin_gen.generator_path={first}"
    assert parc("other.yaml", "--only", "kin_gen", "--set", given)[0] == 0
    made = home / "runs" / "other" / "iter_001"
    assert not (made / "p1_train_gen").exists()
    assert load_clip(made / "p2_kin_gen" / "motions_0_1" / "motions_0_0_opt.npz").num_frames == 20


def test_checkpoints_serve_as_generators(parc, home, first):
    """The one that is named, the newest of a training, and that of a training which is not finished."""
    assert parc("other.yaml", "--only", "train_gen", "--set", "train_gen.generator.epochs=3")[0] == 0
    stage = home / "runs" / "other" / "iter_001" / "p1_train_gen"
    checkpoints = stage / "checkpoints"
    steps = sorted(checkpoints.iterdir())
    assert [path.name for path in steps] == [f"model_000000000{k}" for k in (1, 2, 3)]
    assert given_generator("x", str(steps[1])) == steps[1] / "model"
    assert given_generator("x", str(checkpoints)) == steps[2] / "model"
    (stage / "final_model").rename(stage / "removed")
    assert given_generator("x", str(stage)) == steps[2] / "model"
    stage.rename(stage.with_name("p1_train_gen.partial"))
    unfinished = stage.with_name("p1_train_gen.partial")
    assert given_generator("x", str(stage)) == unfinished / "checkpoints" / steps[2].name / "model"
    assert parc("quick.yaml", "--set", "name=third", "--set", f"train_gen.input_model_path={stage}")[0] == 0
    given = f"kin_gen.generator_path={unfinished / 'checkpoints' / steps[0].name}"
    assert parc("quick.yaml", "--set", "name=fourth", "--only", "kin_gen", "--set", given)[0] == 0


def test_motions_from_elsewhere_are_recorded_with_a_policy_from_elsewhere(parc, home, first):
    policy, motions = first / "iter_001" / "p3_tracker", first / "iter_001" / "p2_kin_gen" / "motions_2_3"
    given = ("--set", f"phys_record.policy={policy}", "--set", f"phys_record.dataset={motions}")
    assert parc("other.yaml", "--only", "phys_record", *given)[0] == 0
    stage = home / "runs" / "other" / "iter_001" / "p4_phys_record"
    recorded = sorted(path.stem for path in stage.rglob("*.npz"))
    assert recorded == ["motions_2_0_opt_dm", "motions_3_0_opt_dm"]


def test_tracker_trains_on_motions_from_elsewhere(parc, home, first):
    given = f"train_tracker.dataset={first / 'iter_001' / 'p2_kin_gen'}"
    assert parc("other.yaml", "--only", "train_tracker", "--set", given)[0] == 0
    folder = home / "runs" / "other" / "iter_001" / "p3_tracker"
    names = [entry.name for entry in MotionDataset.load(folder / "motions.yaml").entries]
    assert sorted(names) == [f"motions_{k}_0_opt" for k in range(4)]


def test_generator_trains_on_a_data_set_from_elsewhere(parc, home, first):
    following = first / "iter_002" / "dataset.yaml"
    given = f"train_gen.dataset={following}"
    assert parc("other.yaml", "--only", "train_gen", "--set", given)[0] == 0
    record = json.loads((home / "runs" / "other" / "iter_001" / "p1_train_gen" / "DONE.json").read_text())
    assert record["key_fields"]["inputs"]["dataset"] == MotionDataset.load(following).digest


def test_tracker_needs_no_generator_that_it_does_not_use(parc, home):
    alone = ("--only", "train_tracker", "--set", "train_tracker.generated_weight=0")
    assert parc("quick.yaml", *alone)[0] == 0
    code, _, err = parc("quick.yaml")
    assert code == 0, err


@pytest.mark.parametrize(
    "below", ["", "iter_001", "iter_001/p1_train_gen", "iter_001/p1_train_gen/final_model"]
)
def test_generator_is_found_in_whatever_holds_it(first, below):
    assert given_generator("x", str(first / below)) == first / "iter_001" / "p1_train_gen" / "final_model"


@pytest.mark.parametrize("below", ["", "iter_001", "iter_001/p3_tracker", "iter_001/p3_tracker/policy"])
def test_policy_is_found_in_whatever_holds_it(first, below):
    assert given_policy("x", str(first / below)) == first / "iter_001" / "p3_tracker" / "policy"


@pytest.mark.parametrize(
    ("below", "count"),
    [
        ("", 5),  # what the next iteration would learn from: the input and four recordings
        ("iter_001", 1),
        ("iter_001/dataset.yaml", 1),
        ("iter_001/p2_kin_gen", 4),
        ("iter_001/p2_kin_gen/motions_0_1", 2),
        ("iter_001/p4_phys_record", 4),
        ("inputs", 1),
    ],
)
def test_clips_are_found_in_whatever_holds_them(first, below, count):
    found = given_clips("x", str(first / below), "input")
    assert len(found) == count and sum(entry.weight for entry in found.entries) == pytest.approx(1.0)


def test_loose_clips_beside_manifests_are_taken(first):
    stage = first / "iter_001" / "p2_kin_gen"
    save_clip(stage / "loose.npz", make_clip(20, name="loose"))
    names = [entry.name for entry in given_clips("x", str(stage), "input").entries]
    assert sorted(names) == ["loose", *(f"motions_{k}_0_opt" for k in range(4))]


def test_raw_clips_of_a_stage_are_not_taken(first):
    stage = first / "iter_001" / "p2_kin_gen"
    for file in stage.glob("*/clips.yaml"):
        file.unlink()  # as a folder of clips without manifests
    names = [entry.name for entry in given_clips("x", str(stage), "input").entries]
    assert sorted(names) == [f"motions_{k}_0_opt" for k in range(4)]


def test_what_is_not_there_is_named_with_the_setting(first, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"kin_gen\.generator_path: there is no generator at .*empty"):
        given_generator("kin_gen.generator_path", str(tmp_path / "empty"))
    with pytest.raises(DataError, match=r"phys_record\.policy: there is no policy at .*nowhere"):
        given_policy("phys_record.policy", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"train_gen\.dataset: there is no clip below .*empty"):
        given_clips("train_gen.dataset", str(tmp_path / "empty"), "input")
    with pytest.raises(DataError, match=r"train_gen\.dataset: .*nowhere does not exist"):
        given_clips("train_gen.dataset", str(tmp_path / "nowhere"), "input")
