"""Training learns, continues exactly, fine-tunes with a frozen normalizer, and says what is wrong."""

import attrs
import pytest
import torch

from parc_core.errors import SimulationDiverged, StageFailed, TrainingDiverged
from parc_core.interfaces import Policy, Stopped
from parc_motion.errors import DataError
from parc_motion.storage import digest_folder, read_json, read_tensors
from parc_ppo import policy_io, ppo
from parc_ppo.config import DmPpoConfig, ModelConfig, OptimizerConfig
from parc_ppo.dmppo import DmPpoAgent
from parc_ppo.ppo import PpoAgent
from parc_ppo.trainer import Trainer
from parc_rl.normalizer import Normalizer
from parc_rl.selection import Score
from parc_testing.context import make_context
from parc_testing.fake_env import FakeTrackerEnv

SAMPLES = 16 * 16  # of one iteration


def config(**override) -> DmPpoConfig:
    model = ModelConfig(actor_net="mlp_32", critic_net="mlp_32", activation="elu", actor_std_type="FIXED")
    fields = {
        "max_samples": 4 * SAMPLES,
        "batch_size": 64,
        "update_epochs": 2,
        "iters_per_output": 1,
        "iters_per_checkpoint": 2,
        "exp_prob_end": 1.0,
        "model": model,
        "optimizer": OptimizerConfig(learning_rate=3e-3),
    }
    return DmPpoConfig(**(fields | override))


def train(folder, env=None, agent=DmPpoAgent, **override) -> Policy:
    settings = config(**override)
    return agent(settings).train(env or FakeTrackerEnv(num_envs=16), make_context(folder))


def evaluation(tracked_s: float) -> dict:
    """One that followed wave_0 for so long, out of 1.5 s."""
    row = {
        "motion": "wave_0",
        "length_s": 1.5,
        "start_fraction": 0.0,
        "tracked_s": tracked_s,
        "success": False,
    }
    return {"success_rate": 0.0, "errors": {}, "motions": [row]}


def weights(policy: Policy) -> dict[str, torch.Tensor]:
    return read_tensors(policy.folder / "policy.safetensors")


def test_ppo_learns_to_follow_every_wave(tmp_path):
    env = FakeTrackerEnv(num_envs=64)
    settings = config(max_samples=16 * 1024, batch_size=256, update_epochs=4)
    agent = DmPpoAgent(settings)
    untrained = DmPpoAgent(
        attrs.evolve(settings, max_samples=1, optimizer=OptimizerConfig(learning_rate=1e-9))
    )
    untrained.train(env, make_context(tmp_path / "untrained"))
    assert untrained.evaluate(env)["success_rate"] < 1.0
    policy = agent.train(env, make_context(tmp_path / "trained"))
    found = agent.evaluate(env)
    assert found["success_rate"] == 1.0
    assert policy.extra["evaluation"]["success_rate"] == 1.0


@pytest.mark.parametrize("select", ["best", "last"])
def test_checkpoint_holds_the_policy_that_the_training_would_end_with(tmp_path, select):
    settings = {"select": select, "eval_every_iters": 1, "average_decay": 0.8}
    policy = train(tmp_path, **settings)
    folder = tmp_path / "checkpoints" / f"model_{4 * SAMPLES:010d}" / "model"
    found = Policy.load(folder)
    assert found.num_samples == policy.num_samples == 4 * SAMPLES
    assert found.extra == policy.extra
    assert all(value.equal(weights(policy)[name]) for name, value in weights(found).items())
    agent, env = DmPpoAgent(config()), FakeTrackerEnv(num_envs=16)
    agent.restore(found, env)
    assert agent.evaluate(env)["success_rate"] >= 0.0


def test_killed_training_ends_with_the_same_bits(tmp_path):
    settings = {"select": "best", "eval_every_iters": 1, "average_decay": 0.8}
    whole = train(tmp_path / "whole", **settings)

    class KilledError(RuntimeError):
        """Stands for SIGKILL."""

    class DyingEnv(FakeTrackerEnv):
        steps = 0

        def step(self, action):
            self.steps += 1
            if self.steps == 16 * 3 + 200:  # somewhere after the checkpoint of iteration 2
                raise KilledError
            return super().step(action)

    with pytest.raises(KilledError):
        train(tmp_path / "parts", DyingEnv(num_envs=16), **settings)
    steps = make_context(tmp_path / "parts").checkpoints.steps()
    assert steps[-1] in (2 * SAMPLES, 3 * SAMPLES)
    parts = train(tmp_path / "parts", FakeTrackerEnv(num_envs=16, seed=5), **settings)
    assert digest_folder(whole.folder) == digest_folder(parts.folder)


