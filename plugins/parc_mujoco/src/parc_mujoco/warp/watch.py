"""What went wrong on the device, said on the host without making the device wait."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import mujoco_warp as mjw
import torch
from torch import Tensor

from parc_mujoco.warp.worlds import STATUS_SIZE, Worlds

__all__ = ["Watch"]

log = logging.getLogger(__name__)

_ROWS = mjw.OverflowType.NEFC | mjw.OverflowType.NJMAX_NNZ
_CONTACTS = mjw.OverflowType.BROADPHASE | mjw.OverflowType.NARROWPHASE | mjw.OverflowType.CCD


class Watch:
    """Reports buffers that were too small, once each, and tells a listener how often copies have diverged.

    On a GPU the numbers travel beside the work: `look` after each step sees those of an earlier one. The listener gets
    the number of divergences in steps, and that with states given to `reset` that were not finite.
    """

    def __init__(
        self, worlds: Worlds, what: str, on_diverged: Callable[[int, int], None] | None = None
    ) -> None:
        self._worlds, self._what, self._on_diverged = worlds, what, on_diverged
        self._said: set[str] = set()
        self._total = 0
        on_gpu = worlds.status.is_cuda
        self._copy = torch.zeros(STATUS_SIZE, dtype=torch.int32, pin_memory=on_gpu)
        self._arrival = torch.cuda.Event() if on_gpu else None
        self._under_way = False

    def look(self) -> None:
        """Report what is known by now, and send for the newest numbers."""
        if self._arrival is None:
            self._report(self._worlds.status)
            return
        if self._under_way and not self._arrival.query():
            return
        if self._under_way:
            self._report(self._copy)
        self._copy.copy_(self._worlds.status, non_blocking=True)
        self._arrival.record(torch.cuda.current_stream(self._worlds.status.device))
        self._under_way = True

    def look_closely(self) -> int:
        """Report everything up to now, waiting for the device; the number of divergences."""
        self._report(self._worlds.status.cpu())
        return self._total

    def _report(self, status: Tensor) -> None:
        in_steps, bits, rows, contacts, pairs, in_resets = status.tolist()
        settings, n = self._worlds.settings, self._worlds.num_worlds
        if bits & _ROWS:
            enough = _roomy(max(rows, settings.njmax + 1))
            self._say(
                "njmax",
                f"a copy has {rows} constraint rows, memory is held for {settings.njmax}: the rest was left out, "
                f"so bodies may sink in or joints give way. Set simulator.njmax to {enough}.",
            )
        if bits & _CONTACTS:
            held = settings.nconmax * n
            most = max(contacts, pairs, held + 1)
            self._say(
                "nconmax",
                f"{most} pairs of geoms touch or nearly do in {n} copies, memory is held for {held}: the rest was left "
                "out, of any copy, so bodies may fall through the ground. "
                f"Set simulator.nconmax to {_roomy(math.ceil(most / n))}.",
            )
        if in_steps + in_resets > self._total:
            self._total = in_steps + in_resets
            if self._on_diverged is not None:
                self._on_diverged(in_steps, self._total)

    def _say(self, buffer: str, text: str) -> None:
        if buffer not in self._said:
            self._said.add(buffer)
            log.warning("simulator mujoco_warp, %s: %s", self._what, text)


def _roomy(least: int) -> int:
    return 16 * math.ceil(1.25 * least / 16)
