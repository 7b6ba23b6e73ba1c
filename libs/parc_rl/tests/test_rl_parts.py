"""Normalizer, averages and scores give the numbers worked out by hand."""

import numpy as np
import torch

from parc_core.interfaces import ObservationGroup
from parc_rl.ema import ema_copy, update_ema
from parc_rl.normalizer import Normalizer
from parc_rl.selection import Score, score


def test_normalizer_equals_numpy_after_several_batches():
    rng = np.random.default_rng(0)
    rows = (1000.0 + rng.normal(size=(900, 3)) * [1.0, 5.0, 0.1]).astype(np.float32)
    groups = (ObservationGroup(name="a", size=2), ObservationGroup(name="b", size=1, normalize=False))
    normalizer = Normalizer(groups, clip=2.0, max_samples=10_000)
    for piece in np.split(rows, [100, 350]):
        normalizer.record(torch.from_numpy(piece))
    before = normalizer(torch.from_numpy(rows[:1]))[0, :2]
    assert before.tolist() == [2.0, 2.0]  # 1000 is far beyond the clip as long as nothing is applied
    normalizer.apply_recorded()
    exact = rows.astype(np.float64)
    # float batch statistics of values near 1000: 1e-4 relative
    np.testing.assert_allclose(normalizer.mean[:2], exact.mean(0)[:2], rtol=1e-6)
    np.testing.assert_allclose(normalizer.std[:2], exact.std(0)[:2], rtol=1e-4)
    got = normalizer(torch.from_numpy(rows)).numpy()
    wanted = np.clip((exact - exact.mean(0)) / exact.std(0), -2.0, 2.0)
    np.testing.assert_allclose(got[:, :2], wanted[:, :2], atol=2e-3)
    np.testing.assert_array_equal(got[:, 2], rows[:, 2])  # the other group passes untouched, unclipped


def test_normalizer_stops_at_its_number_of_samples():
    normalizer = Normalizer((ObservationGroup(name="a", size=1),), clip=5.0, max_samples=8)
    normalizer.record(torch.zeros(8, 1))
    assert normalizer.is_frozen
    normalizer.record(torch.full((8, 1), 100.0))
    normalizer.apply_recorded()
    assert float(normalizer.mean) == 0.0
    assert int(normalizer.count) == 8


def test_average_is_slower_later_and_buffers_are_copied():
    network = torch.nn.BatchNorm1d(1)  # a weight and buffers
    average = ema_copy(network)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.running_mean.fill_(7.0)
    update_ema(
        average, network, decay=0.75, iteration=10
    )  # 10 / (10 + 10) = 0.5 < 0.75: 0.5 * 1 + 0.5 * 3 = 2
    assert float(average.weight) == 2.0
    assert float(average.running_mean) == 7.0
    update_ema(average, network, decay=0.75, iteration=1000)  # 0.75 * 2 + 0.25 * 3 = 2.25
    assert float(average.weight) == 2.25


def test_motions_count_by_their_weights_in_the_choice_of_a_policy():
    class Env:
        motion_names = ("a", "b")
        motion_weights = torch.tensor([0.75, 0.25])

    row = {"length_s": 2.0, "start_fraction": 0.5}
    first = {"motion": "a", "success": True, "tracked_s": 1.0, **row}
    second = {"motion": "b", "success": False, "tracked_s": 0.5, **row}
    found = {"motions": [first, second], "errors": {"root_pos": 0.25, "body_pos": 0.5, "dof_vel": 9.0}}
    # followed 0.75; time 0.75 * 1 + 0.25 * 0.5 / 1 = 0.875; errors in m 0.25 + 0.5
    assert score(found, Env()) == Score(followed=0.75, tracked=0.875, closeness=-0.75)


def test_scores_compare_success_first_then_time_then_error():
    good = Score(followed=1.0, tracked=1.0, closeness=-9.0)
    assert good > Score(followed=0.5, tracked=1.0, closeness=0.0)
    assert good < Score(followed=1.0, tracked=1.0, closeness=-1.0)
