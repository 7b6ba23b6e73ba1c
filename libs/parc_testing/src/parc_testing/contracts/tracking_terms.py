"""What reward, termination and observation terms promise to a tracking environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from parc_core.interfaces import BodyState, Reference, TrackingFrame, group_of, reward_range_of
from parc_testing.frames import make_tracking_frame

__all__ = ["ObservationTermContract", "RewardTermContract", "TerminationTermContract"]

_COUNTS = (1, 5)


class _TermContract:
    @pytest.fixture
    def term(self) -> Callable[[TrackingFrame], Tensor]:
        """The term at work, for the built-in humanoid; give your own."""
        raise NotImplementedError("give a fixture `term` that returns the term, its settings bound")

    def test_it_leaves_the_frame_as_it_was(self, term) -> None:
        frame = make_tracking_frame()
        before = _tensors(frame, copy=True)
        term(frame)
        after = _tensors(frame, copy=False)
        changed = [name for name, value in before.items() if not torch.equal(value, after[name])]
        assert not changed

    def test_equal_frames_give_equal_values(self, term) -> None:
        first = term(make_tracking_frame(seed=1))
        term(make_tracking_frame(seed=2))
        assert torch.equal(first, term(make_tracking_frame(seed=1)))

    def test_environments_do_not_depend_on_each_other(self, term) -> None:
        frame = make_tracking_frame(3)
        alone = [term(_rows(frame, slice(n, n + 1)))[0] for n in range(3)]
        torch.testing.assert_close(torch.stack(alone), term(frame), rtol=1e-4, atol=1e-6)


class RewardTermContract(_TermContract):
    """Subclass it and give a fixture `term`.

    >>> class TestFeetApart(RewardTermContract):
    ...     @pytest.fixture
    ...     def term(self):
    ...         return functools.partial(feet_apart, distance=0.2, k=20.0)
    """

    @pytest.mark.parametrize("count", _COUNTS)
    def test_it_gives_a_finite_number_per_environment(self, term, count: int) -> None:
        value = term(make_tracking_frame(count))
        assert value.shape == (count,)
        assert value.is_floating_point()
        assert torch.isfinite(value).all()

    @pytest.mark.parametrize("error", [0.0, 0.1, 1.0])
    def test_it_stays_in_the_range_that_it_declares(self, term, error: float) -> None:
        declared = reward_range_of(term)
        if declared is None:
            pytest.skip(
                "it declares no value_range, so environments with it do not know the range of their reward"
            )
        value = term(make_tracking_frame(50, error=error))
        assert declared[0] <= float(value.min()) <= float(value.max()) <= declared[1]


class TerminationTermContract(_TermContract):
    """Subclass it and give a fixture `term`; see `RewardTermContract`."""

    @pytest.mark.parametrize("count", _COUNTS)
    def test_it_gives_a_bool_per_environment(self, term, count: int) -> None:
        value = term(make_tracking_frame(count))
        assert value.shape == (count,)
        assert value.dtype == torch.bool

    def test_tighter_limits_end_no_fewer_episodes(self, term) -> None:
        wide, tight = (term(make_tracking_frame(100, error=0.3, limit_scale=scale)) for scale in (1.0, 0.25))
        assert bool((tight | ~wide).all())


class ObservationTermContract(_TermContract):
    """Subclass it and give a fixture `term`; see `RewardTermContract`."""

    def test_it_declares_its_size(self, term) -> None:
        assert group_of("mine", term).size > 0

    @pytest.mark.parametrize("count", _COUNTS)
    def test_it_gives_finite_numbers_of_the_declared_size(self, term, count: int) -> None:
        value = term(make_tracking_frame(count))
        assert value.shape == (count, group_of("mine", term).size)
        assert torch.isfinite(value).all()


def _tensors(frame: TrackingFrame, *, copy: bool) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for prefix, record in (("", frame), ("state.", frame.state), ("reference.", frame.reference)):
        for field in attrs.fields(type(record)):
            value: Any = getattr(record, field.name)
            if isinstance(value, Tensor):
                found[prefix + field.name] = value.clone() if copy else value
    return found


def _rows(frame: TrackingFrame, rows: slice) -> TrackingFrame:
    """Some environments of a frame."""

    def cut(record: BodyState | Reference | TrackingFrame) -> dict[str, Any]:
        values = {field.name: getattr(record, field.name) for field in attrs.fields(type(record))}
        return {name: value[rows] for name, value in values.items() if isinstance(value, Tensor)}

    return attrs.evolve(
        frame,
        **cut(frame),
        state=BodyState(**cut(frame.state)),
        reference=Reference(**cut(frame.reference)),
        lookup=lambda seconds: Reference(**cut(frame.reference_ahead(seconds))),
    )
