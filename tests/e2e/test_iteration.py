"""A whole iteration through the command line: every stage, killed and continued, twice with the same result."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from parc_motion.clips import load_clip
from parc_motion.storage import digest_file

pytestmark = pytest.mark.xdist_group("iteration")  # one process makes the run that the tests look at
TINY = pathlib.Path(__file__).parent / "tiny.yaml"
STAGES = ("train_gen", "kin_gen", "train_tracker", "phys_record")


def parc(folder: pathlib.Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    result = subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, text=True, env=environment()
    )
    if check:
        assert result.returncode == 0, result.stdout + result.stderr
    return result


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "parc_core.cli.main", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def clip_digests(run: pathlib.Path) -> dict[str, str]:
    return {path.relative_to(run).as_posix(): digest_file(path) for path in sorted(run.rglob("*.npz"))}


def test_every_stage_made_something_and_the_report_says_what(finished):
    _, report = finished
    (iteration,) = report["iterations"]
    assert [stage["stage"] for stage in iteration["stages"]] == [
        "train_gen",
        "kin_gen",
        "kin_gen",
        *STAGES[2:],
    ]
    assert all(stage["out"] >= 1 for stage in iteration["stages"])
    assert iteration["generator"]["recorded"]["clips"] == iteration["tracker"]["recording"]["out"]
    assert set(iteration["generator"]["generated"]) >= {
        "terrain_penetration",
        "terrain_contact",
        "high_jerk_percent",
    }


def test_a_refined_clip_is_opened_at_most_six_times_and_hashed_at_most_twice(finished):
    run, _ = finished
    counts = json.loads((run.parent.parent / "counts.json").read_text())
    refined = [path.name for path in (run / "iter_001" / "p2_kin_gen").glob("motions_*/*_opt.npz")]
    assert refined
    for name in refined:
        # besides, it is hashed once in memory while it is written
        assert counts["hashed"][name] + 1 <= 2, counts["hashed"]
        assert 1 <= counts["opened"][name] <= 6, name


def test_the_cache_of_a_finished_iteration_is_removed(finished):
    run, _ = finished
    assert not (run / "cache").exists()


def test_recorded_clips_name_their_origin_and_join_the_next_data_set(finished):
    run, _ = finished
    recorded = sorted((run / "iter_001" / "p4_phys_record" / "recorded_motions").rglob("*.npz"))
    generated = {digest_file(path) for path in (run / "iter_001" / "p2_kin_gen").glob("motions_*/*.npz")}
    for path in recorded:
        clip = load_clip(path)
        assert clip.provenance.stage == "phys_record" and set(clip.provenance.parents) <= generated
        assert clip.terrain is not None
    following = json.loads((run / "iter_002" / "dataset.yaml").read_text())
    names = {motion["name"] for motion in following["motions"] if motion["origin"] == "recorded"}
    assert names == {load_clip(path).name for path in recorded}


def test_a_policy_knows_its_environment_and_every_tracker_meets_every_generator(finished):
    run, _ = finished
    policy = run / "iter_001" / "p3_tracker" / "policy" / "policy.json"
    recorded = json.loads(policy.read_text())["fields"]["extra"]["trained_in"]
    beside = json.loads((policy.parent.parent / "env.yaml").read_text())
    assert {key: recorded[key] for key in ("env", "simulator")} == beside
    found = json.loads(parc(run.parent, "eval", "cross", str(run), "--json").stdout)
    assert [one["settings_from"] for one in found["trackers"]] == [str(policy)]
    (cell,) = found["cells"]
    assert cell["clips"] == found["generators"][0]["clips"] >= 1


def test_running_again_does_nothing_and_finishes_at_once(finished):
    run, report = finished
    before = clip_digests(run)
    again = json.loads(parc(run.parent.parent, "run", str(TINY), "--json").stdout)
    assert again["iterations"] == report["iterations"]  # wall times too: nothing ran
    assert clip_digests(run) == before


@pytest.mark.parametrize(
    ("override", "provider"),
    [("kin_gen.selector.use=first", "first"), ("train_tracker.agent.use=ppo", "ppo")],
)
def test_a_part_is_swapped_by_name(finished, override, provider):
    run, _ = finished
    plan = json.loads(
        parc(run.parent.parent, "run", str(TINY), "--set", override, "--dry-run", "--json").stdout
    )
    section, role, _ = override.split(".")
    assert plan["config"][section][role]["use"] == provider


def test_unknown_name_is_explained(tmp_path):
    result = parc(tmp_path, "run", str(TINY), "--set", "kin_gen.selector.use=heuristics", check=False)
    assert result.returncode == 2
    assert "kin_gen.selector.use: no selector is called 'heuristics'" in result.stderr
    assert "closest     heuristic" in result.stderr and "Traceback" not in result.stderr
