"""The replay returns what was put into it, with n-step returns worked out by hand."""

import pytest
import torch

from parc_core.interfaces import Done, Step
from parc_sac.replay import Replay, bytes_per_sample


def make_step(obs, reward, done=None, final=None) -> Step:
    obs = torch.as_tensor(obs, dtype=torch.float32)[:, None]
    reward = torch.as_tensor(reward, dtype=torch.float32)
    done = torch.tensor([int(d) for d in (done or [Done.NULL] * len(obs))], dtype=torch.int8)
    final = obs if final is None else torch.as_tensor(final, dtype=torch.float32)[:, None]
    return Step(obs=obs, reward=reward, done=done, final_obs=final, errors={}, reward_terms={})


def make_replay(dones, rows=16):
    """One environment: states 0, 1, 2, ...; the k-th step gives reward 10^k and action k; episodes end at `dones`.

    The last state of an episode is the state's number + 0.5; the next episode begins at the next number.
    """
    replay = Replay(rows, 1, 1, 1, "cpu")
    replay.begin(torch.zeros(1, 1))
    for k, done in enumerate(dones):
        final = [k + 1.0] if done is Done.NULL else [k + 0.5]
        replay.add(torch.full((1, 1), float(k)), make_step([k + 1.0], [10.0**k], [done], final))
    return replay


def draw_all(replay, n_steps, discount=0.5, **options):
    """By action, which is the number of the step: reward, discount, next state."""
    drawn = replay.draw(400, n_steps, discount, torch.Generator().manual_seed(0), **options)
    found = {}
    for i in range(400):
        key = float(drawn.action[i])
        value = (float(drawn.reward[i]), float(drawn.discount[i]), float(drawn.next_obs[i]))
        assert found.setdefault(key, value) == value
        assert float(drawn.obs[i]) == key
    return found


def test_returns_of_two_steps():
    found = draw_all(make_replay([Done.NULL] * 4), n_steps=2)
    assert found == {
        0.0: (1.0 + 0.5 * 10.0, 0.25, 2.0),
        1.0: (10.0 + 0.5 * 100.0, 0.25, 3.0),
        2.0: (100.0 + 0.5 * 1000.0, 0.25, 4.0),
        3.0: (1000.0, 0.5, 4.0),  # nothing has happened after it yet
    }


def test_returns_stop_at_the_end_of_an_episode_and_bootstrap_from_its_last_state():
    found = draw_all(make_replay([Done.NULL, Done.TIMEOUT, Done.NULL]), n_steps=3)
    assert found == {
        0.0: (1.0 + 0.5 * 10.0, 0.25, 1.5),
        1.0: (10.0, 0.5, 1.5),
        2.0: (100.0, 0.5, 3.0),
    }


def test_failure_has_no_value_after_it():
    found = draw_all(make_replay([Done.NULL, Done.FAIL, Done.NULL]), n_steps=3)
    assert found[0.0][:2] == (1.0 + 0.5 * 10.0, 0.0)
    assert found[1.0][:2] == (10.0, 0.0)


@pytest.mark.parametrize(
    "done, option", [(Done.TIMEOUT, "bootstrap_timeout"), (Done.SUCCESS, "bootstrap_success")]
)
def test_other_ends_count_as_failures_where_it_is_wanted(done, option):
    replay = make_replay([done, Done.NULL])
    assert draw_all(replay, 1)[0.0][1] == 0.5
    assert draw_all(replay, 1, **{option: False})[0.0][1] == 0.0


def test_oldest_is_forgotten():
    found = draw_all(make_replay([Done.NULL] * 20, rows=8), n_steps=1, discount=0.5)
    # seven rows before the present state
    assert set(found) == {13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0}
    assert found[19.0] == (pytest.approx(1e19), 0.5, 20.0)


def test_rows_are_equally_likely():
    replay = make_replay([Done.NULL, Done.NULL, Done.FAIL, Done.NULL])
    drawn = replay.draw(40_000, 1, 0.9, torch.Generator().manual_seed(1))
    share = torch.bincount(drawn.action[:, 0].long(), minlength=4) / 40_000
    assert share.tolist() == pytest.approx([0.25] * 4, abs=0.01)


def test_episodes_that_are_cut_off_ran_out_of_time():
    replay = make_replay([Done.NULL, Done.NULL])
    replay.begin(torch.full((1, 1), 7.0))
    replay.add(torch.full((1, 1), 7.0), make_step([8.0], [5.0]))
    found = draw_all(replay, n_steps=3)
    assert found[0.0] == (1.0 + 0.5 * 10.0, 0.25, 2.0)  # its last state is 2, where the value counts
    assert found[7.0] == (5.0, 0.5, 8.0)
    assert int(replay.done.max()) == int(Done.TIMEOUT)


def test_beginning_again_after_an_end_adds_nothing():
    replay = make_replay([Done.FAIL])
    rows = len(replay)
    replay.begin(torch.full((1, 1), 7.0))
    assert len(replay) == rows


def test_environments_that_end_at_different_times_stay_apart():
    replay = Replay(12, 2, 1, 1, "cpu")
    replay.begin(torch.tensor([[0.0], [100.0]]))
    ends = [(Done.NULL, Done.FAIL), (Done.SUCCESS, Done.NULL), (Done.NULL, Done.NULL)]
    for k, done in enumerate(ends):
        states = [k + 1.0, k + 101.0]
        replay.add(torch.tensor([[k], [k + 100.0]]), make_step(states, states, list(done)))
    drawn = replay.draw(300, 1, 0.5, torch.Generator().manual_seed(0))
    assert {float(a) for a in drawn.action} == {0.0, 1.0, 2.0, 100.0, 101.0, 102.0}
    torch.testing.assert_close(drawn.obs, drawn.action)
    torch.testing.assert_close(drawn.reward, drawn.action[:, 0] + 1.0)


@pytest.mark.parametrize("steps", [3, 30])
def test_restored_replay_draws_the_same(steps):
    replay = make_replay([Done.FAIL if k % 5 == 4 else Done.NULL for k in range(steps)], rows=16)
    other = Replay(16, 1, 1, 1, "cpu")
    other.load({name: value.clone() for name, value in replay.tensors().items()})
    one, two = (r.draw(50, 3, 0.9, torch.Generator().manual_seed(2)) for r in (replay, other))
    for name in ("obs", "action", "reward", "discount", "next_obs"):
        assert torch.equal(getattr(one, name), getattr(two, name))


def test_short_experience_takes_little_room_in_a_checkpoint():
    assert len(make_replay([Done.NULL] * 3, rows=1000).tensors()["obs"]) == 4


def test_replay_of_another_size_is_refused():
    tensors = make_replay([Done.NULL] * 30, rows=16).tensors()
    with pytest.raises(ValueError, match="16 rows for 1 environments, expected at most 8 for 1"):
        Replay(8, 1, 1, 1, "cpu").load(tensors)


def test_memory_is_as_stated():
    replay = Replay(10, 4, 7, 3, "cpu")
    held = sum(getattr(replay, name).nbytes for name in ("obs", "action", "reward", "done", "acted"))
    assert held == 40 * bytes_per_sample(7, 3)


def test_large_observations_stay_finite():
    replay = Replay(8, 1, 1, 1, "cpu")
    replay.begin(torch.full((1, 1), 1e9))
    assert torch.isfinite(replay.obs).all()
