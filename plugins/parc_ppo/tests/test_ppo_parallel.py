"""Two processes train one policy. This file is also the script of each of them."""

import json
import logging
import pathlib
import sys

import attrs
import pytest
import torch

from parc_core.errors import ConfigError, TrainingDiverged
from parc_core.interfaces import Parallel, Stopped
from parc_core.runner.logs import run_log
from parc_motion.storage import digest_file, read_tensors, write_tensors
from parc_ppo.config import DmPpoConfig, ModelConfig, OptimizerConfig, PpoConfig
from parc_ppo.dmppo import DmPpoAgent
from parc_ppo.optimizer import make_optimizer
from parc_ppo.policy_io import make_network
from parc_ppo.returns import normalized_advantage
from parc_ppo.rollout import Batch
from parc_ppo.trainer import Trainer
from parc_ppo.update import update
from parc_rl.normalizer import Normalizer
from parc_testing.context import make_context
from parc_testing.fake_env import FakeTrackerEnv
from parc_testing.processes import join_processes, run_processes

ENVS, STEPS, ITERATIONS = 8, 8, 6
SAMPLES = ENVS * STEPS * (ITERATIONS + 1)  # the normalizer's warm-up is as long as an iteration
STOP = 4  # rollouts; the last checkpoint then is that of iteration 3
# everything that has a memory, and everything that is a mean over samples
CONFIG = DmPpoConfig(
    max_samples=SAMPLES,
    steps_per_iter=STEPS,
    update_epochs=2,
    batch_size=16,
    exp_prob_beg=0.9,
    exp_prob_end=0.5,
    exp_anneal_samples=float(SAMPLES),
    iters_per_output=2,
    iters_per_checkpoint=3,
    normalizer_warmup_steps=STEPS,
    eval_every_iters=4,
    test_episodes=1,
    average_decay=0.8,
    critic_loss_gate=1000.0,
    select="best",
    record_extras=True,
    model=ModelConfig(actor_net="mlp_16", critic_net="mlp_16"),
    optimizer=OptimizerConfig(learning_rate=1e-3, kl_target=0.01),
)


