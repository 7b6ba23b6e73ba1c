"""The documented methods for scripts, recorded experience, fail rates by class, and settings of the training loop."""

import attrs
import pytest
import torch

from parc_core.config import Position, Use, structure, to_node
from parc_core.errors import StageFailed, UnknownProvider
from parc_core.interfaces import Done, Policy
from parc_core.plugins import Registry
from parc_motion.storage import digest_folder, read_json
from parc_ppo.config import DmPpoConfig, ModelConfig, OptimizerConfig, PpoConfig
from parc_ppo.dmppo import DmPpoAgent
from parc_ppo.ppo import PpoAgent
from parc_ppo.script import documented_names
from parc_rl.episodes import run_episodes
from parc_rl.fail_rates import fail_rate_metrics
from parc_testing.context import make_context
from parc_testing.fake_env import FakeTrackerEnv

SAMPLES = 16 * 16  # of one iteration


def config(**override) -> DmPpoConfig:
    fields = {
        "batch_size": 64,
        "update_epochs": 1,
        "iters_per_output": 1,
        "iters_per_checkpoint": 2,
        "exp_prob_end": 1.0,
        "model": ModelConfig(actor_net="mlp_16", critic_net="mlp_16"),
        "optimizer": OptimizerConfig(learning_rate=3e-3),
    }
    return DmPpoConfig(**(fields | override))


def make_agent(agent=DmPpoAgent, **override):
    return agent(config(**override), env=FakeTrackerEnv(num_envs=16))


@pytest.fixture
def trained(tmp_path):
    agent = make_agent()
    agent.train_model(2 * SAMPLES, tmp_path / "model", tmp_path / "steps", tmp_path / "log.txt")
    return agent


def test_train_model_writes_policy_checkpoints_metrics_fail_rates_and_text(trained, tmp_path):
    assert Policy.load(tmp_path / "model").num_samples == 2 * SAMPLES
    names = sorted(path.name for path in (tmp_path / "steps").iterdir())
    assert names == [
        "fail_rates_0.json", "fail_rates_512.json", "metrics.jsonl", "model_0000000000", "model_0000000512",
    ]  # fmt: skip
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert len(lines) == 2
    assert "  512 of 512 samples  reward 0." in lines[-1]


def test_train_model_does_what_the_runner_does(trained, tmp_path):
    agent = DmPpoAgent(config(max_samples=2 * SAMPLES))
    policy = agent.train(FakeTrackerEnv(num_envs=16), make_context(tmp_path / "runner"))
    assert digest_folder(policy.folder) == digest_folder(tmp_path / "model")


def test_train_model_goes_on_from_its_checkpoints(trained, tmp_path):
    again = make_agent()
    again.train_model(4 * SAMPLES, tmp_path / "model", tmp_path / "steps")
    steps = sorted(path.name for path in (tmp_path / "steps").glob("model_*"))
    assert steps == ["model_0000000000", "model_0000000512", "model_0000001024"]
    assert Policy.load(tmp_path / "model").num_samples == 4 * SAMPLES


def test_unknown_logger_is_refused(tmp_path):
    with pytest.raises(UnknownProvider, match="clay_tablets"):
        make_agent().train_model(SAMPLES, tmp_path / "model", tmp_path / "steps", logger_type="clay_tablets")


def test_model_is_loaded_into_another_agent(trained, tmp_path):
    other = make_agent()
    other.load(tmp_path / "model")
    obs = trained.env.reset()
    assert torch.equal(other.act(other.env, obs), trained.act(trained.env, obs))


def test_methods_that_need_an_environment_say_so(tmp_path):
    with pytest.raises(StageFailed) as caught:
        DmPpoAgent(config()).load(tmp_path)
    assert str(caught.value) == (
        "agent 'dmppo': load works on the agent's own environment, and it has none. Make the agent with env=..."
    )


def test_test_model_gives_the_documented_numbers(trained):
    found = trained.test_model(num_episodes=20)
    assert found["num_eps"] == 32  # two of each of 16 environments
    assert 0.0 < found["mean_return"] <= found["mean_ep_len"]
    assert set(found) == {"mean_return", "mean_ep_len", "num_eps", "test_mean_dof_pos_tracking_err"}


def test_plain_ppo_gives_no_tracking_errors_in_tests(tmp_path):
    agent = make_agent(PpoAgent)
    agent.train_model(SAMPLES, tmp_path / "model", tmp_path / "steps")
    assert set(agent.test_model(1)) == {"mean_return", "mean_ep_len", "num_eps"}


def test_tracking_errors_have_their_documented_names():
    errors = ("root_pos", "root_rot", "body_pos", "body_rot", "dof_vel", "root_vel", "root_ang_vel")
    found = documented_names({f"mean_{name}_tracking_err": 0.5 for name in errors} | {"num_eps": 1})
    assert list(found) == [
        "test_mean_root_pos_tracking_err",
        "test_mean_root_rot_tracking_err",
        "test_mean_body_pos_tracking_err",
        "test_mean_body_rot_tracking_err",
        "test_mean_dof_vel_tracking_err",
        "test_mean_root_vel_tracking_err",
        "test_mean_root_ang_vel_err",
        "num_eps",
    ]


