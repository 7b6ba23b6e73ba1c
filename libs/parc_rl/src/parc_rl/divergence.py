"""What a training says that diverges again after it went back to its last checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parc_core.errors import SimulationDiverged, TrainingDiverged

__all__ = ["diverged_again"]


def diverged_again(
    err: SimulationDiverged | TrainingDiverged, before: Mapping[str, Any] | None, rate: float
) -> str:
    """The message that ends a training.

    Args:
        before: that it went back once: the `cause`, and the checkpoint `to` which, in samples; None: it did not.
        rate: its learning rate.
    """
    text = f"tracker training, {err}. "
    if before is None:
        text += "There is no checkpoint that is whole to go back to. "
    else:
        text += (
            f"It had gone back to the checkpoint at {before['to']} samples, with half the learning rate, after "
            f"{before['cause']}. "
        )
    text += "The same command ends here again. "
    if isinstance(err, SimulationDiverged):
        text += "Environments replace a diverged simulation: check its time step and limits. "
    return (
        f"{text}Or begin the stage again with a lower learning rate ({rate:g}) or max_grad_norm: --redo train_tracker "
        f"--set train_tracker.agent.optimizer.learning_rate={rate / 4:g}"
    )
