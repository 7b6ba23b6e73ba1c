"""Killed anywhere and continued, a training on real physics ends with the same bits as an undisturbed one."""

import attrs
import numpy as np
import pytest
import torch

import parc_ppo.trainer
from parc_core.config import Use
from parc_core.errors import ConfigError
from parc_core.plugins import Registry
from parc_motion.skeletons import load_skeleton
from parc_motion.storage import digest_folder
from parc_ppo import distribution
from parc_ppo.config import DmPpoConfig, ModelConfig, OptimizerConfig
from parc_ppo.dmppo import DmPpoAgent
from parc_testing.builders import make_clip
from parc_testing.context import make_context

pytest.importorskip("parc_mujoco", reason="parc-mujoco is not installed")
pytest.importorskip("parc_deepmimic", reason="parc-deepmimic is not installed")

ENVS, STEPS, ITERATIONS = 4, 4, 9
SAMPLES = ENVS * STEPS * (ITERATIONS + 1)  # the normalizer's warm-up is one iteration long
# everything that has a memory: learned std, moving average, best policy, adapted step size, extras, sampled shares
CONFIG = DmPpoConfig(
    max_samples=SAMPLES,
    steps_per_iter=STEPS,
    update_epochs=2,
    batch_size=8,
    exp_prob_beg=0.9,
    exp_prob_end=0.7,
    exp_anneal_samples=float(SAMPLES),
    iters_per_output=2,
    iters_per_checkpoint=3,
    samples_per_checkpoint=5 * ENVS * STEPS,
    normalizer_warmup_steps=STEPS,
    eval_every_iters=4,
    test_episodes=1,
    average_decay=0.8,
    select="best",
    record_extras=True,
    model=ModelConfig(actor_net="cnn_mlp_16", critic_net="mlp_16", terrain_units=4, activation="elu"),
    optimizer=OptimizerConfig(learning_rate=1e-3, kl_target=0.01),
)
# rollouts collected ahead, and breaks so seldom that there are some
OVERLAPPED = attrs.evolve(
    CONFIG,
    overlap=True,
    record_extras=False,
    test_episodes=0,
    eval_every_iters=7,
    eval_survival_frames=4,
    eval_perturbed=1,
    samples_per_checkpoint=0,
    model=attrs.evolve(CONFIG.model, actor_std_type="FIXED", final_action_std=0.1),
)
CONFIGS = {"alone": CONFIG, "overlapped": OVERLAPPED}


class KilledError(RuntimeError):
    """Stands for SIGKILL."""


class WatchedAgent(DmPpoAgent):
    """Notes after how many control steps of its environment a checkpoint was written."""

    def on_checkpoint(self, env, ctx, samples):
        super().on_checkpoint(env, ctx, samples)
        self.checkpoints = [*getattr(self, "checkpoints", []), env.steps_done]


@attrs.frozen
class Outcome:
    config: DmPpoConfig
    digests: dict
    tensors: dict
    state: dict
    rows: list
    steps_done: int
    checkpoints: list


def make_env(seed, dies_at=None, **task):
    """Two short clips in MuJoCo; raises instead of control step number `dies_at`."""
    registry = Registry.discover()
    config_class = registry.load_config_class("tracker_env", "deepmimic")
    observation = type(config_class().observation)(**config_class.PRESETS["cpu"]["observation"])
    env = registry.create(
        "tracker_env",
        Use("deepmimic", config_class(**{"observation": observation, "episode_length_s": 0.2, **task})),
        clips=[make_clip(9, name="stand"), make_clip(11, name="lean")],
        weights=np.ones(2),
        simulator=registry.create("simulator", Use("mujoco"), device="cpu", threads=1),
        num_envs=ENVS,
        skeleton=load_skeleton("humanoid"),
        rng=torch.Generator().manual_seed(seed),
    )
    env.steps_done, step = 0, env.step

    def counted(action):
        env.steps_done += 1
        if env.steps_done == dies_at:
            raise KilledError
        return step(action)

    env.step = counted
    return env


def train(folder, env, config):
    context, agent = make_context(folder), WatchedAgent(config)
    try:
        policy = agent.train(env, context)
    except KilledError:
        return [(step, without_times(row)) for step, row in context.metrics.rows]
    finally:
        env.close()
    last = context.checkpoints.latest()
    rows = [(step, without_times(row)) for step, row in context.metrics.rows]
    digests = digest_folder(policy.folder)
    return Outcome(config, digests, last.tensors, last.state, rows, env.steps_done, agent.checkpoints)


def without_times(row):
    return {name: value for name, value in row.items() if not name.startswith("tracker/time/")}


