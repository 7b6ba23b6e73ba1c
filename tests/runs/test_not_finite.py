"""Numbers that are not finite, wherever they come in: seen at once, named, and never kept."""

from __future__ import annotations

import logging
import math
import pathlib
from collections.abc import Callable

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from parc_core.config import load_iteration
from parc_core.interfaces import Policy, Scene
from parc_core.plugins import Registry
from parc_mdm.config import MdmConfig
from parc_mdm.generator import MdmGenerator
from parc_mdm.objective import Objective
from parc_mdm.train import Trainer
from parc_motion.clips import MotionDataset, load_clip, save_clip
from parc_motion.errors import ParcError
from parc_motion.playback import Playback
from parc_motion.skeletons import load_skeleton
from parc_motion.storage import read_arrays, read_manifest, write_arrays, write_manifest
from parc_motion.terrains import Terrain
from parc_mujoco.config import MujocoConfig
from parc_mujoco.cpu import MujocoSimulator
from parc_ppo.config import DmPpoConfig, ModelConfig
from parc_ppo.dmppo import DmPpoAgent
from parc_rl.normalizer import Normalizer
from parc_testing.builders import make_clip, make_terrain
from parc_testing.context import make_context
from parc_testing.contracts.generator import tiny_dataset
from parc_testing.contracts.simulator import character_state
from parc_testing.fake_env import FakeTrackerEnv

NAN, SKELETON = float("nan"), load_skeleton()
Case = Callable[[pathlib.Path, pytest.MonkeyPatch], object]
CASES: dict[str, tuple[Case, list[str]]] = {}  # by name: what is done, and the words of the error


def case(*words: str) -> Callable[[Case], Case]:
    def add(function: Case) -> Case:
        CASES[function.__name__] = (function, list(words))
        return function

    return add


def train_agent(folder: pathlib.Path, env: FakeTrackerEnv | None = None) -> Policy:
    model = ModelConfig(actor_net="mlp_32", critic_net="mlp_32", activation="elu", actor_std_type="FIXED")
    settings = DmPpoConfig(max_samples=256, batch_size=64, update_epochs=1, iters_per_output=1, model=model)
    settings = attrs.evolve(settings, steps_per_iter=8)
    return DmPpoAgent(settings).train(env or FakeTrackerEnv(num_envs=16), make_context(folder))


def train_generator(folder: pathlib.Path, **settings: object) -> MdmGenerator:
    made = MdmGenerator(MdmConfig.preset("tiny", mirror=False, epochs=1, **settings), skeleton=SKELETON)
    made.fit(tiny_dataset(folder / "data"), make_context(folder))
    return made


@case("broken.npz", "root_pos holds nan at index [7, 2]")
def motion_file(folder, monkeypatch):
    save_clip(folder / "clip.npz", make_clip(20))
    arrays, header = read_arrays(folder / "clip.npz")
    arrays["root_pos"][7, 2] = NAN
    write_arrays(folder / "broken.npz", arrays, header)
    load_clip(folder / "broken.npz")


@case("height holds inf at index [1, 2]")
def terrain(folder, monkeypatch):
    height = np.zeros((4, 4))
    height[1, 2] = math.inf
    Terrain(height=height, origin_xy=np.zeros(2), cell=0.4)


@case("iteration.yaml:3:", "learning_rate")
def setting(folder, monkeypatch):
    file = folder / "iteration.yaml"
    file.write_text("parc: 1\nname: x\ntrain_gen: {generator: {use: mdm, learning_rate: .nan}}\n")
    load_iteration(file, (), Registry.discover())


@case(
    "diverged in step", "loss is nan", "contacts", "had gone back", "--set train_gen.generator.learning_rate="
)
def loss(folder, monkeypatch):
    losses = Objective.losses

    def broken(self, *streams):
        terms = losses(self, *streams)
        return {**terms, "contacts": terms["contacts"] * NAN}

    monkeypatch.setattr(Objective, "losses", broken)
    train_generator(folder)


@case("diverged in step", "gradient's norm is nan", "had gone back")
def gradient(folder, monkeypatch):
    def broken(params, most):
        return torch.tensor(NAN)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", broken)
    train_generator(folder)


@case("diverged in step", "the weights 'time.", "had gone back")
def averaged_weights(folder, monkeypatch):
    average = Trainer._average

    def broken(self):
        average(self)
        self.averaged[0].fill_(math.inf)

    monkeypatch.setattr(Trainer, "_average", broken)
    train_generator(folder)


@case("final/model.safetensors", "tensor 'denoiser.", "not written")
def generator_to_be_saved(folder, monkeypatch):
    made = train_generator(folder)
    with torch.no_grad():
        next(made.model.denoiser.parameters()).fill_(NAN)
    made.save(folder / "final")


