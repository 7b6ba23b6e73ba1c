"""The generator `mdm`: trains the motion diffusion model, keeps it in a folder, and makes motions along paths."""

from __future__ import annotations

import logging
import pathlib
from typing import Any

import attrs
import numpy as np
import torch

from parc_core.data.clip import MotionClip, Provenance
from parc_core.data.dataset import MotionDataset
from parc_core.data.manifest import read_manifest, write_manifest
from parc_core.data.path import Path
from parc_core.data.skeleton import Skeleton
from parc_core.data.terrain import Terrain
from parc_core.errors import ConfigError, DataError
from parc_core.geometry.operations import slice_around
from parc_core.geometry.packed import PackedTerrains
from parc_core.interfaces.context import StageContext
from parc_core.interfaces.generator import Generator
from parc_core.storage import make_folder, read_tensors, write_tensors
from parc_mdm.config import SHAPE_SETTINGS, MdmConfig
from parc_mdm.features import FPS
from parc_mdm.model import MotionModel, num_window_frames
from parc_mdm.path_guide import PathGuide
from parc_mdm.rollout import Rollout, roll_out
from parc_mdm.store import MotionStore
from parc_mdm.train import Trainer
from parc_mdm.windows import start_height, window_stats

__all__ = ["MdmGenerator"]

log = logging.getLogger(__name__)

_WEIGHTS = "model.safetensors"
_STATISTICS = ("mean", "std", "start_height")
_STD_FLOOR = 0.01  # rad or m: joints that rest in these clips may move in the next ones


class MdmGenerator(Generator):
    """Motion diffusion over windows of half a second, conditioned on the ground ahead and a direction."""

    def __init__(self, config: MdmConfig, *, skeleton: Skeleton, device: str = "cpu") -> None:
        self.config, self.skeleton, self.device = config, skeleton, device
        self.model: MotionModel | None = None

    def fit(self, dataset: MotionDataset, ctx: StageContext) -> None:
        """Train on every clip of the data set; see `Generator.fit`."""
        window = num_window_frames(self.config)
        store = MotionStore.of(
            list(dataset),
            dataset.weights,
            self.skeleton,
            window,
            mirror=self.config.mirror,
            device=self.device,
        )
        if self.model is None:
            self.model = _fresh(self.config, self.skeleton, self.device, ctx.seeds.integer("mdm_weights"))
            mean, std = window_stats(store, self.model.layout, window, _STD_FLOOR)
            self.model.mean.copy_(mean)
            self.model.std.copy_(std)
            self.model.start_height.copy_(start_height(store))
        log.info(
            "%d clips (mirror images included), %d windows", store.num_clips, int(store.num_starts.sum())
        )
        Trainer(self.model, store, ctx).run()

    def save(self, folder: pathlib.Path) -> None:
        """Write `model.safetensors` (averaged weights, statistics) and `generator.json`."""
        model = self._ready("save")
        make_folder(folder)
        tensors = {f"denoiser.{name}": value for name, value in model.denoiser.state_dict().items()}
        tensors |= {name: getattr(model, name) for name in _STATISTICS}
        write_tensors(folder / _WEIGHTS, tensors)
        fields = {
            "provider": "mdm",
            "skeleton": self.skeleton.id,
            "num_features": model.layout.width,
            "shape": {name: _plain(getattr(model.config, name)) for name in SHAPE_SETTINGS},
            "settings": _plain(attrs.asdict(model.config)),
        }
        write_manifest(folder, "generator", fields)

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
        tensors = read_tensors(folder / _WEIGHTS, self.device)
        expected = {f"denoiser.{name}": value for name, value in model.denoiser.state_dict().items()}
        expected |= {name: getattr(model, name) for name in _STATISTICS}
        for name, value in expected.items():
            if name not in tensors or tensors[name].shape != value.shape:
                found = list(tensors[name].shape) if name in tensors else "nothing"
                raise DataError(f"{folder / _WEIGHTS}: '{name}' is {found}, expected {list(value.shape)}.")
            value.copy_(tensors[name])
        model.denoiser.eval()
        self.config, self.model = config, model

    def propose(self, terrain: Terrain, path: Path, count: int, rng: np.random.Generator) -> list[MotionClip]:
        """`count` candidates in one batch; see `Generator.propose`."""
        model = self._ready("propose")
        seed = int(rng.integers(2**63))
        generator = torch.Generator(device=self.device)
        generator.manual_seed(seed)
        packed, guide = PackedTerrains.of([terrain], self.device), PathGuide.of(path, self.device)
        rollout = roll_out(model, packed, guide, count, generator)
        return [self._clip(rollout, index, terrain, path, seed) for index in range(count)]

    def _clip(self, rollout: Rollout, index: int, terrain: Terrain, path: Path, seed: int) -> MotionClip:
        frames = rollout.frames[index, : int(rollout.length[index])]
        root_pos = frames.root_pos.cpu().numpy()
        notes: dict[str, Any] = {"reached_goal": bool(rollout.reached[index]), "candidate": index}
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


def _fresh(config: MdmConfig, skeleton: Skeleton, device: str, seed: int) -> MotionModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % (1 << 63))
        return MotionModel.of(config, skeleton, device)


def _merge(config: MdmConfig, shape: dict[str, Any], folder: pathlib.Path) -> MdmConfig:
    """The settings with the network's shape from the file; only settings left at their defaults may differ from it."""
    defaults = MdmConfig()
    stored = {name: tuple(v) if isinstance(v := shape[name], list) else v for name in SHAPE_SETTINGS}
    wrong = [n for n in SHAPE_SETTINGS if getattr(config, n) not in (stored[n], getattr(defaults, n))]
    if wrong:
        listed = ", ".join(f"{n} is {getattr(config, n)}, the weights have {stored[n]}" for n in wrong)
        raise ConfigError(f"{folder}: {listed}. Remove the setting, or train a new generator.")
    return attrs.evolve(config, **stored)


def _plain(value: Any) -> Any:
    """The value in JSON's types."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