def test_errors_are_means_of_episodes_and_late_episodes_of_quick_environments_do_not_count():
    """Env 0 ends after 1 step, env 1 after 2: errors 3; (1 + 2) / 2; rewards 1 per step."""

    class Two:
        num_envs, t = 2, 0

        def reset(self):
            return torch.zeros(2, 1)

        def step(self, action):
            self.t += 1
            done = torch.tensor([int(Done.FAIL), int(Done.FAIL if self.t == 2 else Done.NULL)])
            error = torch.tensor([[3.0, 1.0], [99.0, 2.0]])[self.t - 1]
            fields = {"obs": torch.zeros(2, 1), "reward": torch.ones(2), "done": done, "errors": {"e": error}}
            return attrs.make_class("Fields", list(fields))(**fields)

    class Still:
        def act(self, obs):
            return obs

    found = run_episodes(Two(), Still().act, 2)
    assert found == {"mean_return": 1.5, "mean_ep_len": 1.5, "num_eps": 2, "mean_e_tracking_err": 2.25}


def test_step_gives_the_documented_six_and_goes_on(trained):
    first, second = trained.step(), trained.step()
    obs, reward, done, info, action, more = second
    assert obs.shape == (16, trained.env.obs_size)
    assert reward.shape == done.shape == more["a_logp"].shape == (16,)
    assert set(info) == {"final_obs", "errors", "reward_terms"}
    assert action.shape == (16, 4)
    assert not torch.equal(first[0], obs)
    assert more["rand_action_mask"].all()


def test_step_takes_mean_actions_in_eval_mode_and_drawn_ones_in_train_mode(trained):
    obs = trained.reset()
    trained.eval_mode()
    _, _, _, _, action, more = trained.step()
    assert torch.equal(action, trained.act(trained.env, obs))
    assert not more["rand_action_mask"].any()
    obs = trained.reset()
    trained.train_mode()
    assert not torch.equal(trained.step()[4], trained.act(trained.env, obs))


# --- recorded experience


def test_extras_are_recorded_on_request(tmp_path):
    agent = make_agent(record_extras=True)
    agent.train_model(3 * SAMPLES, tmp_path / "model", tmp_path / "steps")
    kept, bodies = agent.experience, 3
    for name in ("timestep", "ep_num", "compute_time", "env_id", "reward", "done"):
        assert kept[name].shape == (16, 16)
    for name in ("prev_char_contact_forces", "next_char_contact_forces"):
        assert kept[name].shape == (16, 16, bodies, 3)
    assert kept["env_id"][5].tolist() == list(range(16))
    assert (kept["compute_time"] > 0).all()
    # within an episode the timestep counts up by one; after its end it is 0 and the episode's number one more
    over = kept["done"][:-1] != int(Done.NULL)
    assert over.any()
    assert torch.equal(kept["timestep"][1:], torch.where(over, 0, kept["timestep"][:-1] + 1))
    assert torch.equal(kept["ep_num"][1:], kept["ep_num"][:-1] + over.long())
    # iterations 1 and 2 belong to one set of episodes, 3 begins after the checkpoint: at least the second episodes
    assert (kept["timestep"][0] == 0).all()
    assert (kept["ep_num"][0] >= 1).all()


def test_contact_forces_before_a_step_are_those_after_the_one_before(tmp_path):
    class TouchingEnv(FakeTrackerEnv):
        steps = 0

        def step(self, action):
            self.steps += 1
            return super().step(action)

        def read(self):
            state = super().read()
            return attrs.evolve(state, contact_force=torch.full_like(state.contact_force, float(self.steps)))

    agent = DmPpoAgent(config(record_extras=True), env=TouchingEnv(num_envs=16))
    agent.train_model(SAMPLES, tmp_path / "model", tmp_path / "steps")
    kept = agent.experience
    before, after = kept["prev_char_contact_forces"], kept["next_char_contact_forces"]
    assert before[:, 0, 0, 0].tolist() == list(range(16))
    assert after[:, 0, 0, 0].tolist() == list(range(1, 17))


def test_experience_that_was_not_recorded_is_not_shown(trained):
    with pytest.raises(StageFailed, match="record_extras: true"):
        _ = trained.experience


def test_recording_does_not_change_the_training(trained, tmp_path):
    agent = make_agent(record_extras=True)
    agent.train_model(2 * SAMPLES, tmp_path / "other", tmp_path / "other_steps")
    assert digest_folder(tmp_path / "other") == digest_folder(tmp_path / "model")


# --- fail rates


