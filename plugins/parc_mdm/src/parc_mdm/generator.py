"""The generator `mdm`: trains the motion diffusion model, keeps it in a folder, and makes motions along paths."""

from __future__ import annotations

import json
import logging
import pathlib
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_core.config import load_settings
from parc_core.errors import ConfigError
from parc_core.interfaces import Generator, StageContext
from parc_core.plugins import Registry
from parc_mdm.clips import hold_out, usable_clips
from parc_mdm.config import SHAPE_SETTINGS, MdmConfig
from parc_mdm.features import FPS, FeatureLayout
from parc_mdm.model import MotionModel, num_window_frames
from parc_mdm.model_file import STATISTICS, WEIGHTS, write_model
from parc_mdm.path_guides import PathGuides
from parc_mdm.rollout import Rollout, roll_out
from parc_mdm.statistics import cached_statistics
from parc_mdm.store import MotionStore
from parc_mdm.train import Trainer
from parc_mdm.windows import start_height, window_stats
from parc_motion.clips import MotionClip, MotionDataset, PackedClips, Provenance
from parc_motion.errors import DataError
from parc_motion.geometry import PackedTerrains
from parc_motion.skeletons import Skeleton
from parc_motion.storage import (
    digest_json,
    read_manifest,
    read_tensors,
)
from parc_motion.terrains import Path, Terrain, slice_around

__all__ = ["MdmGenerator"]

log = logging.getLogger(__name__)

_STD_FLOOR = 0.01  # rad or m: joints that rest in these clips may move in the next ones


class MdmGenerator(Generator):
    """Motion diffusion over windows of half a second, conditioned on the ground ahead and a direction."""

    data_parallel = True

    def __init__(self, config: MdmConfig, *, skeleton: Skeleton, device: str = "cpu") -> None:
        self.config, self.skeleton, self.device = config, skeleton, device
        self.model: MotionModel | None = None

    def prepare(self, dataset: MotionDataset, ctx: StageContext) -> None:
        """Pack the clips, and their frames with those of their mirror images; see `Generator.prepare`."""
        self._stores(dataset, ctx)

    def fit(self, dataset: MotionDataset, ctx: StageContext) -> None:
        """Train on every clip of the data set; see `Generator.fit`."""
        config = self.config
        if config.batch_size < ctx.parallel.size:
            raise ConfigError(
                f"generator mdm: batch_size is {config.batch_size}, too few for {ctx.parallel.size} processes. Raise "
                "it, or lower train_gen.processes."
            )
        with ctx.parallel.main_first():
            store, held_out, kept = self._stores(dataset, ctx)
            if self.model is None or config.refit_statistics:
                self._set_statistics(store, [dataset.digest, kept], ctx)
        log.info(
            "%d clips (mirror images included), %d windows", store.num_clips, int(store.num_starts.sum())
        )
        Trainer(self._ready("train"), store, ctx, held_out=held_out, data=dataset.digest).run()

    def _stores(
        self, dataset: MotionDataset, ctx: StageContext
    ) -> tuple[MotionStore, MotionStore | None, list[str]]:
        """What the training learns from, what is held out, and the names of the clips that it learns from."""
        config, window = self.config, num_window_frames(self.config)
        clips, usable = usable_clips(dataset, ctx.cache, self.skeleton, window, config.short_clips)
        names = [dataset.entries[m].name for m in usable]
        held = hold_out(names, config.validation_share)
        store = self._store(clips, usable[~held])
        held_out = self._store(clips, usable[held]) if held.any() else None
        return store, held_out, [name for name, is_held in zip(names, held) if not is_held]

    def _store(self, clips: PackedClips, chosen: np.ndarray) -> MotionStore:
        window, mirror = num_window_frames(self.config), self.config.mirror
        return MotionStore.cached(clips, chosen, self.skeleton, window, mirror=mirror, device=self.device)

    def _set_statistics(self, store: MotionStore, clips: list[Any], ctx: StageContext) -> None:
        """Standardize by these clips; a model that does not exist yet is made."""
        if self.model is None:
            self.model = _fresh(self.config, self.skeleton, self.device, ctx.seeds.integer("mdm_weights"))
        model, config = self.model, self.config
        frames = model.denoiser.num_frames
        settings = [attrs.asdict(model.layout), frames, config.mirror, _STD_FLOOR, self.skeleton.id]
        found = cached_statistics(
            ctx.folder,
            digest_json([*clips, *settings]),
            lambda: fit_statistics(store, model.layout, frames),
            self.device,
        )
        for name in STATISTICS:
            getattr(model, name).copy_(found[name])

    def save(self, folder: pathlib.Path) -> None:
        """Write `model.safetensors` (averaged weights, statistics) and `generator.json`."""
        model = self._ready("save")
        write_model(model, folder, model.denoiser.state_dict())

    def restore(self, folder: pathlib.Path) -> None:
        """Take over saved weights; the settings that shape the network come from the file.

        Raises:
            DataError: nothing there, damaged, or made for another generator or character.
            ConfigError: a setting that shapes the network was set to something else than the file says.
        """
        fields = read_manifest(folder, "generator")
        if fields.get("provider") != "mdm":
            raise DataError(f"{folder}: weights of generator '{fields.get('provider')}', expected 'mdm'.")
        if fields["skeleton"] != self.skeleton.id:
            raise DataError(
                f"{folder}: made for character '{fields['skeleton']}'; this run uses '{self.skeleton.id}'. "
                "Train a new generator, or set `character`."
            )
        config = _merge(self.config, fields["shape"], folder)
        model = MotionModel.of(config, self.skeleton, self.device)
        tensors = read_tensors(folder / WEIGHTS, self.device)
        expected = {f"denoiser.{name}": value for name, value in model.denoiser.state_dict().items()}
        expected |= {name: getattr(model, name) for name in STATISTICS}
        for name, value in expected.items():
            if name not in tensors or tensors[name].shape != value.shape:
                found = list(tensors[name].shape) if name in tensors else "nothing"
                raise DataError(f"{folder / WEIGHTS}: '{name}' is {found}, expected {list(value.shape)}.")
            value.copy_(tensors[name])
        model.denoiser.eval()
        self.config, self.model = config, model

    def propose(self, terrain: Terrain, path: Path, count: int, rng: np.random.Generator) -> list[MotionClip]:
        """`count` candidates in one batch; see `Generator.propose`."""
        return self.propose_many([(terrain, path)], count, rng)[0]

    def propose_many(
        self, tasks: Sequence[tuple[Terrain, Path]], count: int, rng: np.random.Generator
    ) -> list[list[MotionClip]]:
        """`count` candidates for every terrain and path, all of them in one batch."""
        model = self._ready("propose")
        seed = int(rng.integers(2**63))
        generator = torch.Generator(device=self.device)
        generator.manual_seed(seed)
        packed = PackedTerrains.of([terrain for terrain, _ in tasks], self.device)
        guides = PathGuides.of([path for _, path in tasks], count, self.device)
        guide = guides.guides[0] if len(tasks) == 1 else guides
        rollout = roll_out(model, packed, guide, count * len(tasks), generator)
        return [
            [self._clip(_row(rollout, k * count + i), i, *task, seed) for i in range(count)]
            for k, task in enumerate(tasks)
        ]

    def _clip(self, rollout: Rollout, index: int, terrain: Terrain, path: Path, seed: int) -> MotionClip:
        frames = rollout.frames[: int(rollout.length)]
        root_pos = frames.root_pos.cpu().numpy()
        notes: dict[str, Any] = {"reached_goal": bool(rollout.reached), "candidate": index}
        return MotionClip(
            name=f"candidate_{index}",
            root_pos=root_pos,
            root_rot=frames.root_rot.cpu().numpy(),
            joint_rot=frames.joint_rot.cpu().numpy(),
            contacts=frames.contacts.clamp(0.0, 1.0).cpu().numpy(),
            fps=FPS,
            skeleton=self.skeleton.id,
            terrain=slice_around(terrain, root_pos, self.config.terrain_padding).terrain,
            path=path,
            provenance=Provenance(stage="kin_gen", provider="mdm", seed=seed, notes=notes),
        )

    def _ready(self, verb: str) -> MotionModel:
        if self.model is None:
            raise DataError(f"generator mdm: cannot {verb} before `fit` or `restore`.")
        return self.model