@pytest.fixture(scope="module", params=CONFIGS)
def undisturbed(request, tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"), make_env(0), CONFIGS[request.param])


def kill_points(outcome):
    """One step after a checkpoint in the middle, and four anywhere."""
    rng = np.random.default_rng(4)
    anywhere = rng.choice(np.arange(2, outcome.steps_done), size=4, replace=False)
    return [outcome.checkpoints[2] + 1, *(int(step) for step in sorted(anywhere))]


@pytest.mark.parametrize("number", range(5))
def test_training_killed_at_a_random_step_goes_on_to_the_same_bits(undisturbed, tmp_path, number):
    point = kill_points(undisturbed)[number]
    before = train(tmp_path, make_env(0, dies_at=point), undisturbed.config)
    assert isinstance(before, list), "the training was to be killed"
    # another seed in the environment: its generator has to come back from the checkpoint
    after = train(
        tmp_path, make_env(0 if not make_context(tmp_path).checkpoints.steps() else 77), undisturbed.config
    )
    assert after.digests == undisturbed.digests
    assert after.state == undisturbed.state  # curriculum, counters, evaluations
    assert after.tensors.keys() == undisturbed.tensors.keys()
    differing = [
        name for name, value in after.tensors.items() if not torch.equal(value, undisturbed.tensors[name])
    ]
    assert differing == []  # networks, optimizer, normalizer, generators, sums of the metrics
    # metrics: what was written before is the beginning, what was written afterwards the end
    assert undisturbed.rows[: len(before)] == before
    assert undisturbed.rows[len(undisturbed.rows) - len(after.rows) :] == after.rows
    assert len(before) + len(after.rows) >= len(undisturbed.rows)


def test_real_environment_says_what_agents_ask_it():
    config_class = Registry.discover().load_config_class("tracker_env", "deepmimic")
    published = attrs.evolve(config_class().reward, contact="published")
    small, full = make_env(0), make_env(0, observation=config_class().observation, reward=published)
    shapes = [[group.shape for group in env.observation if group.shape] for env in (small, full)]
    assert shapes == [[(7, 5)], [(7, 63)]]
    assert small.motion_classes == ("stand", "stand")
    assert small.reward_range == (0.0, 1.0)
    assert full.reward_range == (-5.0, 6.0)  # 0..1 and 5 * (-1..1)
    small.reset()
    reward = torch.stack([small.step(torch.ones(ENVS, 28)).reward for _ in range(10)])
    assert ((reward >= 0.0) & (reward <= 1.0)).all()


def test_the_undisturbed_training_has_all_the_memory_that_the_others_have_to_restore(undisturbed):
    groups = {name.split("/")[0] for name in undisturbed.tensors}
    assert groups - {"extras"} == {"network", "policy", "optimizer", "best", "rng"}
    assert ("extras" in groups) == undisturbed.config.record_extras
    assert undisturbed.state["rate_factor"] != 1.0
    assert set(undisturbed.state["curriculum"]) == {"fail_rates", "bin_rates", "rng"}
    # at the start, iterations 3, 6, 9, and where samples count too 4, which completes 80 of them
    assert len(undisturbed.checkpoints) == (5 if undisturbed.config.samples_per_checkpoint else 4)


def test_overlapped_training_learns_from_the_policy_before_the_last_update(tmp_path):
    quiet = attrs.evolve(
        OVERLAPPED, max_samples=4 * ENVS * STEPS, normalizer_warmup_steps=0, normalizer_samples=0,
        iters_per_checkpoint=100, eval_every_iters=0, average_decay=0.0,
        optimizer=OptimizerConfig(learning_rate=0.0001),
    )  # fmt: skip
    drawn, held = (
        [],
        [],
    )  # largest log ratio to the policy that drew, and to the one that updates are held close to
    original = parc_ppo.trainer.prepare

    def watching(network, buffer, *rest):
        batch = original(network, buffer, *rest)
        mean, log_std = network.decide(batch.obs)
        now = distribution.log_prob(mean, log_std, batch.action)
        drawn.append(float((now - buffer.log_prob.flatten()).abs().max().detach()))
        held.append(float((now - batch.log_prob).abs().max().detach()))
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parc_ppo.trainer, "prepare", watching)
        train(tmp_path, make_env(0), quiet)
    assert drawn[0] == pytest.approx(0.0, abs=1e-5)  # nothing had been learned when it was collected
    assert all(ratio > 1e-4 for ratio in drawn[1:])  # collected before the update that came in between
    assert held == pytest.approx([0.0] * len(held), abs=1e-5)


def test_overlap_with_extras_is_refused():
    with pytest.raises(ConfigError, match="overlap: false"):
        DmPpoConfig(overlap=True, record_extras=True)
