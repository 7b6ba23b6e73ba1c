"""Stage 4 in chunks: what is written, where, and that an interrupted stage goes on to the same files."""

from __future__ import annotations

import types

import attrs
import pytest
import torch

from parc_core.config import Use
from parc_core.interfaces import RunFolder, Stopped
from parc_core.plugins import Target
from parc_core.stages import phys_record
from parc_core.stages.context import RunContext
from parc_core.stages.manifests import balance, entries_of
from parc_deepmimic.config import DeepMimicConfig, ObservationConfig, ZeroConfig
from parc_deepmimic.env import DeepMimicEnv
from parc_deepmimic.recorder import RetryRecorder
from parc_deepmimic.retry_config import RetryConfig
from parc_deepmimic.untrained import ZeroAgent
from parc_motion import storage
from parc_motion.clips import MotionDataset, load_clip, save_clip
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip
from parc_testing.fake_simulator import FakeSimulator

HUMANOID = load_skeleton("humanoid")
SMALL = ObservationConfig(**DeepMimicConfig.PRESETS["cpu"]["observation"])


class OneOfEach:
    """A registry with the providers of this test, none of them looked for."""

    def create(self, kind, use, **collaborators):
        if kind == "agent":
            agent = ZeroAgent(ZeroConfig())
            agent.restore = lambda policy, env: None
            return agent
        return RetryRecorder(use.config, **collaborators)

    def resolve(self, kind, name):
        return Target(
            kind=kind, name=name, spec="test:One", config="test:Config", dist="parc-test", version="1"
        )


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Run the stage over five gliding clips, one of which is lost: its root stops, the simulated one glides on."""
    root = tmp_path_factory.mktemp("stage")
    clips = [make_clip(20 + 4 * m, speed=0.2 * m, name=f"glide_{30 * m}_0_opt") for m in range(4)]
    halting = make_clip(36, speed=3.0, name="back")
    root_pos = halting.root_pos.copy()
    root_pos[18:, 0] = root_pos[18, 0]
    for clip in (*clips, attrs.evolve(halting, root_pos=root_pos)):
        save_clip(root / "in" / f"{clip.name}.npz", clip)
    dataset = MotionDataset(entries=tuple(balance(entries_of(root / "in", "input"))))
    built: list[int] = []

    def make_env(run, motions, clips, num_envs, stage_name):
        built.append(len(motions))
        return DeepMimicEnv(
            DeepMimicConfig(observation=SMALL),
            clips=clips,
            weights=motions.weights,
            simulator=FakeSimulator(),
            num_envs=num_envs,
            skeleton=HUMANOID,
            rng=torch.Generator().manual_seed(0),
        )

    def go(name, should_stop=lambda: False, **settings):
        lengths = {"min_partial_s": 0.4, "partial_margin_s": 0.2, "min_remaining_s": 0.4}
        recorder = Use("retry", RetryConfig(**lengths, **settings))
        use = Use("zero", ZeroConfig())
        config = types.SimpleNamespace(
            seed=0,
            metrics=(),
            train_tracker=types.SimpleNamespace(env=use, simulator=use, agent=use),
            phys_record=types.SimpleNamespace(
                recorder=recorder, record=("inputs",), chunk=2, dataset=None, policy=None
            ),
        )
        config.at = lambda iteration: config
        run = RunContext(
            config=config, registry=OneOfEach(), skeleton=HUMANOID, run_folder=RunFolder(root / name), iteration=1,
            device="cpu", threads=1, torch_threads=1, should_stop=should_stop,
            reporter=types.SimpleNamespace(message=lambda *a: None, update=lambda *a: None),
        )  # fmt: skip
        built.clear()
        return phys_record.run_stage(run, dataset), run.folder.phys_record

    go.built = built
    with pytest.MonkeyPatch.context() as patch:
        # the settings are a stand-in that no file can hold
        patch.setattr("parc_core.stages.context.dump_yaml", lambda config: "stand-in\n")
        patch.setattr(phys_record, "as_begun", lambda run, partial: run)
        patch.setattr(phys_record.train_tracker, "make_env", make_env)
        patch.setattr(phys_record.train_tracker, "trained_policy", lambda run: (None, "policy"))
        yield go


@pytest.fixture(scope="module")
def whole(stage):
    """What nobody disturbed: the job's record, the stage's folder, how many motions each environment held."""
    record, folder = stage("whole")
    return record, folder, list(stage.built)


def files_of(folder):
    return {
        name: row["sha256"]
        for name, row in storage.digest_folder(folder).items()
        if name.endswith((".npz", ".execution", "report.json"))
    }


def test_an_environment_holds_the_motions_of_one_chunk(whole):
    assert whole[2] == [2, 2, 1]


def test_the_report_accounts_for_every_motion(whole):
    record, folder, _ = whole
    document = storage.read_json(folder / "report.json")
    followed = {row["motion"]: row for row in document["recorded"] if row["kept"] != "partial"}
    assert set(followed) == {f"glide_{30 * m}_0_opt" for m in range(4)}
    (part,) = [row for row in document["recorded"] if row["kept"] == "partial"]
    assert (part["motion"], part["reason"]) == ("back", "lost")
    assert part["tries"][0]["text"].startswith("zero lost it at 0.")
    assert (record.summary["in"], record.summary["recorded"], record.summary["partial"]) == (5, 4, 1)
    assert record.summary["out"] == 5
    for row in document["recorded"]:
        assert load_clip(folder / row["file"]).name == row["clip"]


def test_what_is_not_kept_is_named_with_every_try(stage):
    record, folder = stage("strict", keep_partial=False)
    lost = storage.read_json(folder / "report.json")["lost"]
    assert list(lost) == ["back"]
    assert lost["back"]["reason"] == "lost"
    # 25 and 50 % of 35 frames
    assert [one["start_s"] for one in lost["back"]["tries"]] == pytest.approx([0, 8 / 30, 17 / 30])
    assert record.summary["rejected"] == {"lost": 1}


def test_fifty_clips_share_a_folder(whole):
    folder = whole[1]
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*_dm.*")}
    # numbers 0, 30 | 60, 90; a name without a number stays at the top
    places = [(0, "0_49"), (30, "0_49"), (60, "50_99"), (90, "50_99")]
    expected = {f"glide_{group}/glide_{n}_0_opt_dm" for n, group in places} | {"back_dm"}
    assert found == {f"recorded_motions/{one}.{end}" for one in expected for end in ("npz", "execution")}


def test_recordings_name_the_clip_that_they_follow(whole):
    folder = whole[1]
    for path in (folder / "recorded_motions").rglob("*.npz"):
        clip = load_clip(path)
        source = folder.parents[2] / "in" / f"{clip.provenance.notes['reference']}.npz"
        assert clip.provenance.parents == (storage.digest_file(source),)


# the first chunk takes 25 steps, and 25 more for what it lost; the second takes 27, the third 31
@pytest.mark.parametrize(("calls", "again"), [(10, [2, 2, 1]), (40, [2, 2, 1]), (60, [2, 1]), (100, [1])])
def test_an_interrupted_stage_goes_on_to_the_same_files(stage, whole, calls, again):
    left = iter(range(calls))
    with pytest.raises(Stopped):
        stage(f"stopped_{calls}", should_stop=lambda: next(left, None) is None)
    _, folder = stage(f"stopped_{calls}")
    assert stage.built == again  # chunks that were finished are not recorded again
    assert files_of(folder) == files_of(whole[1])
    assert len(files_of(folder)) == 11


def test_no_checkpoint_of_a_finished_chunk_is_kept(whole):
    assert not list((whole[1] / "checkpoints").glob("*"))


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("motions_75_0_opt_dm", "motions_50_99"),
        ("dec2024_teaser_717_1_opt_dm", "dec2024_teaser_700_749"),
        ("walk_3", ""),
        ("walk", ""),
    ],
)
def test_folder_of_a_clip(name, folder):
    assert phys_record.clip_folder(name) == folder
