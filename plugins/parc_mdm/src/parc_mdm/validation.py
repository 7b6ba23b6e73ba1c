"""Losses on clips that are not trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
import torch
from torch import Tensor

from parc_core.interfaces import SeedStreams, stop_point
from parc_mdm.losses import total_loss
from parc_mdm.model import MotionModel
from parc_mdm.objective import Objective
from parc_mdm.store import MotionStore
from parc_mdm.windows import draw_windows

__all__ = ["Validation"]

_BATCHES = 4


class Validation:
    """Measures weights on held-out motions: always the same windows, noise and hidden conditions, on unchanged ground.

    It has separate random streams, so it does not change the training.
    """

    def __init__(self, model: MotionModel, store: MotionStore, seeds: SeedStreams) -> None:
        self._model, self._store, self._seeds = model, store, seeds
        self._config = attrs.evolve(model.config, augment="none", history_noise=0.0, history_drift=0.0)
        self._objective = Objective(model, self._config)

    @torch.no_grad()
    def measure(self, weights: Sequence[Tensor]) -> dict[str, float]:
        """Mean of every loss term, unweighted, and of their weighted sum ("total"), with these weights.

        The denoiser has its own weights again afterwards, and is in training mode.
        """
        denoiser = self._model.denoiser
        own = [p.detach().clone() for p in denoiser.parameters()]
        denoiser.eval()
        try:
            _put(denoiser.parameters(), weights)
            return self._measure()
        finally:
            _put(denoiser.parameters(), own)
            denoiser.train()

    def _measure(self) -> dict[str, float]:
        model, device = self._model, str(self._model.device)
        streams = [
            self._seeds.torch(f"mdm_validation_{name}", device) for name in ("windows", "noise", "dropout")
        ]
        sums: dict[str, float] = {}
        for _ in range(_BATCHES):
            stop_point()
            windows = draw_windows(
                self._store, model.layout, self._config, model.denoiser.num_frames, streams[0]
            )
            terms = self._objective.losses(windows, *streams[1:])
            for name, value in {**terms, "total": total_loss(terms, self._config.losses)}.items():
                sums[name] = sums.get(name, 0.0) + float(value)
        return {name: value / _BATCHES for name, value in sums.items()}


def _put(params: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    for param, value in zip(params, values):
        param.copy_(value)
