"""Notices that a loss is not finite or has risen far above its level."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from parc_core.errors import TrainingDiverged
from parc_mdm.config import MdmConfig
from parc_mdm.losses import weight_of

__all__ = ["DivergenceGuard"]


class DivergenceGuard:
    """Looks at every step on the device, and judges when it is asked to.

    What was seen stays until it is judged: a loss that was no number for one step only is found too.
    """

    def __init__(self, config: MdmConfig) -> None:
        self.lowest: float | None = None  # lowest mean loss of an epoch
        self._config = config
        self._worst: Tensor | None = None  # loss, gradient norm
        self._terms: dict[str, Tensor] = {}

    def look(self, loss: Tensor, norm: Tensor, terms: dict[str, Tensor]) -> None:
        """Note the loss of a step, the norm of its gradient, and its terms."""
        seen = torch.stack([loss.detach(), norm.detach()])
        # maximum keeps NaN
        self._worst = seen if self._worst is None else torch.maximum(self._worst, seen)
        self._terms = {name: value.detach() for name, value in terms.items()}

    def end_epoch(self, mean_loss: float) -> None:
        """Note the mean loss of an epoch."""
        self.lowest = mean_loss if self.lowest is None else min(self.lowest, mean_loss)

    def check(self, iteration: int) -> None:
        """Judge what was seen since the last judgment.

        Raises:
            TrainingDiverged: the training has diverged; the text says in which step, and of what.
        """
        if self._worst is None:
            return
        (loss, norm), self._worst = self._worst.tolist(), None
        limit = float("inf") if self.lowest is None else self._config.divergence_factor * self.lowest
        if loss < limit and norm < float("inf"):  # neither is true of NaN
            return
        what = f"its gradient's norm is {norm:g}" if loss < limit else f"the loss is {loss:g}"
        if float("inf") > loss >= limit:
            what += f", {loss / (self.lowest or 1.0):.0f} times the lowest of an epoch"
        raise TrainingDiverged(f"{self._step(iteration)}: {what}; {self._blame()}")

    def check_weights(self, iteration: int, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Judge weights, before they are kept.

        Raises:
            TrainingDiverged: one is not finite; the text names it.
        """
        for name, value in weights:
            if not bool(torch.isfinite(value).all()):
                raise TrainingDiverged(f"{self._step(iteration)}: the weights '{name}' are not finite")

    def forget(self) -> None:
        """Note nothing of the steps since the last judgment: they are taken back."""
        self._worst = None

    def _step(self, iteration: int) -> str:
        epoch = (max(iteration, 1) - 1) // self._config.iters_per_epoch + 1
        return f"step {iteration} (epoch {epoch} of {self._config.epochs})"

    def _blame(self) -> str:
        values = {name: float(value) for name, value in self._terms.items()}
        broken = [name for name, value in values.items() if value != value or value == float("inf")]
        if broken:
            return f"terms that are not a number: {', '.join(broken)}"
        name = max(values, key=lambda term: weight_of(self._config.losses, term) * values[term])
        return f"its largest term is {name}, {values[name]:g}"
