"""Trains a generator for minutes by the clock; its learning rate falls with the share of them that has passed."""

from __future__ import annotations

import argparse
import math
import pathlib
import sys
import tempfile
import time
from typing import Any

import attrs
import numpy as np
import torch

from parc_mdm.config import MdmConfig
from parc_mdm.generator import MdmGenerator
from parc_mdm.model import MotionModel, num_window_frames
from parc_mdm.store import MotionStore
from parc_mdm.train import Trainer
from parc_mdm.windows import start_height, window_stats
from parc_motion.clips import MotionClip, class_balanced_weights
from parc_motion.skeletons import load_skeleton
from parc_testing.context import make_context

__all__ = ["SKELETON", "as_generator", "say", "settings", "stored", "trained"]

SKELETON = load_skeleton("humanoid")
_STD_FLOOR = 0.01  # that of the generator
_REPORTS = 20


def settings(preset: str, *changes: dict[str, Any]) -> MdmConfig:
    """The preset with changes; loss weights that a change does not name stay."""
    fields: dict[str, Any] = {}
    losses = dict(MdmConfig.PRESETS[preset].get("losses", {}))
    for change in changes:
        fields |= change
        losses |= change.get("losses", {})
    return MdmConfig.preset(preset, **{**fields, "losses": losses})


def stored(clips: list[MotionClip], config: MdmConfig) -> MotionStore:
    """The clips as training sees them, every class equally often."""
    weights = class_balanced_weights(
        [clip.motion_class for clip in clips], [clip.num_frames / clip.fps for clip in clips]
    )
    window = num_window_frames(config)
    return MotionStore.of(clips, weights, SKELETON, window, mirror=config.mirror, device="cpu")


def trained(
    whole: MotionStore, store: MotionStore, config: MdmConfig, options: argparse.Namespace
) -> tuple[MotionModel, dict[str, Any]]:
    """A model trained on a store for a given time, with its averaged weights, and a report of the training."""
    torch.manual_seed(options.seed)
    model = MotionModel.of(config, SKELETON, "cpu")
    mean, std = window_stats(store, model.layout, model.denoiser.num_frames, _STD_FLOOR)
    for own, value in ((model.mean, mean), (model.std, std), (model.start_height, start_height(whole))):
        own.copy_(value)
    with tempfile.TemporaryDirectory() as folder:
        context = make_context(pathlib.Path(folder), seed=options.seed, threads=options.threads)
        trainer = Trainer(model, store, context)
        losses = _run_for(trainer, options.minutes)
    with torch.no_grad():
        for param, averaged in zip(trainer.params, trainer.averaged):
            param.copy_(averaged)
    model.denoiser.eval()
    taken = attrs.evolve(config, epochs=trainer.iteration, iters_per_epoch=1)
    record = {
        "preset": options.preset,
        "seed": options.seed,
        "threads": options.threads,
        "minutes": options.minutes,
    }
    return attrs.evolve(model, config=taken), {**record, "steps": trainer.iteration, "losses": losses}


def _run_for(trainer: Trainer, minutes: float) -> list[float]:
    """Train for a given number of minutes; returns the mean loss of each twentieth of them.

    The number of steps is estimated again before every step, so that the learning rate ends where it should.
    """
    trainer.denoiser.train()
    start, means, recent = time.perf_counter(), [], []
    while (share := (time.perf_counter() - start) / (60.0 * minutes)) < 1.0:
        if trainer.iteration >= 10:
            steps = max(math.ceil(trainer.iteration / share), trainer.iteration + 1)
            trainer.config = attrs.evolve(trainer.config, epochs=steps, iters_per_epoch=1)
        recent.append(float(trainer.step()))
        if share >= (len(means) + 1) / _REPORTS:
            means.append(round(float(np.mean(recent)), 4))
            say(f"{share * minutes:.1f} of {minutes:g} min, step {trainer.iteration}, loss {means[-1]:.3f}")
            recent = []
    return means


def as_generator(model: MotionModel) -> MdmGenerator:
    """The generator with this model."""
    generator = MdmGenerator(model.config, skeleton=SKELETON)
    generator.model = model
    return generator


def say(text: str) -> None:
    """Tell the person at the screen, beside the figures."""
    print(text, file=sys.stderr, flush=True)
