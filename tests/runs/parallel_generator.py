"""A generator for tests that learns one number, quickly, in any number of processes."""

import os
import sys
import time
from typing import Literal

import attrs
import torch

from parc_core.config import setting
from parc_core.errors import StageFailed
from parc_core.interfaces import Generator, Stopped
from parc_motion.errors import DataError
from parc_motion.storage import make_folder, write_manifest, write_text


@attrs.frozen(kw_only=True)
class Config:
    steps: int = setting(5, help="Number of steps.")
    step_s: float = setting(0.0, help="Time that a step takes, s.")
    fails: Literal["never", "exits", "raises", "hangs", "is killed"] = setting(
        "never", help="How process 1 ends."
    )


class OneNumber(Generator):
    data_parallel = True

    def __init__(self, config: Config, *, skeleton, device):
        self.config, self.value = config, torch.zeros(1, requires_grad=True)

    def fit(self, dataset, ctx):
        batch = torch.arange(10.0)
        checkpoint = ctx.checkpoints.latest()
        first = 0
        if checkpoint is not None:
            first, self.value = checkpoint.step, checkpoint.tensors["value"].requires_grad_()
        ctx.parallel.barrier()
        write_text(ctx.folder / f"pid_{ctx.parallel.rank}.txt", str(os.getpid()))
        for step in range(first, self.config.steps):
            if ctx.should_stop():
                if ctx.parallel.is_main:
                    ctx.checkpoints.save(step, {"value": self.value.detach()}, {})
                raise Stopped
            if step == 2 and ctx.parallel.rank == 1:
                self._fail()
            rows = batch[ctx.parallel.share(len(batch))]
            loss = (rows - self.value).square().sum() / len(batch)
            self.value.grad = None
            loss.backward()
            ctx.parallel.sum_([self.value.grad])
            with torch.no_grad():
                self.value -= 0.1 * self.value.grad
            ctx.metrics.write(step, {"train_gen/loss/value": self.value.item()})
            ctx.progress.update(step + 1, self.config.steps, "learning")
            time.sleep(self.config.step_s)

    def _fail(self):
        if self.config.fails == "exits":
            print("the GPU has fallen off the bus", file=sys.stderr, flush=True)
            os._exit(9)
        if self.config.fails == "is killed":
            os.kill(os.getpid(), 9)
        if self.config.fails == "raises":
            raise DataError("clip 7 is damaged. Remove it.")
        if self.config.fails == "hangs":
            time.sleep(3600.0)

    def save(self, folder):
        make_folder(folder)
        write_manifest(folder, "generator", {"provider": "one_number", "value": self.value.item()})

    def restore(self, folder):
        raise StageFailed("not needed here")

    def propose(self, terrain, path, count, rng):
        raise StageFailed("not needed here")


class InOneProcess(OneNumber):
    data_parallel = False
