"""Statistics of episodes against sums worked out by hand, and start frames that learn from failures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parc_deepmimic.config import StartConfig
from parc_deepmimic.errors import ERROR_UNITS
from parc_deepmimic.fail_rates import StartCurriculum
from parc_deepmimic.reference import MotionLibrary
from parc_deepmimic.statistics import EpisodeStatistics, fail_rate_summary
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip
from parc_testing.processes import run_threads


def _errors(*root_pos):
    errors = {name: torch.zeros(len(root_pos)) for name in ERROR_UNITS}
    return {**errors, "root_pos": torch.tensor(root_pos)}


def test_episodes_are_counted_by_motion():
    found = EpisodeStatistics(3, ("a", "b"), control_hz=10.0, device="cpu")
    found.add(torch.tensor([1.0, 2.0, 3.0]), _errors(0.1, 0.2, 0.3))
    found.add(torch.tensor([1.0, 2.0, 3.0]), _errors(0.3, 0.4, 0.5))
    # env 0 follows b and loses it, env 2 follows a to its end, env 1 goes on
    found.end(torch.tensor([0, 2]), torch.tensor([1, 0]), torch.tensor([True, False]))
    result = found.take()
    assert result["episodes"] == 2
    assert result["fail_frac"] == 0.5
    assert result["length_s"] == pytest.approx(0.2)  # two steps of 0.1 s
    assert result["return"] == pytest.approx((2 + 6) / 2)
    assert result["errors"]["root_pos"] == pytest.approx((0.1 + 0.3 + 0.3 + 0.5) / 4)
    assert result["motions"]["b"]["fail_frac"] == 1.0
    assert result["motions"]["b"]["errors"]["root_pos"] == pytest.approx(0.2)
    assert result["motions"]["a"]["return"] == pytest.approx(6.0)


def test_unfinished_episodes_go_on_over_a_call_and_end_with_a_restart():
    found = EpisodeStatistics(1, ("a",), control_hz=10.0, device="cpu")
    env, motion, lost = torch.tensor([0]), torch.tensor([0]), torch.tensor([False])
    found.add(torch.tensor([1.0]), _errors(0.0))
    assert found.take() == {}
    found.add(torch.tensor([1.0]), _errors(0.0))
    found.end(env, motion, lost)
    assert found.take()["return"] == 2.0
    found.add(torch.tensor([1.0]), _errors(0.0))
    found.restart()
    found.add(torch.tensor([5.0]), _errors(0.0))
    found.end(env, motion, lost)
    assert found.take()["return"] == 5.0


def test_fail_rates_are_summed_up():
    rates = torch.tensor([0.1, 0.5, 0.9, 0.3])
    found = fail_rate_summary(rates, ("a", "b", "c", "d"), ("walk", "climb", "climb", ""))
    # sorted .1 .3 .5 .9: the median lies half way between .3 and .5
    assert found["quantiles"]["q50"] == pytest.approx(0.4)
    assert list(found["hardest"]) == ["c", "b", "d", "a"]
    assert found["classes"]["climb"] == pytest.approx({"mean": 0.7, "max": 0.9})
    assert found["classes"]["unclassified"]["max"] == pytest.approx(0.3)


def _curriculum(**config):
    library = MotionLibrary([make_clip(61, name="a")], load_skeleton("humanoid"))
    settings = {"first_frame_frac": 0.0, "min_remaining_s": 0.0, "bin_frames": 20, **config}
    return StartCurriculum(library, np.ones(1), StartConfig(**settings))


def test_fail_rates_of_two_processes_are_those_of_all_episodes():
    one, other = (
        _curriculum(fail_rate_decay=0.5, bin_decay=0.5),
        _curriculum(fail_rate_decay=0.5, bin_decay=0.5),
    )
    motion = torch.zeros(1, dtype=torch.long)
    run_threads([one.synchronize, other.synchronize])
    one.update(motion, motion, torch.tensor([False]))
    one.update(motion, motion, torch.tensor([False]))
    assert one.motion_rate.tolist() == [0.25] and other.motion_rate.tolist() == [1.0]
    other.update(motion, motion + 1, torch.tensor([True]))
    run_threads([one.synchronize, other.synchronize])
    # three episodes, one failed: 0.5^3 * 1 + (1 - 0.5^3) / 3; bins of their own episodes: 0.5^2 and 1
    for curriculum in (one, other):
        assert curriculum.motion_rate.tolist() == pytest.approx([0.125 + 0.875 / 3.0])
        assert curriculum.bin_rate.tolist() == [0.25, 1.0, 1.0]
    run_threads([one.synchronize, other.synchronize])  # without episodes nothing changes
    assert one.bin_rate.tolist() == [0.25, 1.0, 1.0]


def _share_of_bins(curriculum, count=6000):
    _, frames, bins = curriculum.sample(count, torch.Generator().manual_seed(0))
    assert torch.equal(bins, frames // 20)
    return torch.bincount(bins, minlength=3) / count


def test_starts_move_to_the_part_of_a_clip_that_is_lost():
    # 60 startable frames, three bins of 20. 100 episodes each: those of the middle one fail, the others do not:
    # rates 0.95^100 = 0.006, 1, 0.006; weights (0.1 + rate): 0.106, 1.1, 0.106 of 1.312
    curriculum = _curriculum()
    bins = torch.arange(3).repeat(100)
    curriculum.update(torch.zeros(300, dtype=torch.long), bins, bins == 1)
    share = _share_of_bins(curriculum)
    # standard deviation of a share of 0.84 in 6000 draws: 0.005
    torch.testing.assert_close(share, torch.tensor([0.081, 0.838, 0.081]), atol=0.02, rtol=0)


def test_even_starts_do_not_care():
    curriculum = _curriculum(sampling="uniform")
    bins = torch.arange(3).repeat(100)
    curriculum.update(torch.zeros(300, dtype=torch.long), bins, bins == 1)
    torch.testing.assert_close(_share_of_bins(curriculum), torch.full((3,), 1 / 3), atol=0.03, rtol=0)


def test_bins_come_back_from_a_saved_state():
    curriculum, other = _curriculum(), _curriculum()
    curriculum.update(torch.zeros(5, dtype=torch.long), torch.tensor([0, 0, 1, 2, 2]), torch.arange(5) > 2)
    other.load(curriculum.state())
    assert torch.equal(other.bin_rate, curriculum.bin_rate)
    assert torch.equal(other.motion_rate, curriculum.motion_rate)
