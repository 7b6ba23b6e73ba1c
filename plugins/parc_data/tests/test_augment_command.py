"""The verb `parc data augment`, and the motion source `augmented`."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from click.testing import CliRunner, Result

from parc_core.config import Use
from parc_core.interfaces import MotionSource, SeedStreams
from parc_data.augment.maker import Maker
from parc_data.augment.source import AugmentedConfig, AugmentedSource
from parc_data.command.augment import augment
from parc_data.folder import FolderConfig
from parc_data.procedural.source import ProceduralConfig, ProceduralSource
from parc_motion import storage
from parc_motion.clips import load_clip, save_clip
from parc_motion.errors import ParcError
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip
from parc_testing.contracts.motion_source import MotionSourceContract

SKELETON = load_skeleton("humanoid")


def run(*arguments: object, optimizer: str = "none") -> Result:
    result = CliRunner().invoke(
        augment, [*(str(argument) for argument in arguments), "--optimizer", optimizer]
    )
    if result.exception is not None and not isinstance(result.exception, (ParcError, SystemExit)):
        raise result.exception
    return result


def digests(folder: pathlib.Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): storage.digest_file(file)
        for file in sorted(folder.rglob("*"))
        if file.suffix in (".npz", ".json")
    }


@pytest.fixture
def clips(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("a", "b"):
        save_clip(tmp_path / "in/stand" / f"{name}.npz", make_clip(20, name=name))
    return tmp_path / "in"


def test_the_old_name_of_an_option_still_works(clips, tmp_path):
    given = (clips, "--variations", 1, "--heading", 90, 90, "--terrain", "none")
    for name, option in (("new", "--center"), ("old", "--centre")):
        run(*given, "-o", tmp_path / name, option, "origin")
    found = [load_clip(tmp_path / name / "stand" / "a_aug_0.npz").root_pos for name in ("new", "old")]
    assert (found[0] == found[1]).all()


def test_variations_carry_their_class_parent_and_parameters(clips, tmp_path):
    run(clips, "-o", tmp_path / "out", "--variations", 3, "--seed", 5)
    assert [name for name in digests(tmp_path / "out") if name.endswith("npz")] == [
        f"stand/{name}_aug_{number}.npz" for name in "ab" for number in range(3)
    ]
    clip = load_clip(tmp_path / "out/stand/a_aug_1.npz")
    assert (clip.name, clip.motion_class) == ("a_aug_1", "stand")
    assert clip.provenance.parents == (storage.digest_file(clips / "stand/a.npz"),)
    assert (clip.provenance.provider, clip.provenance.seed) == ("augment", 5)
    assert clip.provenance.notes["augment"]["terrain"] in ("none", "height_scale", "boxes")
    assert clip.touched is not None
    assert clip.terrain.bounds is not None


def test_same_seed_gives_the_same_files_whatever_the_order_and_another_seed_others(clips, tmp_path):
    run(clips, "-o", tmp_path / "one", "--variations", 3)
    run(clips / "stand/b.npz", clips / "stand/a.npz", "-o", tmp_path / "two", "--variations", 3)
    run(clips, "-o", tmp_path / "three", "--variations", 3, "--seed", 1)
    one, two, three = (
        {k: v for k, v in digests(tmp_path / n).items() if k != "augment.json"}
        for n in ("one", "two", "three")
    )
    assert one == two
    assert not set(one.values()) & set(three.values())


def test_inputs_stay_as_they_are(clips, tmp_path):
    before = digests(clips)
    run(clips, "-o", tmp_path / "out", "--variations", 1)
    assert digests(clips) == before


def test_a_repeated_call_makes_nothing_and_a_lost_file_is_made_again(clips, tmp_path, monkeypatch):
    run(clips, "-o", tmp_path / "out", "--variations", 4, "--batch", 2)
    before = digests(tmp_path / "out")
    made = []
    original = Maker.make
    monkeypatch.setattr(
        Maker, "make", lambda self, numbers: made.append(list(numbers)) or original(self, numbers)
    )
    run(clips, "-o", tmp_path / "out", "--variations", 4, "--batch", 2)
    assert made == []
    (tmp_path / "out/stand/b_aug_3.npz").unlink()
    run(clips, "-o", tmp_path / "out", "--variations", 4, "--batch", 2)
    assert made == [[2, 3]]
    assert digests(tmp_path / "out") == before


def test_a_crash_costs_the_batch_that_it_fell_into(clips, tmp_path, monkeypatch):
    run(clips, "-o", tmp_path / "whole", "--variations", 4, "--batch", 2)
    original, made = Maker.make, []

    def crash(self, numbers):
        made.append(list(numbers))
        if len(made) == 2:
            raise MemoryError
        return original(self, numbers)

    monkeypatch.setattr(Maker, "make", crash)
    with pytest.raises(MemoryError):
        run(clips, "-o", tmp_path / "out", "--variations", 4, "--batch", 2)
    run(clips, "-o", tmp_path / "out", "--variations", 4, "--batch", 2)
    assert made == [[0, 1], [2, 3], [2, 3], [0, 1], [2, 3]]
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_other_settings_are_not_mixed_in_unless_told_to_overwrite(clips, tmp_path):
    run(clips, "-o", tmp_path / "out", "--variations", 2)
    refused = run(clips, "-o", tmp_path / "out", "--variations", 1, "--seed", 1)
    assert str(refused.exception) == (
        f"{tmp_path / 'out'}: holds variations that were made with other settings or another seed. Give another "
        "output folder, or --overwrite to remove them."
    )
    run(clips, "-o", tmp_path / "out", "--variations", 1, "--seed", 1, "--overwrite")
    assert [name for name in digests(tmp_path / "out") if name.endswith("npz")] == [
        "stand/a_aug_0.npz", "stand/b_aug_0.npz",
    ]  # fmt: skip


def test_folders_with_inputs_or_other_files_are_refused(clips, tmp_path):
    assert "inputs are never rewritten" in str(run(clips, "-o", clips).exception)
    storage.write_text(tmp_path / "notes/mine.txt", "mine")
    text = (
        f"{tmp_path / 'notes'}: exists and was not made by `parc data augment`. Give another output folder."
    )
    assert str(run(clips, "-o", tmp_path / "notes").exception) == text
    assert sorted(path.name for path in (tmp_path / "notes").iterdir()) == ["mine.txt"]


def test_a_clip_that_cannot_be_varied_costs_only_itself(clips, tmp_path):
    save_clip(clips / "stand/c.npz", make_clip(20, name="c", contacts=np.zeros((20, 15))))
    storage.write_bytes(clips / "stand/d.npz", b"no clip")
    result = run(clips, "-o", tmp_path / "out", "--variations", 1)
    report = storage.read_json(tmp_path / "out/augment.json")
    assert result.exit_code == 65
    assert report["kept"] == 2
    assert sorted(pathlib.Path(file).name for file in report["unusable"]) == ["c.npz", "d.npz"]
    assert "has no contact labels" in report["unusable"][str(clips / "stand/c.npz")]


def test_a_shortfall_is_reported_with_its_reasons(clips, tmp_path):
    only = ["--terrain", "boxes", "--bad-heights", 0, 9, "--tries", 1]
    result = run(clips / "stand/a.npz", "-o", tmp_path / "out", "--variations", 2, *only, "--json")
    report = json.loads(result.stdout)
    (clip,) = report["clips"]
    assert result.exit_code == 0
    assert (clip["wanted"], clip["kept"], clip["missing"]) == (2, 0, [0, 1])
    assert clip["refused"] == {"bad_heights": 20}  # ten samples for each


def test_threads_of_an_optimizer_without_any_are_refused(clips, tmp_path):
    text = "--threads 2: the optimizer 'none' has no threads to set. Leave it out."
    assert str(run(clips, "-o", tmp_path / "out", "--threads", 2).exception) == text


def test_kinopt_makes_stretched_walks_stand(tmp_path):
    (walk, *_) = ProceduralSource(
        ProceduralConfig(classes=("walk",)), skeleton=SKELETON, seeds=SeedStreams(0)
    ).clips()
    save_clip(tmp_path / "in/walk/w.npz", walk.frames(0, 40, "w"))
    stretch = ["--scale-x", 1.1, 1.2, "--scale-y", 1.1, 1.2, "--terrain", "boxes"]
    result = run(
        tmp_path / "in", "-o", tmp_path / "out", "--variations", 2, *stretch, "--threads", 1, "--json",
        optimizer="kinopt",
    )  # fmt: skip
    (clip,) = json.loads(result.stdout)["clips"]
    assert clip["kept"] == 2
    assert clip["before"]["max_foot_slide_m"] > 0.03
    assert clip["after"]["max_foot_slide_m"] < 0.01
    assert clip["before"]["terrain_penetration"] > 0.01
    assert clip["after"]["max_penetration_m"] < 0.002
    assert all(
        row["losses_after"]["foot_lock"] < row["losses_before"]["foot_lock"] for row in clip["variations"]
    )


class TestAugmentedSource(MotionSourceContract):
    @pytest.fixture
    def make(self, clips: pathlib.Path) -> Callable[[], MotionSource]:
        config = AugmentedConfig(
            source=Use("folder", FolderConfig(path=str(clips))),
            optimizer=Use("none"),
            variations=2,
            padding=0.8,
        )
        return lambda: AugmentedSource(config, skeleton=SKELETON, seeds=SeedStreams(7))

    def test_every_clip_is_followed_by_its_variations(self, make):
        names = [clip.name for clip in make().clips()]
        assert names == ["a", "a_aug_0", "a_aug_1", "b", "b_aug_0", "b_aug_1"]


def test_asking_for_help_loads_no_torch():
    code = "import sys, parc_data.command.augment; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
