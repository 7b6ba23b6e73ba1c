"""`parc data validate` over a folder with hostile clips: each is one row, and the others are checked."""

from __future__ import annotations

import json
import pathlib
import random
import sys

import attrs
import numpy as np
from click.testing import CliRunner

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "libs" / "parc_motion" / "tests"))
from hostile_arrays import NO_FILES, parts_of, sound_clip
from test_hostile_clips import corpus

import parc_data.tools.validate  # noqa: F401  what it loads is loaded before the watch begins
from parc_data.command.validate import validate
from parc_motion.clips import MotionClip, save_clip
from parc_motion.errors import ParcError
from parc_testing.builders import make_clip, make_terrain
from parc_testing.levels import at_level
from parc_testing.watching import faults, watched


def validated(folder: pathlib.Path, answer: pathlib.Path) -> None:
    done = CliRunner().invoke(validate, [str(folder), "--json"])
    answer.write_text(json.dumps([done.exit_code, done.stdout, repr(done.exception)]))


def test_hostile_clips_are_rows_and_the_others_are_checked(tmp_path: pathlib.Path, measured) -> None:
    folder, answer = tmp_path / "clips", tmp_path / "answer.json"
    folder.mkdir()
    save_clip(folder / "sound.npz", make_clip(20, name="sound"))
    save_clip(tmp_path / "whole.npz", sound_clip())
    parts = corpus(*parts_of(tmp_path / "whole.npz"))
    (tmp_path / "whole.npz").unlink()
    small = {name: data for name, data in parts.items() if isinstance(data, bytes) and len(data) < 50_000}
    names = random.Random(6).sample(sorted(small), at_level(pr=45, nightly=len(small)))
    small = {name: small[name] for name in [*names, "member_outside", "member_absolute"]}
    for name, data in small.items():
        (folder / f"{name}.npz").write_bytes(data)
    NO_FILES["path_pipe"](folder / "pipe.npz")  # passed over: not a file
    one = watched(lambda: validated(folder, answer), refusal=ParcError, inside=tmp_path)
    code, printed, exception = json.loads(answer.read_text())
    assert code == 65, exception
    reports = {pathlib.Path(row["file"]).stem: row["findings"] for row in json.loads(printed)["reports"]}
    assert reports.keys() == {"sound", *small}
    assert len(small) >= 40
    told = {name for name, found in reports.items() if any(item["level"] == "error" for item in found)}
    harmless = {"sound", "member_outside", "member_absolute"}
    assert reports.keys() - told == harmless
    measured(
        "`parc data validate` of hostile clips",
        f"{len(told)} of {len(small) - 2} are error rows, the others go on",
    )
    assert (one.ending, one.deeds) == ("read", [])


def test_a_batch_of_long_and_wide_terrains_takes_no_more_memory_than_each(tmp_path: pathlib.Path) -> None:
    """Padded to the longest and the widest, two strips of 20,000 cells would take 3 GB."""
    folder, answer = tmp_path / "clips", tmp_path / "answer.json"
    folder.mkdir()
    for name, shape in (("long", (20_000, 1)), ("wide", (1, 20_000))):
        save_clip(folder / f"{name}.npz", attrs.evolve(strip(shape), name=name))
    one = watched(lambda: validated(folder, answer), refusal=ParcError, inside=tmp_path)
    assert faults({"strips": one}, lambda name: False) == []
    assert len(json.loads(json.loads(answer.read_text())[1])["reports"]) == 2


def strip(shape: tuple[int, int]) -> MotionClip:
    return make_clip(20, terrain=make_terrain(shape, origin_xy=np.zeros(2)))
