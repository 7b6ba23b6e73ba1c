"""The training loop: AdamW on the predicted clean sample, averaged weights, checkpoints that continue exactly.

Source: published PARC implementation for the conditions' drop rates, the averaging and the clipping. The noise on the
history, its drift, the warm-up and the cosine decay are ours.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator

import attrs
import torch
from torch import Generator, Tensor

from parc_core.errors import DataError
from parc_core.interfaces.context import StageContext, Stopped
from parc_core.storage import Checkpoint, digest_json
from parc_mdm.config import MdmConfig
from parc_mdm.diffusion import add_noise
from parc_mdm.features import NUM_HISTORY, REFERENCE, FeatureLayout
from parc_mdm.losses import CollisionPoints, loss_terms, total_loss
from parc_mdm.model import MotionModel
from parc_mdm.store import MotionStore
from parc_mdm.transformer import Condition
from parc_mdm.windows import Windows, draw_windows

__all__ = ["Trainer", "learning_rate"]

log = logging.getLogger(__name__)

_STREAMS = ("windows", "noise", "dropout")
_DRIFT_FRAMES = 7  # frames in which a window undoes the drift of its history
_FAR_SHARE, _FAR_FACTOR = 0.15, 4.0  # some histories are lifted further, as after a missed step
_REPORT_EVERY = 10  # steps between progress reports


def learning_rate(config: MdmConfig, iteration: int) -> float:
    """Learning rate of a step: linear warm-up, then constant or half a cosine down to its final fraction."""
    total = config.epochs * config.iters_per_epoch
    if iteration < config.warmup_iters:
        return config.learning_rate * (iteration + 1) / config.warmup_iters
    if config.lr_decay == "none":
        return config.learning_rate
    done = (iteration - config.warmup_iters) / max(total - config.warmup_iters, 1)
    share = 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
    return config.learning_rate * (config.lr_final_fraction + (1.0 - config.lr_final_fraction) * share)


class Trainer:
    """Trains a model on a store of motions; after `run`, the model's denoiser holds the averaged weights."""

    def __init__(self, model: MotionModel, store: MotionStore, ctx: StageContext) -> None:
        self.model, self.store, self.ctx = model, store, ctx
        config, device = model.config, str(model.device)
        self.config = config
        self.denoiser = model.denoiser
        self.params = list(self.denoiser.parameters())
        self.averaged = [p.detach().clone() for p in self.params]
        self.optimizer = torch.optim.AdamW(
            self.params, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.streams = {name: ctx.seeds.torch(f"mdm_{name}", device) for name in _STREAMS}
        self.collision = None
        if config.losses.collision:
            self.collision = CollisionPoints.of(model.kin.skeleton, device)
        self.iteration = 0
        self.sums: dict[str, float] = {}  # of losses since the epoch began
        self._pending: dict[str, Tensor] = {}
        self._digest = digest_json(attrs.asdict(config))

    def run(self) -> None:
        """Train to the last epoch, from the newest checkpoint where there is one.

        Raises:
            Stopped: the context asked to stop; a checkpoint was written.
            DataError: the newest checkpoint was made with other settings.
        """
        checkpoint = self.ctx.checkpoints.latest()
        if checkpoint is not None:
            self._load(checkpoint)
        per_epoch = self.config.iters_per_epoch
        total = self.config.epochs * per_epoch
        self.denoiser.train()
        while self.iteration < total:
            if self.ctx.should_stop():
                self._save()
                raise Stopped
            loss = self.step()
            epoch, within = divmod(self.iteration, per_epoch)
            if self.iteration % _REPORT_EVERY == 0 or within == 0:
                self.ctx.progress.update(
                    self.iteration, total, f"epoch {epoch}/{self.config.epochs} loss {float(loss):.3f}"
                )
            if within == 0:
                self._report()
                if epoch % self.config.epochs_per_checkpoint == 0 or self.iteration == total:
                    self._save()
        self._use_averaged()

    def step(self) -> Tensor:
        """One step of the optimiser; returns its loss."""
        windows = draw_windows(
            self.store, self.model.layout, self.config, self.denoiser.num_frames, self.streams["windows"]
        )
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.iteration)
        terms = self._losses(windows)
        loss = total_loss(terms, self.config.losses)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.params, self.config.grad_clip)
        self.optimizer.step()
        self._average()
        self.iteration += 1
        for name, value in {**terms, "total": loss, "grad_norm": norm}.items():
            self._pending[name] = self._pending.get(name, 0.0) + value.detach().double()
        return loss.detach()

    def _losses(self, windows: Windows) -> dict[str, Tensor]:
        config, model, noise = self.config, self.model, self.streams["noise"]
        count, device = len(windows.features), model.device
        windows = drift_history(windows, model.layout, config.history_drift, noise)
        x0 = model.standardise(windows.features)
        t = torch.randint(0, model.schedule.num_steps, (count,), generator=noise, device=device)
        xt = add_noise(model.schedule, x0, t, torch.randn(x0.shape, generator=noise, device=device))
        rolls = torch.rand(4, count, generator=noise, device=device)
        history = x0[:, :NUM_HISTORY]
        if config.history_noise:
            history = history + config.history_noise * torch.randn(
                history.shape, generator=noise, device=device
            )
        with self._dropout_seed():
            cond = Condition(
                height_tokens=self.denoiser.encode_heights(windows.patch),
                target=windows.target,
                history=history,
                history_clean=rolls[0] < config.noise_indicator_prob,
                see_history=rolls[1] >= config.drop_history_prob,
                see_target=rolls[2] >= config.drop_target_prob,
                see_heights=rolls[3] >= config.drop_heights_prob,
            )
            predicted = model.restore_units(self.denoiser(xt, t, cond))
        huber = config.loss_function == "pseudo_huber"
        return loss_terms(
            predicted,
            windows,
            model.kin,
            model.layout,
            config.losses,
            pseudo_huber=huber,
            collision=self.collision,
        )

    @contextlib.contextmanager
    def _dropout_seed(self) -> Iterator[None]:
        """Dropout can only draw from the global generator: seed it for this step from a stream that is saved."""
        device = self.model.device
        seed = int(torch.randint(0, 2**62, (), generator=self.streams["dropout"], device=device))
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield

    @torch.no_grad()
    def _average(self) -> None:
        # a plain copy first, as the first weights are far from any useful average
        share = 1.0 if self.iteration < self.config.ema_start else 1.0 - self.config.ema_decay
        for mean, param in zip(self.averaged, self.params):
            mean.lerp_(param, share)

    @torch.no_grad()
    def _use_averaged(self) -> None:
        for param, mean in zip(self.params, self.averaged):
            param.copy_(mean)
        self.denoiser.eval()

    def _flush(self) -> None:
        for name, value in self._pending.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
        self._pending = {}

    def _report(self) -> None:
        self._flush()
        per_epoch = self.config.iters_per_epoch
        values = {
            f"train_gen/loss/{name}": total / per_epoch
            for name, total in self.sums.items()
            if name != "grad_norm"
        }
        values["train_gen/grad_norm"] = self.sums["grad_norm"] / per_epoch
        values["train_gen/learning_rate"] = learning_rate(self.config, self.iteration - 1)
        self.ctx.metrics.write(self.iteration * self.config.batch_size, values)
        self.sums = {}

    def _save(self) -> None:
        self._flush()
        model = self.model
        tensors = {"mean": model.mean, "std": model.std, "start_height": model.start_height}
        names = [name for name, _ in self.denoiser.named_parameters()]
        for name, param, mean in zip(names, self.params, self.averaged):
            tensors[f"model.{name}"], tensors[f"averaged.{name}"] = param, mean
            for key, value in self.optimizer.state.get(param, {}).items():
                tensors[f"optimizer.{key}.{name}"] = value
        for name, stream in self.streams.items():
            tensors[f"stream.{name}"] = stream.get_state()
        state = {"iteration": self.iteration, "sums": self.sums, "config": self._digest}
        self.ctx.checkpoints.save(self.iteration // self.config.iters_per_epoch, tensors, state)

    def _load(self, checkpoint: Checkpoint) -> None:
        if checkpoint.state["config"] != self._digest:
            raise DataError(
                f"{self.ctx.checkpoints.folder}: checkpoint {checkpoint.step} was made with other generator settings. "
                "Undo the change, or remove the checkpoints to start again."
            )
        tensors = checkpoint.tensors
        with torch.no_grad():
            for key in ("mean", "std", "start_height"):
                getattr(self.model, key).copy_(tensors[key])
            for (name, param), mean in zip(self.denoiser.named_parameters(), self.averaged):
                param.copy_(tensors[f"model.{name}"])
                mean.copy_(tensors[f"averaged.{name}"])
                keys = {key: f"optimizer.{key}.{name}" for key in ("step", "exp_avg", "exp_avg_sq")}
                if keys["step"] in tensors:
                    self.optimizer.state[param] = {
                        key: tensors[k].to(self.model.device) for key, k in keys.items()
                    }
        for name, stream in self.streams.items():
            stream.set_state(tensors[f"stream.{name}"])
        self.iteration, self.sums = checkpoint.state["iteration"], dict(checkpoint.state["sums"])


def drift_history(windows: Windows, layout: FeatureLayout, size: float, generator: Generator) -> Windows:
    """Windows whose history floats above or sinks into the ground, and whose later frames come back to it.

    Generated histories are never exactly at their height; without such windows the network has never seen one and
    keeps or grows the error.

    Args:
        size: standard deviation of the lift, m; 0 changes nothing. Of some windows it is four times as much.
    """
    if size == 0.0:
        return windows
    count, frames = windows.features.shape[:2]
    device = windows.features.device
    far = torch.rand(count, 1, generator=generator, device=device) < _FAR_SHARE
    lift = (
        size * torch.randn(count, 1, generator=generator, device=device) * torch.where(far, _FAR_FACTOR, 1.0)
    )
    place = torch.arange(frames, device=lift.device)
    back = -lift * ((place - REFERENCE) / _DRIFT_FRAMES).clamp(0.0, 1.0)  # [N, S] m
    pos, expmap, _bodies, dof, contacts = layout.split(windows.features)
    raise_pos = torch.stack([torch.zeros_like(back), torch.zeros_like(back), back], dim=-1)
    body_pos = windows.body_pos + raise_pos[:, :, None]
    return attrs.evolve(
        windows,
        features=layout.pack(pos + raise_pos, expmap, body_pos, dof, contacts),
        body_pos=body_pos,
        patch=windows.patch - lift[..., None],
    )
