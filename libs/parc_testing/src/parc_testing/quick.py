"""Providers that take no time, for tests of runs: what they make depends on their settings, seeds and inputs alone.

They are chosen by their path, see `ITERATION_FILE`. The motions of `./clips` are the data set.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import signal
import time

import attrs
import numpy as np
import torch

from parc_core.config import setting
from parc_core.interfaces import Agent, Generator, Policy, Recorded, Recorder, RecordReport, Stopped
from parc_motion.clips import Execution
from parc_motion.errors import DataError
from parc_motion.storage import digest_json, make_folder, read_manifest, write_manifest, write_tensors
from parc_testing.builders import make_clip, make_terrain
from parc_testing.fake_simulator import FakeSimulator

ITERATION_FILE = """
parc: 1
name: quick
seed: 3
dataset: [./clips]
executor: {use: local, workers: 1}
train_gen: {generator: {use: "parc_testing.quick:QuickGenerator"}}
kin_gen:
  batches: 2
  motions_per_batch: 2
  candidates: 2
  terrain: {use: flat}
  planner: {use: straight, length: 2.0}
  selector: {use: first}
  optimizer: {use: none}
train_tracker:
  env: {use: "parc_testing.quick:QuickEnv"}
  simulator: {use: "parc_testing.quick:QuickSimulator"}
  agent: {use: "parc_testing.quick:QuickAgent"}
phys_record:
  recorder: {use: "parc_testing.quick:QuickRecorder"}
