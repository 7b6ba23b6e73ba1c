"""The training loop: AdamW on the predicted clean sample, averaged weights, checkpoints that continue exactly.

Source: `parc_motion.published` for the averaging and the clipping. The warm-up, the cosine decay, the
measurements on held-out clips and the guard against divergence are ours.
"""

from __future__ import annotations

import logging
import math
import pathlib
from typing import Any

import attrs
import torch
from torch import Tensor

from parc_core.errors import TrainingDiverged
from parc_core.interfaces import StageContext, Stopped
from parc_mdm.config import MdmConfig, plain_settings
from parc_mdm.draws import Rows, Source
from parc_mdm.guard import DivergenceGuard
from parc_mdm.losses import total_loss
from parc_mdm.model import MotionModel
from parc_mdm.model_file import write_model
from parc_mdm.objective import Objective
from parc_mdm.store import MotionStore
from parc_mdm.validation import Validation
from parc_mdm.windows import draw_windows
from parc_motion.errors import DataError
from parc_motion.storage import Checkpoint, CheckpointStore

__all__ = ["Trainer", "learning_rate"]

log = logging.getLogger(__name__)

_STREAMS = ("windows", "noise", "dropout")
_REPORT_EVERY = 10  # steps between progress reports
_SLOWER = 0.5  # of the learning rate, after a divergence


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
    """Trains a model on a store of motions; after `run`, the model's denoiser holds the averaged weights.

    With several processes (`StageContext.parallel`) each computes the gradient of its rows of every batch; their sum
    is that of the whole batch, so all processes take the same steps, which are those of one process up to rounding.
    """

    def __init__(
        self,
        model: MotionModel,
        store: MotionStore,
        ctx: StageContext,
        *,
        held_out: MotionStore | None = None,
        data: str = "",
    ) -> None:
        """A trainer before its first step.

        Args:
            held_out: motions to measure on.
            data: digest of the data set; a checkpoint of another one is refused.
        """
        self.model, self.store, self.ctx = model, store, ctx
        config, device = model.config, str(model.device)
        self.config, self.data = config, data
        self.denoiser = model.denoiser
        self.params = list(self.denoiser.parameters())
        self.averaged = [p.detach().clone() for p in self.params]
        self.optimizer = torch.optim.AdamW(
            self.params, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.streams = {name: ctx.seeds.torch(f"mdm_{name}", device) for name in _STREAMS}
        self.objective = Objective(model, config)
        self.validation = None if held_out is None else Validation(model, held_out, ctx.seeds)
        self.guard = DivergenceGuard(config)
        #: that it diverged and went back, once: `cause` and the checkpoint `to` which
        self.went_back: dict[str, Any] | None = None
        # where it was stopped, between two checkpoints; a divergence never goes back there
        self._stops = attrs.evolve(ctx.checkpoints, stem=f"{ctx.checkpoints.stem}_stopped", keep=1)
        self.iteration = 0
        self.sums: dict[str, float] = {}  # of losses since the epoch began
        self._pending: dict[str, Tensor] = {}

    def run(self) -> None:
        """Train to the last epoch, from the newest checkpoint where there is one.

        A training that diverges goes back to the last checkpoint, once, and on with half the learning rate.

        Raises:
            Stopped: the context asked to stop; a checkpoint was written.
            DataError: the newest checkpoint was made with other settings or another data set.
            TrainingDiverged: for the second time, the loss is not finite or has become huge.
        """
        checkpoint = self._newest()
        if checkpoint is not None:
            self._load(checkpoint)
        # nobody writes a checkpoint before all have looked, and rounding on another machine changes nothing
        model = self.model
        self.ctx.parallel.broadcast_([model.mean, model.std, *self.params, *self.averaged])
        self.ctx.parallel.barrier()
        if checkpoint is None:
            self._save()
        while True:
            try:
                self._train()
                break
            except TrainingDiverged as err:
                self._go_back(err)
        self._use_averaged()

    def _train(self) -> None:
        per_epoch = self.config.iters_per_epoch
        total, each = self.config.epochs * per_epoch, self.config.epochs_per_checkpoint * per_epoch
        self.denoiser.train()
        while self.iteration < total:
            if self.ctx.should_stop():
                if self.iteration % each:
                    self._save(self._stops)
                raise Stopped
            loss = self.step()
            epoch, within = divmod(self.iteration, per_epoch)
            if self.iteration % _REPORT_EVERY == 0 or within == 0:
                self.guard.check(self.iteration)
                self.ctx.progress.update(
                    self.iteration, total, f"epoch {epoch}/{self.config.epochs} loss {float(loss):.3f}"
                )
            if within == 0:
                self._report(epoch)
                if self.iteration % each == 0 or self.iteration == total:
                    self._save()

    def step(self) -> Tensor:
        """One step of the optimizer; returns its loss.

        Raises:
            TrainingDiverged: on a CPU, the loss or its gradient is not finite, or the loss has become huge; the
                weights are those before the step.
        """
        sources = {name: self._source(stream) for name, stream in self.streams.items()}
        windows = draw_windows(
            self.store, self.model.layout, self.config, self.denoiser.num_frames, sources["windows"]
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(self.iteration)
        terms = self.objective.losses(windows, sources["noise"], sources["dropout"])
        loss = total_loss(terms, self.config.losses)
        self.optimizer.zero_grad(set_to_none=True)
        if self.ctx.parallel.size == 1:
            loss.backward()
        else:
            terms, loss = self._backward_together(terms, loss, len(windows.features))
        norm = torch.nn.utils.clip_grad_norm_(self.params, self.config.grad_clip)
        self.guard.look(loss, norm, terms)
        if loss.device.type == "cpu":  # elsewhere asking waits for the device; `run` asks now and then
            self.guard.check(self.iteration + 1)
        self.optimizer.step()
        self._average()
        self.iteration += 1
        for name, value in {**terms, "total": loss, "grad_norm": norm}.items():
            self._pending[name] = self._pending.get(name, 0.0) + value.detach().double()
        return loss.detach()

    def _learning_rate(self, iteration: int) -> float:
        return learning_rate(self.config, iteration) * (1.0 if self.went_back is None else _SLOWER)

    def _go_back(self, err: TrainingDiverged) -> None:
        """Take back what happened since the last checkpoint, and go on from there with smaller steps.

        Every process does the same, because all of them see the same loss, gradient and weights.

        Raises:
            TrainingDiverged: it has gone back before.
        """
        checkpoint = self.ctx.checkpoints.latest()
        if self.went_back is not None or checkpoint is None:
            raise TrainingDiverged(self._diverged_again(err)) from err
        self.guard.forget()
        self._load(checkpoint)
        self.went_back = {"cause": str(err), "to": checkpoint.step}
        self.ctx.parallel.barrier()  # nobody writes before all have read
        self._save()
        log.warning(
            "train_gen: the training of generator mdm has diverged in %s. It goes back to the checkpoint of epoch %d, "
            "once, and on with half the learning rate.",
            err,
            checkpoint.step,
        )

    def _diverged_again(self, err: TrainingDiverged) -> str:
        rate, before = self.config.learning_rate, self.went_back
        text = f"train_gen: the training of generator mdm has diverged in {err}. "
        if before is None:
            text += "There is no checkpoint that is whole to go back to. "
        else:
            text += (
                f"It had gone back to the checkpoint of epoch {before['to']}, with half the learning rate, when it "
                f"diverged in {before['cause']}. "
            )
        return (
            f"{text}The same command ends here again. Look for clips with wild motion, or begin the stage again with a "
            f"lower learning_rate ({rate:g}) or grad_clip ({self.config.grad_clip:g}): --redo train_gen --set "
            f"train_gen.generator.learning_rate={rate / 4:g}"
        )

    def _source(self, stream: torch.Generator) -> Source:
        """The stream, which gives only this process's rows of a batch if there are several processes."""
        parallel, total = self.ctx.parallel, self.config.batch_size
        return stream if parallel.size == 1 else Rows(stream=stream, total=total, rows=parallel.share(total))

    def _backward_together(
        self, terms: dict[str, Tensor], loss: Tensor, count: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Leave the gradient of the whole batch in the parameters; the batch's terms and their weighted sum.

        Args:
            terms: means over the `count` rows of this process.
            loss: their weighted sum.
        """
        # mean over the batch = sum over processes of (rows of the process / rows of the batch) * mean over its rows
        weight = count / self.config.batch_size
        (weight * loss).backward()
        values = weight * torch.stack([value.detach().float() for value in terms.values()])
        grads = [param.grad for param in self.params if param.grad is not None]
        self.ctx.parallel.sum_([*grads, values])
        terms = dict(zip(terms, values))
        return terms, total_loss(terms, self.config.losses)

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

    def _report(self, epoch: int) -> None:
        self._flush()
        per_epoch = self.config.iters_per_epoch
        values = {
            f"train_gen/loss/{name}": total / per_epoch
            for name, total in self.sums.items()
            if name != "grad_norm"
        }
        values["train_gen/grad_norm"] = self.sums["grad_norm"] / per_epoch
        values["train_gen/learning_rate"] = self._learning_rate(self.iteration - 1)
        # the others go on meanwhile, up to the next sum of gradients
        if (
            self.validation is not None
            and self.ctx.parallel.is_main
            and epoch % self.config.validation_epochs == 0
        ):
            found = self.validation.measure(self.averaged)
            values |= {f"train_gen/validation/{name}": value for name, value in found.items()}
        self.ctx.metrics.write(self.iteration * self.config.batch_size, values)
        self.guard.end_epoch(self.sums["total"] / per_epoch)
        self.sums = {}

    def _save(self, store: CheckpointStore | None = None) -> None:
        """Write a checkpoint into the store, by default into that of the context."""
        self.guard.check(self.iteration)
        names = [name for name, _ in self.denoiser.named_parameters()]
        self.guard.check_weights(self.iteration, [*zip(names, self.params), *zip(names, self.averaged)])
        self._flush()
        if not self.ctx.parallel.is_main:
            return
        model = self.model
        tensors = {"mean": model.mean, "std": model.std, "start_height": model.start_height}
        for name, param, mean in zip(names, self.params, self.averaged):
            tensors[f"model.{name}"], tensors[f"averaged.{name}"] = param, mean
            for key, value in self.optimizer.state.get(param, {}).items():
                tensors[f"optimizer.{key}.{name}"] = value
        for name, stream in self.streams.items():
            tensors[f"stream.{name}"] = stream.get_state()
        state = {
            "iteration": self.iteration,
            "sums": self.sums,
            "lowest_loss": self.guard.lowest,
            "went_back": self.went_back,
            "settings": plain_settings(self.config),
            "data": self.data,
        }
        epoch = self.iteration // self.config.iters_per_epoch
        (store or self.ctx.checkpoints).save(epoch, tensors, state, model=self._write_model)

    def _write_model(self, folder: pathlib.Path) -> None:
        averaged = {name: mean for (name, _), mean in zip(self.denoiser.named_parameters(), self.averaged)}
        write_model(self.model, folder, {**self.denoiser.state_dict(), **averaged})

    def _newest(self) -> Checkpoint | None:
        """The checkpoint to continue from; one from before a divergence is older than any after it."""
        found = [one for store in (self.ctx.checkpoints, self._stops) if (one := store.latest()) is not None]
        age = lambda one: (one.state.get("went_back") is not None, one.state["iteration"])  # noqa: E731
        return max(found, key=age, default=None)

    def _load(self, checkpoint: Checkpoint) -> None:
        self._require_same(checkpoint)
        tensors = checkpoint.tensors
        self.optimizer.state.clear()
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
        self._pending = {}
        self.guard.lowest = checkpoint.state["lowest_loss"]
        self.went_back = checkpoint.state.get("went_back")  # not in checkpoints of earlier versions

    def _require_same(self, checkpoint: Checkpoint) -> None:
        """Refuse a checkpoint that this training would not have written.

        Raises:
            DataError: it has other settings, or was trained on other clips.
        """
        where = f"{self.ctx.checkpoints.folder}: checkpoint {checkpoint.step} was made"
        what_to_do = "Undo the change, or remove the checkpoints to start again."
        there, here = checkpoint.state.get("settings") or {}, plain_settings(self.config)
        names = [name for name in here if name not in there or there[name] != here[name]]
        if "epochs" in names and there.get("epochs", math.inf) < here["epochs"]:
            names.remove("epochs")  # the training becomes longer
        if names:
            listed = ", ".join(f"{n} is {here[n]}, there {there.get(n, 'unknown')}" for n in names[:4])
            raise DataError(f"{where} with other generator settings: {listed}. {what_to_do}")
        if checkpoint.state["data"] != self.data:
            raise DataError(f"{where} on another data set. {what_to_do}")
