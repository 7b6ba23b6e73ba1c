"""Data-parallel training: several processes that train one model together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from parc_core.errors import ProcessLost

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Parallel"]


@attrs.frozen(kw_only=True)
class Parallel:
    """This process among those of a training; by default it is the only one, and every method costs nothing.

    A generator or agent with ``data_parallel = True`` finds it in `StageContext.parallel`. Every process runs the same
    code on its share of a batch and adds up the gradients, so that all of them hold the same weights after each step:

    >>> rows = ctx.parallel.share(batch_size)
    >>> loss = model(batch[rows]).sum() / batch_size
    >>> loss.backward()
    >>> ctx.parallel.sum_([p.grad for p in model.parameters()])

    Methods other than `share` are collective: all processes call them, in the same order. Only the main process writes
    checkpoints and results; what the others write into `StageContext.metrics` and `StageContext.progress` is dropped.

    Raises:
        ProcessLost: in any collective method, when another process has ended.
    """

    rank: int = 0  # number of this process, 0 .. size - 1
    size: int = 1  # number of processes

    @property
    def is_main(self) -> bool:
        """Whether this process writes checkpoints and results."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """The rows of a batch of `count` that this process works on; shares differ by at most one row."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, in place; all processes get the same bits."""
        import torch.distributed as dist

        self._apply(lambda flat: dist.all_reduce(flat), tensors)

    def broadcast_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by that of the main process, in place."""
        import torch.distributed as dist

        self._apply(lambda flat: dist.broadcast(flat, src=0), tensors)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.size == 1:
            return flag
        import torch

        count = torch.tensor(int(flag))
        self.sum_([count])
        return bool(count > 0)

    def barrier(self) -> None:
        """Wait until all processes are here."""
        self.any(False)

    @contextlib.contextmanager
    def main_first(self) -> Iterator[None]:
        """The main process runs the block first, then the others: they find in caches what it has computed."""
        if not self.is_main:
            self.barrier()
        yield
        if self.is_main:
            self.barrier()

    def _apply(self, collective: Callable[[Tensor], Any], tensors: Sequence[Tensor]) -> None:
        """Call a collective operation once per type and device, on all tensors of it in one buffer."""
        if self.size == 1:
            return
        import torch

        groups: dict[Any, list[Tensor]] = {}
        for tensor in tensors:
            groups.setdefault((tensor.device, tensor.dtype), []).append(tensor.detach())
        for group in groups.values():
            flat = torch.cat([tensor.reshape(-1) for tensor in group])
            try:
                collective(flat)
            except RuntimeError as err:  # what torch raises when a connection breaks
                raise ProcessLost(
                    f"process {self.rank} of {self.size} has lost another process of its training: {err}"
                ) from err
            for tensor, values in zip(group, flat.split([tensor.numel() for tensor in group])):
                tensor.copy_(values.view_as(tensor))
