"""`parc kinopt report`: what it reads, what it says, and that it draws."""

from __future__ import annotations

import io
import json

import attrs
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from parc_kinopt.report.command import kinopt
from parc_kinopt.report.rows import find_rows, summary, worst_first
from parc_motion import storage
from parc_motion.clips import save_clip
from parc_motion.draw import BURIED, View, draw_pose, posed
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip

SKELETON = load_skeleton("humanoid")


def _batch(run, losses, unresolved=None):
    """A batch of a run, as stage kin_gen leaves it: penetration after refinement per clip."""
    folder = storage.make_folder(run / "iter_001" / "p2_kin_gen" / "motions_0_1")
    raw = storage.make_folder(folder.parent / "ignore" / "raw" / folder.name)
    rows = []
    for name, after in losses.items():
        sunk = make_clip(12, speed=0.5, name=name)
        save_clip(raw / f"{name}.npz", attrs.evolve(sunk, root_pos=sunk.root_pos - np.float32([0, 0, 0.05])))
        save_clip(folder / f"{name}_opt.npz", make_clip(10, speed=0.5, name=f"{name}_opt"))
        rows.append(
            {
                "clip": f"{name}_opt",
                "before": {"penetration": 2.0, "root_pos": 0.0},
                "after": {"penetration": after, "root_pos": 1.5},
                "unresolved": (unresolved or {}).get(name, []),
                "removed_frames": [4, 5],
            }
        )
    storage.write_json(folder / "refined.json", rows)
    return folder


def test_clips_with_something_unresolved_come_first_then_those_with_most_left(tmp_path):
    _batch(tmp_path, {"a": 0.1, "b": 0.3, "c": 0.0}, {"c": ["left_foot slides 0.050 m in frames 0-3"]})
    assert [row.name for row in worst_first(find_rows(tmp_path))] == ["c_opt", "b_opt", "a_opt"]


def test_summary_has_medians_of_every_term(tmp_path):
    _batch(tmp_path, {"a": 0.1, "b": 0.3})
    result = summary(find_rows(tmp_path))
    # the median of 0.1 and 0.3 is 0.2; what is left of the worst weighs 1000 per m: 300
    assert result["median_losses"]["penetration"] == {"before": 2.0, "after": pytest.approx(0.2)}
    assert result["worst"][0] == {"clip": "b_opt", "rest": pytest.approx(300.0), "unresolved": []}
    assert (result["clips"], result["unresolved"], result["removed_frames"]) == (2, 0, 4)


def test_results_that_were_set_aside_do_not_count(tmp_path):
    _batch(tmp_path, {"a": 0.1})
    _batch(tmp_path / "superseded" / "old", {"z": 9.0})
    assert [row.name for row in find_rows(tmp_path)] == ["a_opt"]


def test_batch_folder_alone_is_enough(tmp_path):
    folder = _batch(tmp_path, {"a": 0.1})
    assert [row.name for row in find_rows(folder)] == ["a_opt"]


def test_folder_without_refined_clips_is_refused(tmp_path):
    with pytest.raises(DataError) as caught:
        find_rows(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no refined clips below it (refined.json, outside ignore and superseded). "
        "Stage kin_gen writes them; did it run?"
    )


def test_record_of_another_kind_is_refused(tmp_path):
    folder = _batch(tmp_path, {"a": 0.1})
    storage.write_json(folder / "refined.json", [{"clip": "a_opt"}])
    with pytest.raises(DataError, match=r"is not the record of a refinement \(KeyError: 'before'\)"):
        find_rows(tmp_path)


def test_command_writes_a_picture_and_prints_its_numbers(tmp_path):
    _batch(tmp_path, {"a": 0.1, "b": 0.3})
    output = tmp_path / "report.png"
    done = CliRunner().invoke(kinopt, ["report", str(tmp_path), "-o", str(output), "--poses", "3", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["clips"] == 2
    picture = Image.open(io.BytesIO(output.read_bytes()))
    assert picture.size[0] == 1400
    # something is drawn where the poses are, at the bottom
    assert len(picture.crop((0, picture.height - 200, 1400, picture.height)).getcolors(1 << 20)) > 20


def test_report_survives_raw_clips_that_were_deleted(tmp_path):
    folder = _batch(tmp_path, {"a": 0.1})
    storage.remove(folder.parent / "ignore")
    output = tmp_path / "report.png"
    assert CliRunner().invoke(kinopt, ["report", str(tmp_path), "-o", str(output)]).exit_code == 0
    assert output.is_file()


def test_points_inside_the_ground_are_marked():
    clip = make_clip(2)
    view = View(center=np.array([0.0, 0.0, 0.8]), heading=0.0, scale=100.0, width=160, height=220)

    def marked(lower: float) -> int:
        moved = attrs.evolve(clip, root_pos=clip.root_pos - np.float32([0, 0, lower]))
        pixels = np.array(draw_pose(posed(moved, SKELETON), 0, SKELETON, view)).astype(int)
        return int((np.abs(pixels - BURIED).sum(axis=-1) < 40).sum())

    assert marked(0.0) == 0
    assert marked(0.06) > 50
