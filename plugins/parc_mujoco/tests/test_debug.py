"""Dumps of diverged simulations: replayed to the step, few, and one clear error where they are damaged."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from parc_core.interfaces import Scene
from parc_motion.errors import DataError, ParcError
from parc_motion.skeletons import load_skeleton
from parc_motion.storage import read_arrays, write_arrays
from parc_mujoco import divergence, history
from parc_mujoco.config import MujocoConfig
from parc_mujoco.cpu import MujocoSimulator
from parc_mujoco.debug import load_dump, replay
from parc_mujoco.debug.command import debug
from parc_testing.builders import make_terrain
from parc_testing.contracts.simulator import character_state
from parc_testing.levels import at_level

SKELETON = load_skeleton("humanoid")
TERRAINS = [make_terrain(), make_terrain(steps=[((slice(2, 5), slice(2, 5)), 0.4)])]
NAMES = ("walk", "jump", "climb")
(KNEE,) = [dofs.start for j, dofs in zip(SKELETON.joints, SKELETON.dof_slices) if j.name == "right_knee"]


def diverge(folder, how: str, steps: int, seed: int = 0, **settings):
    """The dump of a copy that diverges in its step of this number, beside two that do not."""
    sim = MujocoSimulator(MujocoConfig(**settings), dumps=folder)
    sim.build(Scene(skeleton=SKELETON, terrains=TERRAINS, num_envs=3, label=lambda env: NAMES[env]))
    rng = torch.Generator().manual_seed(seed)
    ids = torch.arange(3)
    sim.set_terrains(ids, torch.tensor([0, 1, 1]))
    for number in range(2):  # what was before the second reset does not count
        sim.reset(ids, character_state(3, height=0.95))
        for step in range(1, steps + 1):
            sim.set_targets(0.3 * torch.randn(3, SKELETON.num_dofs, generator=rng))
            if number == 1 and step == steps:
                _spoil(sim, how)
            sim.step()
    assert sim.read().finite.tolist() == [True, False, True]
    sim.close()
    (file,) = folder.glob("*.npz")
    return file


def _spoil(sim: MujocoSimulator, how: str) -> None:
    field = sim._field
    if how == "target":
        field["ctrl"][1, KNEE] = np.inf
    elif how == "velocity":
        field["qvel"][1, 6 + KNEE] = 9e3
    elif how == "position":
        field["qpos"][1, 2] = np.nan


CASES = [
    ("target", 1, "the servo target of joint 'right_knee' (body 'right_shin'): inf"),
    ("velocity", 2, " (q"),
    ("velocity", 20, " (q"),
    ("velocity", 70, " (q"),
    ("position", 9, "the acceleration (qacc) of joint 'root' (body 'pelvis'): nan, in physics step 1 of 4"),
    ("target", 55, "the servo target of joint 'right_knee' (body 'right_shin'): inf"),
]


def test_every_dump_is_replayed_to_its_step(tmp_path, measured):
    for number, (how, steps, what) in enumerate(CASES):
        dump = load_dump(diverge(tmp_path / str(number), how, steps, seed=number))
        assert (dump.header["env_id"], dump.header["clip"], dump.num_steps) == (1, "jump", min(steps, 50))
        result = replay(dump)
        assert result.as_recorded and result.diverged_at == dump.num_steps
        changed_by_hand = how != "target"  # the state at the beginning of the last step
        assert result.equal_steps == dump.num_steps - 1 - changed_by_hand
        assert what in result.what
    measured("dumps replayed to the step", f"{len(CASES)} of {len(CASES)}")


def test_others_do_not_notice_that_steps_are_kept(tmp_path, monkeypatch):
    """The ring holds fewer steps where there are many copies, one at least."""
    monkeypatch.setattr(history, "_BYTES", 1)
    assert load_dump(diverge(tmp_path, "velocity", 20)).num_steps == 1


def test_verb_says_which_number_ran_away(tmp_path):
    file = diverge(tmp_path, "target", 5)
    told = CliRunner().invoke(debug, [str(file)])
    assert (told.exit_code, told.output.splitlines()) == (
        0,
        [
            f"{file}: simulator mujoco, environment 1, clip 'jump'",
            "5 steps, 0.17 s; it diverged in the last one",
            "replayed: it diverges in step 5, as recorded; first: the servo target of joint 'right_knee' (body "
            "'right_shin'): inf",
            "4 of 4 steps before the last end in exactly the recorded state",
        ],
    )
    fields = json.loads(CliRunner().invoke(debug, [str(file), "--json"]).output)
    assert (fields["clip"], fields["steps"], fields["diverged_at"], fields["as_recorded"]) == (
        "jump",
        5,
        5,
        True,
    )


def test_verb_says_when_it_does_not_diverge(tmp_path):
    arrays, header = read_arrays(diverge(tmp_path, "target", 3))
    arrays["targets"] = np.where(np.isfinite(arrays["targets"]), arrays["targets"], 0.0)
    write_arrays(tmp_path / "mended.npz", arrays, header)
    told = CliRunner().invoke(debug, [str(tmp_path / "mended.npz")])
    assert told.exit_code == 1 and "replayed: it does not diverge" in told.output


def test_only_the_newest_files_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(divergence, "MAX_FILES", 3)
    (tmp_path / "mine.npz").write_text("left alone")
    made = []
    for _ in range(5):
        sim = MujocoSimulator(MujocoConfig(), dumps=tmp_path)
        sim.build(Scene(skeleton=SKELETON, terrains=TERRAINS[:1], num_envs=1))
        sim.reset(torch.tensor([0]), character_state(1, height=0.95))
        sim.set_targets(torch.full((1, SKELETON.num_dofs), float("nan")))
        sim.step()
        sim.close()
        made.append(max(path.name for path in tmp_path.glob("diverged-*.npz")))
    assert sorted(path.name for path in tmp_path.glob("diverged-*.npz")) == made[-3:]
    assert (tmp_path / "mine.npz").exists()


def test_folder_that_cannot_be_written_does_not_end_the_simulation(tmp_path, caplog):
    (tmp_path / "dumps").write_text("a file")
    sim = MujocoSimulator(MujocoConfig(), dumps=tmp_path / "dumps")
    sim.build(Scene(skeleton=SKELETON, terrains=TERRAINS[:1], num_envs=1))
    sim.reset(torch.tensor([0]), character_state(1, height=0.95))
    sim.set_targets(torch.full((1, SKELETON.num_dofs), float("nan")))
    sim.step()
    assert sim.num_diverged == 1 and "Its last steps are not kept: " in caplog.text
    sim.close()


def test_damaged_dump_is_one_clear_error(tmp_path, measured):
    file = diverge(tmp_path, "velocity", 4)
    good, rng = file.read_bytes(), np.random.default_rng(0)
    refused, same, rounds = 0, 0, at_level(pr=60, nightly=2000)
    broken = tmp_path / "broken.npz"
    for number in range(rounds):
        bad = bytearray(good)
        if number % 2:
            bad = bad[: rng.integers(len(bad))]
        else:
            bad[rng.integers(len(bad))] ^= 1 << rng.integers(8)
        broken.write_bytes(bytes(bad))
        try:
            result = replay(load_dump(broken))
        except DataError as err:
            assert str(broken) in str(err)
            refused += 1
        else:
            assert result.as_recorded  # a date in the archive, say
            same += 1
    measured("damaged dumps", f"{refused} of {rounds} refused, {same} read as they were")
    assert refused > 0.8 * rounds


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": 1}, "not a dump"),
        ({"num_boxes": 0}, "num_boxes is 0"),
        ({"num_boxes": 10**9}, "num_boxes is 1000000000"),
        ({"character": "<mujoco/>"}, "worldbody has no body"),
        ({"character": 3}, "no usable 'character'"),
        ({"settings": {"sim_hz": "fast"}}, "sim_hz"),
        ({"control_hz": 7.0}, "sim_hz"),
        ({"cell": -1.0}, "cell"),
    ],
)
def test_header_that_is_no_dumps_is_refused(tmp_path, change, text):
    arrays, header = read_arrays(diverge(tmp_path, "velocity", 2))
    write_arrays(tmp_path / "changed.npz", arrays, {**header, **change})
    with pytest.raises(ParcError, match=text):
        replay(load_dump(tmp_path / "changed.npz"))


@pytest.mark.parametrize(
    ("name", "how"),
    [
        *((name, "missing") for name in ("qpos", "qvel", "time", "targets", "height", "qpos_after")),
        *((name, "short") for name in ("qpos", "qvel", "time", "targets")),
        *((name, "flat") for name in ("qpos", "qvel", "targets", "height")),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, name, how):
    arrays, header = read_arrays(diverge(tmp_path, "velocity", 3))
    value = arrays.pop(name)
    if how != "missing":
        arrays[name] = value[:1] if how == "short" else value.reshape(-1)
    write_arrays(tmp_path / "changed.npz", arrays, header)
    with pytest.raises(DataError, match=r"changed\.npz"):
        replay(load_dump(tmp_path / "changed.npz"))