def test_other_seeds_give_other_policies(tmp_path):
    policies = [
        PpoAgent(config()).train(FakeTrackerEnv(num_envs=16), make_context(tmp_path / str(seed), seed=seed))
        for seed in (0, 1)
    ]
    first, second = (weights(policy)["actor.0.weight"] for policy in policies)
    assert not torch.equal(first, second)


def test_fine_tuning_moves_the_weights_and_leaves_the_normalizer(tmp_path):
    first = train(tmp_path / "first", agent=PpoAgent)
    agent = DmPpoAgent(config())
    env = FakeTrackerEnv(num_envs=16)
    agent.restore(first, env)
    second = agent.train(env, make_context(tmp_path / "second"))
    assert (first.agent, second.agent) == ("ppo", "dmppo")
    before, after = weights(first), weights(second)
    for name in ("mean", "std", "count"):
        assert torch.equal(before[f"normalizer.{name}"], after[f"normalizer.{name}"])
    assert not torch.equal(before["actor.0.weight"], after["actor.0.weight"])


def test_threads_are_given_back(tmp_path):
    before = torch.get_num_threads()
    train(tmp_path)
    assert torch.get_num_threads() == before


def test_metrics_have_three_part_names_and_progress_says_how_it_goes(tmp_path):
    context = make_context(tmp_path)
    DmPpoAgent(config(test_episodes=16)).train(FakeTrackerEnv(num_envs=16), context)
    names = {name for _, row in context.metrics.rows for name in row}
    assert {
        "tracker/reward/mean",
        "tracker/reward/pose",
        "tracker/error/dof_pos",
        "tracker/loss/critic",
        "tracker/ppo/kl",
        "tracker/time/rollout_s",
        "tracker/fail_rate/q50",
        "tracker/fail_rate/motion/wave_0",
        "tracker/eval/success_rate",
        "tracker/test/mean_return",
    } <= names
    assert context.metrics.rows[-1][0] == 4 * SAMPLES
    done, total, note = context.progress.rows[-1]
    assert (done, total) == (4 * SAMPLES, 4 * SAMPLES)
    assert note.startswith("reward 0.")


def test_plain_ppo_writes_no_tracking_errors(tmp_path):
    context = make_context(tmp_path)
    PpoAgent(config()).train(FakeTrackerEnv(num_envs=16), context)
    names = {name.split("/")[1] for _, row in context.metrics.rows for name in row}
    assert not names & {"error", "fail_rate"}


def test_fail_rates_are_written_with_every_checkpoint(tmp_path):
    policy = train(tmp_path)
    files = sorted(path.name for path in policy.folder.parent.glob("fail_rates_*.json"))
    assert files == ["fail_rates_0.json", "fail_rates_1024.json", "fail_rates_512.json"]
    assert set(read_json(policy.folder.parent / files[0])) == {"wave_0", "wave_1", "wave_2"}


def test_best_policy_is_kept_when_later_ones_are_worse(tmp_path):
    """Evaluations say 0.4, 1, 0 and 0 s: the weights of the second are kept."""

    class Scored(DmPpoAgent):
        results = iter([0.4, 1.0, 0.0, 0.0])
        seen: list[torch.Tensor] = []  # noqa: RUF012 - one instance only

        def evaluate(self, env, start_fractions=(0.0,)):
            self.seen.append(self._network.actor[0].weight.detach().clone())
            return evaluation(next(self.results))

    agent = Scored(config(select="best", eval_every_iters=1))
    policy = agent.train(FakeTrackerEnv(num_envs=16), make_context(tmp_path))
    assert torch.equal(weights(policy)["actor.0.weight"], agent.seen[1])
    assert policy.extra["kept"] == {"select": "best", "samples": 2 * SAMPLES}


def test_fine_tuning_that_only_spoils_keeps_the_policy_it_began_with(tmp_path):
    class Spoiled(DmPpoAgent):
        results = iter([1.0, 0.5])

        def evaluate(self, env, start_fractions=(0.0,)):
            return evaluation(next(self.results))

    first = train(tmp_path / "first")
    agent, env = Spoiled(config(select="best")), FakeTrackerEnv(num_envs=16)
    agent.restore(first, env)
    second = agent.train(env, make_context(tmp_path / "second"))
    assert second.extra["kept"]["samples"] == 0
    assert torch.equal(weights(first)["actor.0.weight"], weights(second)["actor.0.weight"])


class BrokenEnv(FakeTrackerEnv):
    """From a step on, or in that step alone, a number is not finite; steps of evaluations do not count."""

    def __init__(self, at: int, what: str = "obs", once: bool = False, **settings):
        super().__init__(**settings)
        self.at, self.what, self.once, self.steps = at, what, once, 0

    def step(self, action):
        step = super().step(action)
        self.steps += self._training
        if self.steps == self.at or (self.steps > self.at and not self.once):
            getattr(step, self.what)[3] = float("nan")
        return step


