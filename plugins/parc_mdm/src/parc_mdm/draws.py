"""Random numbers for a batch, or for those of its rows that this process works on.

With several processes each draws the numbers of the whole batch, from the same stream, and keeps its rows: the training
then is that of one process.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import torch
from torch import Generator, Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["Rows", "Source", "choose", "dropout_from", "num_rows", "rand", "randint", "randn"]


@attrs.frozen(kw_only=True, eq=False)
class Rows:
    """A stream that gives some rows of what it would give for a whole batch."""

    stream: Generator
    total: int  # rows of the batch
    rows: slice  # those that are kept

    @property
    def count(self) -> int:
        """Number of kept rows."""
        return len(range(*self.rows.indices(self.total)))


Source = Generator | Rows


def num_rows(source: Source, batch_size: int) -> int:
    """Rows that a source gives for a batch."""
    return source.count if isinstance(source, Rows) else batch_size


def rand(
    *shape: int,
    source: Source,
    device: torch.device | str,
    dtype: torch.dtype | None = None,
    axis: int = 0,
) -> Tensor:
    """Uniform numbers in 0..1, as `torch.rand`; samples lie along `axis`."""
    return _kept(
        source, shape, lambda size, rng: torch.rand(size, generator=rng, device=device, dtype=dtype), axis
    )


def randn(*shape: int, source: Source, device: torch.device | str) -> Tensor:
    """Normal numbers, a row per sample: as `torch.randn`."""
    return _kept(source, shape, lambda size, rng: torch.randn(size, generator=rng, device=device))


def randint(low: int, high: int, *shape: int, source: Source, device: torch.device | str) -> Tensor:
    """Integers ``low .. high - 1``, a row per sample: as `torch.randint`."""
    return _kept(
        source, shape, lambda size, rng: torch.randint(low, high, size, generator=rng, device=device)
    )


def choose(weights: Tensor, count: int, *, source: Source) -> Tensor:
    """`count` indices ``[count]``, each with a probability in proportion to its weight."""
    return _kept(
        source,
        (count,),
        lambda size, rng: torch.multinomial(weights, size[0], replacement=True, generator=rng),
    )


def _kept(
    source: Source,
    shape: tuple[int, ...],
    draw: Callable[[tuple[int, ...], Generator], Tensor],
    axis: int = 0,
) -> Tensor:
    """What `draw` gives for the whole batch, and of that the rows of the source."""
    if not isinstance(source, Rows):
        return draw(shape, source)
    assert shape[axis] == source.count
    whole = draw((*shape[:axis], source.total, *shape[axis + 1 :]), source.stream)
    return whole.narrow(axis, source.rows.start, source.count)


@contextlib.contextmanager
def dropout_from(source: Source, device: torch.device) -> Iterator[None]:
    """Dropout can only draw from the global generator: seed it for this step from a stream that is saved."""
    stream = source.stream if isinstance(source, Rows) else source
    seed = int(torch.randint(0, 2**62, (), generator=stream, device=device))
    mode = _DropoutOfRows(source) if isinstance(source, Rows) else contextlib.nullcontext()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), mode:
        torch.manual_seed(seed)
        yield


class _DropoutOfRows(TorchFunctionMode):
    """Dropout of a process draws the mask of the whole batch, and uses its rows of it.

    It serves `dropout` and `scaled_dot_product_attention` of `torch.nn.functional`, of tensors whose first axis is the
    batch. On a CPU, contiguous tensors are dropped exactly as in one process; on a GPU with the same probability.
    """

    def __init__(self, source: Rows) -> None:
        super().__init__()
        self._source = source

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func`, or what stands for it here."""
        kwargs = kwargs or {}
        if func is functional.dropout:
            return self._dropout(*args, **kwargs)
        if func is functional.scaled_dot_product_attention and kwargs.get("dropout_p", 0.0) > 0.0:
            return self._attention(*args, **kwargs)
        return func(*args, **kwargs)

    def _dropout(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0.0 or len(x) != self._source.count:
            return functional.dropout(x, p, training, inplace)
        mask = x.new_empty(self._source.total, *x.shape[1:]).bernoulli_(1.0 - p).div_(1.0 - p)
        return x * mask[self._source.rows]

    def _attention(
        self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, *, dropout_p: float
    ) -> Tensor:
        scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1)
        if attn_mask is not None:
            scores = (
                scores.masked_fill(~attn_mask, -math.inf)
                if attn_mask.dtype == torch.bool
                else scores + attn_mask
            )
        return self._dropout(scores.softmax(dim=-1), dropout_p) @ v