@case("final/model.safetensors", "tensor 'mean'", "use an earlier model")
def generator_made_elsewhere(folder, monkeypatch):
    made = train_generator(folder)
    made.save(folder / "final")
    fields, tensors = (
        read_manifest(folder / "final", "generator"),
        load_file(folder / "final" / "model.safetensors"),
    )
    save_file({**tensors, "mean": tensors["mean"] * NAN}, folder / "final" / "model.safetensors")
    write_manifest(folder / "final", "generator", fields)
    MdmGenerator(MdmConfig.preset("tiny"), skeleton=SKELETON).restore(folder / "final")


@case("policy/policy.safetensors", "tensor 'actor.0.weight'", "use an earlier model")
def policy_made_elsewhere(folder, monkeypatch):
    policy = train_agent(folder)
    file = policy.folder / "policy.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "actor.0.weight": tensors["actor.0.weight"] * NAN}, file)
    DmPpoAgent(DmPpoConfig()).restore(policy, FakeTrackerEnv())


class NanEnv(FakeTrackerEnv):
    what = "obs"

    def step(self, action):
        step = super().step(action)
        getattr(step, self.what)[3] = NAN
        return step


@case("iteration 1", "observation", "environment 3", "had gone back")
def observation(folder, monkeypatch):
    train_agent(folder, NanEnv(num_envs=16))


@case("iteration 1", "reward", "environment 3", "--set train_tracker.agent.optimizer.learning_rate=")
def reward(folder, monkeypatch):
    monkeypatch.setattr(NanEnv, "what", "reward")
    train_agent(folder, NanEnv(num_envs=16))


@case("iteration 1", "the weights 'normalizer.", "had gone back")
def normalizer(folder, monkeypatch):
    apply = Normalizer.apply_recorded

    def broken(self):
        apply(self)
        self.mean.fill_(NAN)

    monkeypatch.setattr(Normalizer, "apply_recorded", broken)
    train_agent(folder)


@case("agent 'nan'", "motion 'wave_1'", "0.00 s", "policy is unusable")
def action(folder, monkeypatch):
    class NanAgent(DmPpoAgent):
        name = "nan"

        def act(self, env, obs, deterministic=True):
            actions = torch.zeros(env.num_envs, len(env.action.lower))
            actions[1, 0] = NAN
            return actions

    env = FakeTrackerEnv(num_envs=3)
    list(Playback(env, NanAgent(DmPpoConfig()), torch.tensor([0, 1]), torch.zeros(2)))


@case("environment 1", "clip 'walk_1'", "parc debug")
def simulated_velocity(folder, monkeypatch):
    """The others go on bit for bit; what happened is in the log, and kept."""
    records: list[logging.LogRecord] = []
    monkeypatch.setattr(logging.getLogger("parc_mujoco.divergence"), "handle", records.append)
    states = []
    for spoiled in (False, True):
        sim = MujocoSimulator(MujocoConfig(), dumps=folder)
        sim.build(
            Scene(skeleton=SKELETON, terrains=[make_terrain()], num_envs=3, label=lambda env: f"walk_{env}")
        )
        sim.reset(torch.arange(3), character_state(3, height=0.95))
        for step in range(10):
            if spoiled and step == 6:
                sim._field["qvel"][1, 3] = NAN
            sim.step()
        states.append(sim.read())
        assert sim.num_diverged == spoiled
        sim.close()
    sound, broken = states
    assert broken.finite.tolist() == [True, False, True]
    assert torch.equal(sound.body_pos[[0, 2]], broken.body_pos[[0, 2]])
    assert torch.isfinite(broken.body_pos).all()
    raise ParcError(records[0].getMessage())


@case("motions.yaml", "weight")
def weight_of_a_clip(folder, monkeypatch):
    dataset = tiny_dataset(folder / "data")
    dataset.save(folder / "motions.yaml")
    text = (folder / "motions.yaml").read_text()
    assert '"weight": ' in text
    head, _, tail = text.partition('"weight": ')
    (folder / "motions.yaml").write_text(f'{head}"weight": NaN{tail[tail.index(",") :]}')
    MotionDataset.load(folder / "motions.yaml")


def test_numbers_that_are_not_finite_are_named_wherever_they_come_in(tmp_path, monkeypatch, measured):
    named, missing = 0, {}
    for name, (function, words) in CASES.items():
        folder = tmp_path / name
        folder.mkdir()
        with monkeypatch.context() as patch:
            try:
                function(folder, patch)
                text = "no error"
            except ParcError as err:
                text = str(err)
        absent = [word for word in words if word not in text]
        named += not absent
        if absent:
            missing[name] = (absent, text)
        for file in folder.rglob("*.safetensors"):
            if "elsewhere" not in name:
                assert all(torch.isfinite(value.double()).all() for value in load_file(file).values()), file
    measured("NaN cases", f"{named} of {len(CASES)} named")
    assert not missing, "\n".join(
        f"{name}: {absent} not in: {text}" for name, (absent, text) in missing.items()
    )