@pytest.mark.parametrize(
    ("what", "text"),
    [("obs", "an observation of the environment"), ("reward", "a reward of the environment")],
)
def test_environment_that_gives_no_numbers_ends_the_training(tmp_path, what, text):
    for _ in range(2):  # the same command again ends at once
        with pytest.raises(SimulationDiverged) as caught:
            train(tmp_path, BrokenEnv(1, what, num_envs=16))
        cause = f"iteration 1 (0 samples): {text} is not finite, first in environment 3"
        assert str(caught.value) == (
            f"tracker training, {cause}. It had gone back to the checkpoint at 0 samples, with half the learning rate, "
            f"after {cause}. The same command ends here again. Environments replace a diverged simulation: check its "
            "time step and limits. Or begin the stage again with a lower learning rate (0.003) or max_grad_norm: "
            "--redo train_tracker --set train_tracker.agent.optimizer.learning_rate=0.00075"
        )


def test_exploding_weights_end_the_training(tmp_path):
    with pytest.raises(TrainingDiverged) as caught:
        train(
            tmp_path,
            optimizer=OptimizerConfig(type="sgd", learning_rate=1e6),
            clip_grad_norm=False,
        )
    text = str(caught.value)
    assert text.startswith("tracker training, iteration 1 (0 samples): ")
    assert "not finite. It had gone back to the checkpoint at 0 samples" in text


@pytest.mark.parametrize(
    ("name", "value"), [("actor.0.weight", "the weights 'actor.0.weight'"), ("normalizer.mean", "normalizer")]
)
def test_weights_that_are_not_finite_are_never_kept(tmp_path, monkeypatch, name, value):
    apply = Normalizer.apply_recorded

    def broken(self):
        apply(self)
        networks[0].state_dict()[name].view(-1)[0] = float("inf")

    networks = []
    make = policy_io.make_network
    monkeypatch.setattr(ppo, "make_network", lambda *a: networks.append(make(*a)) or networks[-1])
    monkeypatch.setattr(Normalizer, "apply_recorded", broken)
    with pytest.raises(TrainingDiverged, match=value):
        train(tmp_path)
    files = list(tmp_path.rglob("*.safetensors"))
    assert files
    for file in files:
        read_tensors(file)


def test_training_goes_back_once_and_learns_on_more_slowly(tmp_path, caplog):
    # 16 steps an iteration: the fourth iteration fails, 2 are in the checkpoint
    env = BrokenEnv(3 * 16 + 5, once=True, num_envs=16)
    context = make_context(tmp_path)
    policy = DmPpoAgent(config()).train(env, context)
    assert policy.num_samples == 4 * SAMPLES and env.steps == 6 * 16
    rates = [
        row["tracker/ppo/learning_rate"]
        for _, row in context.metrics.rows
        if "tracker/ppo/learning_rate" in row
    ]
    # a linear schedule
    assert rates[3:] == pytest.approx([0.5 * rates[2], 0.5 * (2.0 * rates[2] - rates[1])])
    state = context.checkpoints.latest().state
    what = "an observation of the environment is not finite, first in environment 3"
    cause = f"iteration 4 ({3 * SAMPLES} samples): {what}"
    assert state["went_back"] == {"cause": cause, "to": 2 * SAMPLES}
    assert caplog.messages == [
        f"tracker training, {cause}. It goes back to the checkpoint at {2 * SAMPLES} samples, once, and on with half "
        "the learning rate."
    ]


class FailingTrainer(Trainer):
    """Diverges in the third iteration, unless it has gone back."""

    def _learn(self, sample_prob):
        if self.state.iteration == 2 and self.state.went_back is None:
            self._raise_together(TrainingDiverged("a test"))
        return super()._learn(sample_prob)


@pytest.mark.parametrize(
    ("looks", "overlap"), [(2, False), (3, True), (4, False)]
)  # before it diverges, and after it
def test_training_that_goes_back_is_the_same_when_it_is_interrupted(tmp_path, monkeypatch, looks, overlap):
    monkeypatch.setattr(ppo, "Trainer", FailingTrainer)
    settings = config(iters_per_checkpoint=1 if looks == 3 else 2, overlap=overlap)
    whole = DmPpoAgent(settings).train(FakeTrackerEnv(num_envs=16), make_context(tmp_path / "whole"))
    calls = iter([False] * looks + [True])
    context = make_context(tmp_path / "part", should_stop=lambda: next(calls, False))
    with pytest.raises(Stopped):
        DmPpoAgent(settings).train(FakeTrackerEnv(num_envs=16), context)
    part = DmPpoAgent(settings).train(FakeTrackerEnv(num_envs=16), context)
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(part).items())