def test_fail_rates_are_summarized_by_quantile_class_and_motion():
    rates = {"a": 0.0, "b": 0.5, "c": 1.0, "d": 0.25, "e": 0.75}
    found = fail_rate_metrics(rates, 1, {"a": "run", "b": "run", "c": "jump", "d": "", "e": "jump"})
    assert found == {
        "mean": 0.5, "max": 1.0, "q25": 0.25, "q50": 0.5, "q75": 0.75,
        "q90": pytest.approx(0.9), "q95": pytest.approx(0.95), "q99": pytest.approx(0.99),
        "class/jump/mean": 0.875, "class/jump/max": 1.0, "class/run/mean": 0.25, "class/run/max": 0.5,
        "motion/c": 1.0,
    }  # fmt: skip


def test_fail_rates_of_classes_are_written_with_the_metrics(tmp_path):
    env, context = FakeTrackerEnv(num_envs=16), make_context(tmp_path)
    env.motion_classes = ("slow", "fast", "fast")
    DmPpoAgent(config(max_samples=SAMPLES)).train(env, context)
    row = context.metrics.rows[0][1]
    rates = read_json(context.folder / f"fail_rates_{SAMPLES}.json")
    assert row["tracker/fail_rate/class/slow/mean"] == pytest.approx(rates["wave_0"])
    assert row["tracker/fail_rate/class/fast/max"] == pytest.approx(max(rates["wave_1"], rates["wave_2"]))


# --- settings of the loop


def test_checkpoints_are_written_by_samples_too(tmp_path):
    context = make_context(tmp_path)
    settings = config(max_samples=7 * SAMPLES, iters_per_checkpoint=100, samples_per_checkpoint=600)
    DmPpoAgent(settings).train(FakeTrackerEnv(num_envs=16), context)
    # 256 a time: 600 is completed by 768, 1200 by 1280, and the end is 1792
    files = context.folder.glob("fail_rates_*.json")
    assert sorted(int(path.stem.split("_")[-1]) for path in files) == [0, 768, 1280, 1792]


@pytest.mark.parametrize(
    ("bounds", "said", "largest"),
    [
        ("auto", (0.0, 0.02), 0.02),
        ("auto", None, 5.0),
        (None, (0.0, 0.02), 5.0),
        ((0.0, 0.1), (0.0, 0.02), 0.1),
    ],
)
def test_values_are_held_to_the_range_of_the_reward(tmp_path, bounds, said, largest):
    """A critic that says 5 everywhere, no rewards: the returns are what it is held to."""

    class RangedEnv(FakeTrackerEnv):
        reward_range = said

        def step(self, action):
            step = super().step(action)
            done = torch.zeros_like(step.done) if self._training else step.done
            return attrs.evolve(step, reward=torch.zeros_like(step.reward), done=done)

    context = make_context(tmp_path)
    settings = config(max_samples=SAMPLES, reward_bounds=bounds, discount=0.5, td_lambda=0.0)
    agent = DmPpoAgent(settings)
    env = RangedEnv(num_envs=16)
    agent._learn(
        attrs.evolve(settings, max_samples=1),
        env,
        make_context(tmp_path / "first"),
        tmp_path / "first_policy",
    )
    with torch.no_grad():
        agent._network.critic[-1].weight.zero_()
        agent._network.critic[-1].bias.fill_(5.0)
    agent.train(env, context)
    # return = 0 + 0.5 * value, and the value is held to largest / (1 - 0.5)
    wanted = 0.5 * min(5.0, 2.0 * largest)
    assert context.metrics.rows[0][1]["tracker/ppo/return_mean"] == pytest.approx(wanted)


def test_step_size_grows_while_updates_move_too_little(tmp_path):
    context = make_context(tmp_path)
    optimizer = OptimizerConfig(learning_rate=1e-6, kl_target=0.01, final_fraction=1.0)
    DmPpoAgent(config(max_samples=3 * SAMPLES, optimizer=optimizer)).train(
        FakeTrackerEnv(num_envs=16), context
    )
    rates = [row["tracker/ppo/learning_rate"] for _, row in context.metrics.rows if "tracker/ppo/kl" in row]
    assert rates == pytest.approx([1e-6, 1.5e-6, 2.25e-6])


def test_reward_bounds_are_read_in_all_their_forms():
    registry = Registry.discover()
    holder = attrs.make_class(
        "Holder", {"chosen": attrs.field(type=Use, metadata={"kind": "agent"})}, frozen=True, kw_only=True
    )
    for given, wanted in (("auto", "auto"), ([0.0, 1.0], (0.0, 1.0)), (None, None)):
        node = to_node({"chosen": {"use": "dmppo", "reward_bounds": given}}, Position("test"))
        assert structure(node, holder, registry).config.chosen.config.reward_bounds == wanted


def test_laptop_is_what_was_called_cpu():
    presets = PpoConfig.PRESETS
    assert presets["cpu"] is presets["laptop"]
    assert presets["cpu_fine_tuning"] is presets["laptop_fine_tuning"]