"""


@attrs.frozen(kw_only=True)
class Epochs:
    """Settings of the generator."""

    epochs: int = setting(1, ge=1, extends=True, help="Number of epochs.")


class QuickGenerator(Generator):
    """Its weights are a digest of what it was trained on."""

    def __init__(self, config: Epochs, *, skeleton, device: str) -> None:
        self.config, self.weights = config, ""

    def fit(self, dataset, ctx):
        """Take in what the data set is, once per epoch."""
        checkpoint = ctx.checkpoints.latest()
        if checkpoint is not None:
            self.weights = checkpoint.state["weights"]
        for epoch in range(checkpoint.step if checkpoint else 0, self.config.epochs):
            self.weights = digest_json([self.weights, dataset.digest])
            ctx.checkpoints.save(epoch + 1, {}, {"weights": self.weights}, model=self.save)
            ctx.metrics.write(epoch + 1, {"epoch": epoch + 1})
            if ctx.should_stop():
                raise Stopped

    def save(self, folder):
        """Write the weights."""
        make_folder(folder)
        number = int.from_bytes(hashlib.sha256(self.weights.encode()).digest()[:4])
        write_tensors(folder / "model.safetensors", {"weights": torch.tensor([number])})
        write_manifest(folder, "generator", {"provider": "quick", "weights": self.weights})

    def restore(self, folder):
        """Read the weights."""
        self.weights = read_manifest(folder, "generator")["weights"]

    def propose(self, terrain, path, count, rng):
        """Walks of random speeds."""
        speeds = rng.uniform(0.5, 1.5, count)
        return [
            make_clip(20, name=f"candidate_{k}", speed=float(speed), terrain=terrain, path=path)
            for k, speed in enumerate(speeds)
        ]


@attrs.frozen(kw_only=True)
class Trap:
    """Settings of the generator with a trap."""

    epochs: int = setting(1, ge=1, extends=True, help="Number of epochs.")
    trap: str = setting(
        "",
        help="Folder; the files in it say what happens to who generates: fail, err, exit, kill, hang, wait.",
    )


class TrappedGenerator(QuickGenerator):
    """Does what the files in a folder say before it generates; a file ``fail-once`` serves once."""

    def __init__(self, config: Trap, *, skeleton, device: str) -> None:
        super().__init__(Epochs(epochs=config.epochs), skeleton=skeleton, device=device)
        self.trap = config.trap

    def propose(self, terrain, path, count, rng):
        """Walks of random speeds."""
        for file in sorted(pathlib.Path(self.trap).glob("[!.]*")) if self.trap else ():
            what, _, once = file.name.partition("-")
            if once:
                try:
                    file.rename(file.with_name(f".{what}-{os.getpid()}"))
                except FileNotFoundError:  # another process stepped into it
                    continue
            _ACTIONS[what]()
        return super().propose(terrain, path, count, rng)


def _fail():
    raise DataError("the trap was sprung")


_ACTIONS = {
    "fail": _fail,
    "err": lambda: 1 // 0,
    "exit": lambda: os._exit(3),
    "hang": lambda: time.sleep(600),
    "wait": lambda: time.sleep(6),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
}


class BreakingGenerator(QuickGenerator):
    """Fails in the middle of its training."""

    def fit(self, dataset, ctx):
        """Take in what the data set is."""
        (ctx.folder / "half.txt").write_text("half")
        raise DataError("broken")


@attrs.frozen(kw_only=True)
class NumEnvs:
    """Settings of the simulator."""

    num_envs: int = setting(1, ge=1, help="Number of environments.")


class QuickSimulator(FakeSimulator):
    """A fake simulator with settings."""

    def __init__(self, config: NumEnvs, *, device: str, threads: int) -> None:
        super().__init__(config, device=device, threads=threads)


@attrs.frozen(kw_only=True)
class NoSettings:
    """Nothing."""


class QuickEnv:
    """Holds clips."""

    def __init__(
        self, config: NoSettings, *, clips, weights, simulator, num_envs, skeleton, rng, device
    ) -> None:
        self.clips, self.skeleton = clips, skeleton

    def close(self):
        """Nothing is open."""
        pass


@attrs.frozen(kw_only=True)
class Samples:
    """Settings of the agent."""

    max_samples: int = setting(1, ge=1, extends=True, help="Number of samples.")


class QuickAgent(Agent):
    """Its weights are a digest of what it was trained on; it never acts."""

    name, trains = "quick", False

    def __init__(self, config: Samples, *, device: str) -> None:
        self.config, self.weights = config, ""

    def train(self, env, ctx):
        """Take in what the motions are."""
        folder = ctx.folder / "policy"
        names = sorted(clip.name for clip in env.clips)
        self.weights = digest_json([self.weights, names, self.config.max_samples])
        make_folder(folder)
        return Policy(
            folder=folder,
            agent=self.name,
            skeleton=env.skeleton.id,
            observation={},
            action={},
            extra={"weights": self.weights},
        ).save()

    def restore(self, policy, env):
        """Read the weights."""
        self.weights = policy.extra["weights"]

    def act(self, env, obs, deterministic=True):
        """It never acts."""
        raise NotImplementedError


class OtherAgent(QuickAgent):
    """Accepts policies of `quick`."""

    name, accepts = "other", frozenset({"quick"})


class StrictAgent(QuickAgent):
    """Accepts no policies but its own."""

    name = "strict"


class BreakingAgent(QuickAgent):
    """Fails in the middle of its training."""

    def train(self, env, ctx):
        """Write something, and fail."""
        (ctx.folder / "half.txt").write_text("half")
        raise DataError("broken")


class QuickRecorder(Recorder):
    """Every clip is its own recording, at a speed that depends on the policy."""

    def __init__(self, config: NoSettings, *, skeleton, second_chance) -> None:
        self.skeleton = skeleton

    def record(self, env, agent, clips, ctx):
        """Every clip as it is, moved a little."""
        shift = int.from_bytes(hashlib.sha256(agent.weights.encode()).digest()[:2]) / 65536
        rows = []
        for clip in clips:
            root_pos = clip.root_pos + np.array([0.0, 0.01 * shift, 0.0])
            made = attrs.evolve(clip, name=f"{clip.name}_dm", root_pos=root_pos)
            dofs = self.skeleton.num_dofs
            execution = Execution(
                root_pos=root_pos[0],
                root_rot=clip.root_rot[0],
                joint_rot=clip.joint_rot[0],
                root_vel=np.zeros(3),
                root_ang_vel=np.zeros(3),
                dof_vel=np.zeros(dofs),
                dof_target=np.zeros((clip.num_frames - 1, dofs)),
                terrain=clip.terrain or make_terrain(),
                control_hz=30.0,
                skeleton=clip.skeleton,
            )
            rows.append(
                Recorded(
                    clip=made, motion=clip.name, agent="quick", start_fraction=0.0, attempts=1, errors={},
                    execution=execution,
                )
            )  # fmt: skip
        return RecordReport(recorded=tuple(rows), lost={})