def _row(rollout: Rollout, index: int) -> Rollout:
    """One candidate of a rollout, without the leading axis."""
    return Rollout(frames=rollout.frames[index], length=rollout.length[index], reached=rollout.reached[index])


def _fresh(config: MdmConfig, skeleton: Skeleton, device: str, seed: int) -> MotionModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % (1 << 63))
        return MotionModel.of(config, skeleton, device)


def fit_statistics(store: MotionStore, layout: FeatureLayout, frames: int) -> dict[str, Tensor]:
    """What a model standardizes with, from these clips."""
    mean, std = window_stats(store, layout, frames, _STD_FLOOR)
    return {"mean": mean, "std": std, "start_height": start_height(store)}


def _merge(config: MdmConfig, shape: dict[str, Any], folder: pathlib.Path) -> MdmConfig:
    """The settings with the network's shape from the file; only settings left at their defaults may differ from it."""
    # files from before a setting existed hold what is its default
    text = json.dumps({name: shape[name] for name in SHAPE_SETTINGS if name in shape})
    stored, _ = load_settings(text, str(folder / "generator.json"), MdmConfig, Registry.discover())
    defaults = MdmConfig()
    wrong = [
        name
        for name in SHAPE_SETTINGS
        if getattr(config, name) not in (getattr(stored, name), getattr(defaults, name))
    ]
    if wrong:
        listed = ", ".join(
            f"{n} is {getattr(config, n)}, the weights have {getattr(stored, n)}" for n in wrong
        )
        raise ConfigError(f"{folder}: {listed}. Remove the setting, or train a new generator.")
    return attrs.evolve(config, **{name: getattr(stored, name) for name in SHAPE_SETTINGS})