def test_policy_of_other_observations_is_refused_naming_both(tmp_path):
    policy = train(tmp_path)
    env = FakeTrackerEnv()
    env.observation = env.observation[1:]
    with pytest.raises(DataError) as caught:
        PpoAgent(config()).restore(policy, env)
    assert str(caught.value) == (
        f"{policy.folder}/policy.json: trained on observations dof_error [4], target [4], contacts [1], the "
        "environment gives target [4], contacts [1]. Configure the environment as it was then, or train from scratch."
    )


def test_policy_of_other_actions_is_refused_naming_both(tmp_path):
    policy = train(tmp_path)
    env = FakeTrackerEnv()
    env.action = attrs.evolve(env.action, kind="residual")
    with pytest.raises(DataError) as caught:
        PpoAgent(config()).restore(policy, env)
    assert str(caught.value) == (
        f"{policy.folder}/policy.json: trained on actions of kind 'absolute', the environment takes 'residual'. "
        "Configure the environment as it was then, or train from scratch."
    )


def test_policy_of_an_agent_that_plans_is_refused(tmp_path):
    policy = attrs.evolve(train(tmp_path), agent="mpc")
    with pytest.raises(
        DataError, match="made by agent 'mpc'; this agent takes over policies of ppo and dmppo"
    ):
        PpoAgent(config()).restore(policy, FakeTrackerEnv())


def test_acting_without_a_policy_is_refused():
    env = FakeTrackerEnv()
    with pytest.raises(StageFailed, match="asked to act without a policy"):
        PpoAgent(config()).act(env, env.reset())


def test_checkpoints_of_other_networks_are_refused(tmp_path):
    train(tmp_path)
    with pytest.raises(DataError, match="Set them back, or remove the checkpoints"):
        train(tmp_path, model=ModelConfig(actor_net="mlp_16"))


def test_sampled_actions_repeat_from_playback_to_playback(tmp_path):
    agent, env = PpoAgent(config()), FakeTrackerEnv(num_envs=16)
    agent.train(env, make_context(tmp_path))
    obs = env.reset()
    actions = []
    for _ in range(2):
        agent.start(env)
        actions.append(agent.act(env, obs, deterministic=False))
    assert torch.equal(*actions)
    assert not torch.equal(actions[0], agent.act(env, obs))


@pytest.mark.parametrize("preset", ["paper", "laptop", "laptop_fine_tuning", "tiny"])
def test_presets_name_settings_that_exist(preset):
    values = dict(DmPpoConfig.PRESETS[preset])
    values["model"] = ModelConfig(**values["model"])
    values["optimizer"] = OptimizerConfig(**values["optimizer"])
    assert DmPpoConfig(**values).max_samples > 0


def test_evaluations_tell_survival_and_perturbed_starts_beside_success(tmp_path):
    agent = DmPpoAgent(config(eval_survival_frames=3, eval_perturbed=2, select="best"))
    context = make_context(tmp_path)
    policy = agent.train(FakeTrackerEnv(), context)
    rows = [row for _, row in context.metrics.rows if "tracker/eval/survival" in row]
    assert rows and all(0.0 <= row["tracker/eval/perturbed"] <= 1.0 for row in rows)
    kept = policy.extra["evaluation"]
    assert kept["survival"]["starts"] > kept["perturbed"]["starts"] == 2 * len(kept["perturbed"]["motions"])


def test_of_policies_that_follow_equally_much_the_one_that_survives_more_starts_is_better():
    assert Score(followed=0.5, survived=0.9) > Score(followed=0.5, survived=0.8, tracked=1.0)
    assert Score(followed=0.6) > Score(followed=0.5, survived=1.0)


def test_policy_whose_std_fell_may_go_on_with_one_that_learns(tmp_path):
    falling = ModelConfig(
        actor_net="mlp_16", critic_net="mlp_16", actor_std_type="FIXED", action_std=0.4, final_action_std=0.1
    )
    first = train(tmp_path / "first", model=falling)
    fallen = weights(first)["log_std"]
    # as it was when the last of four iterations began
    assert fallen.exp().tolist() == pytest.approx([0.175] * len(fallen))
    agent = DmPpoAgent(config(model=attrs.evolve(falling, actor_std_type="CONST", final_action_std=None)))
    env = FakeTrackerEnv(num_envs=16)
    agent.restore(first, env)
    learned = weights(agent.train(env, make_context(tmp_path / "second")))["log_std"]
    assert 0.0 < float((learned - fallen).abs().max()) < 0.5