def train(
    folder: pathlib.Path,
    parallel: Parallel,
    stop: int | None = None,
    *,
    overlap: bool = False,
    diverge: bool = False,
) -> None:
    """Train, or go on, in a folder; stop after a number of rollouts.

    With `diverge` the last process finds once, in iteration 5, that something is not finite.

    What the network holds after each update is kept per process, and the metrics.
    """
    asked = iter([False] * (stop or 1000) + [True])
    folder.mkdir(exist_ok=True)
    context = attrs.evolve(make_context(folder, should_stop=lambda: next(asked)), parallel=parallel)
    config = attrs.evolve(CONFIG, overlap=overlap, record_extras=not overlap)
    weights: list[list[float]] = []
    learn = Trainer._learn

    def watched(self, *args):
        if diverge and self.state.iteration == 4 and self.state.went_back is None:
            last = parallel.rank == parallel.size - 1
            self._raise_together(TrainingDiverged("iteration 5 (a test)") if last else None)
        found = learn(self, *args)
        values = [*self.state.network.state_dict().values(), *self.state.policy.state_dict().values()]
        weights.append(torch.cat([value.double().flatten() for value in values]).tolist())
        return found

    Trainer._learn = watched
    env = FakeTrackerEnv(num_envs=ENVS // parallel.size)
    try:
        with run_log(folder / f"log_{parallel.rank}"):
            DmPpoAgent(config).train(env, context)
    except Stopped:
        assert stop is not None
    finally:
        Trainer._learn = learn
    rows = [[step, values] for step, values in context.metrics.rows]
    kept = {"weights": weights, "rows": rows, "fail_rates": env.fail_rates.tolist()}
    (folder / f"kept_{parallel.rank}.json").write_text(json.dumps(kept))


def learn_once(folder: pathlib.Path, parallel: Parallel) -> None:
    """A gradient step on this process's part of a batch, and what it and other sums over all processes give."""
    env = FakeTrackerEnv(num_envs=2)
    config = PpoConfig(update_epochs=1, batch_size=12, model=CONFIG.model, critic_loss_gate=1000.0)
    rng = torch.Generator().manual_seed(0)
    network = make_network(config, config.model, env, "cpu", rng, 5.0)
    actions = len(env.action.lower)
    batch = Batch(
        obs=torch.randn(12, env.obs_size, generator=rng),
        action=0.3 * torch.randn(12, actions, generator=rng),
        log_prob=torch.randn(12, generator=rng) - 2.0,
        advantage=torch.randn(12, generator=rng),
        target=torch.randn(12, generator=rng),
        sampled=torch.tensor([True, False, False, True, False, False] + [True] * 6),  # 2 here, 6 there
    )
    rows = parallel.share(12)
    part = Batch(
        **{
            name: getattr(batch, name)[rows]
            for name in ("obs", "action", "log_prob", "advantage", "target", "sampled")
        }
    )
    optimizer = make_optimizer(
        OptimizerConfig(type="sgd", learning_rate=0.1, momentum=0.0), network.parameters()
    )
    losses = update(network, optimizer, part, config, torch.Generator().manual_seed(parallel.rank), parallel)
    advantage, mean, std = normalized_advantage(part.advantage, part.sampled, 4.0, parallel)
    normalizer = Normalizer(env.observation, 5.0, 1000)
    normalizer.record(part.obs, parallel)
    normalizer.record(2.0 * part.obs, parallel)
    normalizer.apply_recorded()
    weights = torch.cat([p.detach().flatten() for p in network.parameters()])
    numbers = {"weights": weights, "losses": torch.tensor(list(losses.values())), "advantage": advantage}
    numbers |= {"mean": mean, "std": std, "normalizer": torch.stack([normalizer.mean, normalizer.std])}
    write_tensors(folder / f"step_{parallel.size}_{parallel.rank}.safetensors", numbers)


def main() -> None:
    parallel, (folder,) = join_processes(sys.argv)
    where = pathlib.Path(folder)
    train(where / "two", parallel)
    train(where / "two_ahead", parallel, overlap=True)
    train(where / "two_stopped", parallel, STOP)
    parallel.barrier()
    train(where / "two_stopped", parallel)
    train(where / "two_then_one", parallel, STOP)
    train(where / "one_then_two", parallel)
    train(where / "two_back", parallel, diverge=True)
    learn_once(where, parallel)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder with trainings by one process, by two, and by one after the other."""
    folder = tmp_path_factory.mktemp("parallel")
    train(folder / "one", Parallel())
    train(folder / "one_then_two", Parallel(), STOP)
    learn_once(folder, Parallel())
    run_processes(__file__, 2, folder)
    train(folder / "two_then_one", Parallel())
    return folder


def kept(folder: pathlib.Path, rank: int = 0) -> dict:
    return json.loads((folder / f"kept_{rank}.json").read_text())


@pytest.mark.parametrize("name", ["two", "two_ahead", "two_stopped", "one_then_two"])
def test_all_processes_hold_the_same_bits_after_every_update(trained, name):
    first, second = kept(trained / name), kept(trained / name, 1)
    assert len(first["weights"]) == (ITERATIONS if name in ("two", "two_ahead") else ITERATIONS - 3)
    assert first["weights"] == second["weights"] and first["fail_rates"] == second["fail_rates"]
    assert len({str(row) for row in first["weights"]}) == len(first["weights"])


def test_processes_go_back_together_though_one_alone_has_found_something(trained):
    first, second = kept(trained / "two_back"), kept(trained / "two_back", 1)
    assert len(first["weights"]) == 4 + 3  # back to the checkpoint of iteration 3
    assert first["weights"] == second["weights"] and first["fail_rates"] == second["fail_rates"]
    assert first["weights"][:4] == kept(trained / "two")["weights"][:4]
    assert first["weights"][3] != first["weights"][4]  # with half the learning rate


def test_samples_of_all_processes_are_counted(trained):
    one, two = kept(trained / "one"), kept(trained / "two")
    assert [step for step, _ in two["rows"]] == [step for step, _ in one["rows"]]
    policy = json.loads((trained / "two" / "out" / "policy" / "policy.json").read_text())
    assert policy["fields"]["num_samples"] == SAMPLES


def test_same_metrics_are_written_once(trained):
    one, two = kept(trained / "one"), kept(trained / "two")
    assert [sorted(values) for _, values in two["rows"]] == [sorted(values) for _, values in one["rows"]]
    rewards = [values["tracker/reward/mean"] for _, values in two["rows"] if "tracker/reward/mean" in values]
    assert all(0.0 < reward <= 1.0 for reward in rewards)
    # an episode of this task ends after 45 steps at the latest: both processes' steps and ends are in one mean
    count = sum(values.get("tracker/episode/count", 0.0) for _, values in two["rows"])
    assert count > 0


def test_continued_training_ends_with_the_same_bits(trained):
    whole, continued = kept(trained / "two"), kept(trained / "two_stopped")
    assert continued["weights"] == whole["weights"][3:]
    policies = [trained / name / "out" / "policy" / "policy.safetensors" for name in ("two", "two_stopped")]
    assert digest_file(policies[0]) == digest_file(policies[1])


@pytest.mark.parametrize(("name", "before", "now"), [("two_then_one", 2, 1), ("one_then_two", 1, 2)])
def test_training_continues_with_another_number_of_processes(trained, name, before, now):
    log = (trained / name / "log_0").read_text()
    assert (
        f"The checkpoint is that of a training in {before} processes, now {now}: weights and statistics go on, "
        "episodes and their random numbers begin again."
    ) in log
    rows = kept(trained / name)["rows"]
    assert rows[-1][0] == SAMPLES
    # the learned weights are those of the checkpoint: one update later they are near those of the update before
    state = kept(trained / name)["weights"][0]
    undisturbed = kept(trained / name.partition("_")[0])["weights"]
    steps = [
        max(abs(a - b) for a, b in zip(state[:100], other[:100]))
        for other in (undisturbed[2], undisturbed[0])
    ]
    assert steps[0] < steps[1]


@pytest.mark.parametrize("name", ["weights", "losses", "mean", "std", "normalizer"])
def test_step_on_two_parts_of_a_batch_is_that_on_the_whole(trained, name):
    whole = read_tensors(trained / "step_1_0.safetensors")[name]
    for rank in (0, 1):
        part = read_tensors(trained / f"step_2_{rank}.safetensors")[name]
        torch.testing.assert_close(part, whole, rtol=1e-5, atol=1e-6)


def test_advantages_are_normalized_over_all_processes(trained):
    parts = [read_tensors(trained / f"step_2_{rank}.safetensors")["advantage"] for rank in (0, 1)]
    whole = read_tensors(trained / "step_1_0.safetensors")["advantage"]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-5, atol=1e-6)


def test_mini_batch_that_cannot_be_divided_is_refused(tmp_path):
    context = attrs.evolve(make_context(tmp_path), parallel=Parallel(rank=0, size=3))
    with pytest.raises(ConfigError) as caught:
        DmPpoAgent(CONFIG).train(FakeTrackerEnv(num_envs=2), context)
    assert str(caught.value) == (
        "agent: batch_size is 16, which 3 processes cannot divide evenly. Choose a multiple of train_tracker.processes."
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main()
