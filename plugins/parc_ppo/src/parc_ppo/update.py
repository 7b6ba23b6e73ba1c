"""One PPO update: several epochs of mini-batch gradient descent over a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from parc_core.interfaces import Parallel, stop_point
from parc_ppo import distribution
from parc_ppo.actor_critic import ActorCritic
from parc_ppo.config import PpoConfig
from parc_ppo.losses import MAX_LOG_RATIO, approx_kl, clipped_surrogate, critic_loss
from parc_ppo.rollout import Batch

__all__ = ["update"]


def update(
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: PpoConfig,
    rng: torch.Generator,
    parallel: Parallel | None = None,
) -> dict[str, float]:
    """Learn from a batch; mean losses by name. A value that is not finite means that the weights are unusable.

    Each epoch visits all samples once, shuffled with `rng`.

    Args:
        parallel: processes that learn together, each from its own samples; their number divides `config.batch_size`,
            and all have equally many samples. A mini-batch consists of a part of each. None: this one alone.
    """
    parallel = Parallel() if parallel is None else parallel
    size = config.batch_size // parallel.size
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    names: tuple[str, ...] = ()
    rows: list[Tensor] = []  # losses of each gradient step; read at the end, so that a GPU need not wait
    epochs = 0
    for _ in range(config.update_epochs):
        # 1. shuffle the samples and go through them in mini-batches
        order = torch.randperm(len(batch.obs), generator=rng, device=batch.obs.device)
        begin = len(rows)
        weights = _sampled_weights(batch, order, size, parallel)
        for mini_batch, weight in zip(batch.mini_batches(order, size), weights):
            stop_point()
            # 2. gradient of the loss of actor and critic together
            loss, parts = _losses(network, mini_batch, config, weight, parallel)
            optimizer.zero_grad(set_to_none=True)
            if parallel.size == 1:
                loss.backward()
            else:
                parts = _backward_together(loss, parts, parameters, parallel)
            # 3. clip the gradient's L2 norm: g <- g min(1, max_grad_norm / |g|)
            if config.clip_grad_norm:
                parts["grad_norm"] = nn.utils.clip_grad_norm_(parameters, config.max_grad_norm, foreach=True)
            # 4. step of Adam or SGD; a learned standard deviation stays within its bounds
            optimizer.step()
            network.clamp_std()
            names = tuple(parts)
            rows.append(torch.stack(list(parts.values())).detach())
        epochs += 1
        # 5. early stopping: the policy has moved far enough from the one that collected the samples
        if config.target_kl is not None:
            kl = torch.stack(rows[begin:])[:, names.index("kl")].mean()
            if float(kl) > config.target_kl:
                break
    means = torch.stack(rows).mean(dim=0).tolist()
    return {**dict(zip(names, means, strict=True)), "epochs": float(epochs)}


def _sampled_weights(batch: Batch, order: Tensor, size: int, parallel: Parallel) -> Sequence[Tensor | None]:
    """How much the sampled actions of this process count in each mini-batch; their mean over the processes is 1.

    A mean over the sampled actions of all processes is the mean over processes of (weight * mean of a process).
    None: as much as those of any other process, because all actions are sampled.
    """
    parts = order.split(size)
    if batch.sampled is None or parallel.size == 1:
        return [None] * len(parts)
    own = torch.stack([batch.sampled[rows].sum() for rows in parts]).to(batch.advantage.dtype)
    mean = own.clone()
    parallel.sum_([mean])
    mean /= parallel.size
    return torch.where(mean > 0, own / mean.clamp_min(1e-9), 1.0).unbind()


def _backward_together(
    loss: Tensor, parts: dict[str, Tensor], parameters: Sequence[nn.Parameter], parallel: Parallel
) -> dict[str, Tensor]:
    """Leave the gradient of the mean loss of all processes in the parameters; the means of its parts."""
    (loss / parallel.size).backward()
    for parameter in parameters:
        if parameter.grad is None:  # without sampled actions here, but not in every process
            parameter.grad = torch.zeros_like(parameter)
    values = torch.stack(list(parts.values())).detach() / parallel.size
    parallel.sum_([*(parameter.grad for parameter in parameters if parameter.grad is not None), values])
    return dict(zip(parts, values))


def _losses(
    network: ActorCritic, mini_batch: Batch, config: PpoConfig, weight: Tensor | None, parallel: Parallel
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of one mini-batch, and its parts by name.

    ``L = L_clip + c_bound L_bound - c_entropy H + c_reg L_reg + c_critic L_critic``

    Args:
        weight: of means over sampled actions, see `_sampled_weights`.
    """
    # critic: error of V(s) to the TD(lambda) return
    value_loss = critic_loss(network.value(mini_batch.obs), mini_batch.target, config.critic_loss_type)
    # log r = log pi_new(a|s) - log pi_old(a|s)
    mean, log_std = network.decide(mini_batch.obs)
    log_ratio = distribution.log_prob(mean, log_std, mini_batch.action) - mini_batch.log_prob
    advantage = mini_batch.advantage
    # mean actions, taken instead of sampled ones, say nothing about the gradient of the policy
    if mini_batch.sampled is not None:
        log_ratio, advantage = log_ratio[mini_batch.sampled], advantage[mini_batch.sampled]
    # PPO's clipped surrogate; without any sampled action a constant 0 that still has a gradient
    if len(advantage):
        surrogate = clipped_surrogate(log_ratio, advantage, config.ppo_clip_ratio)
    else:
        surrogate = mean.sum() * 0.0
    if weight is not None:
        surrogate = weight * surrogate
    actor = surrogate
    parts = {"actor": surrogate, "critic": value_loss}
    # penalty on mean actions outside -1..1: sum_j max(|mu_j| - 1, 0)^2
    if config.action_bound_weight:
        parts["bound"] = distribution.bound_excess(mean).mean()
        actor = actor + config.action_bound_weight * parts["bound"]
    # entropy bonus
    if config.action_entropy_weight:
        parts["entropy"] = distribution.entropy(log_std).mean()
        actor = actor - config.action_entropy_weight * parts["entropy"]
    # L2 penalty on mean actions: sum_j mu_j^2
    if config.action_reg_weight:
        parts["reg"] = mean.square().sum(dim=-1).mean()
        actor = actor + config.action_reg_weight * parts["reg"]
    # advantages of an inaccurate critic mislead: then only the critic learns. Source: see parc_motion.published
    if config.critic_loss_gate is not None:
        gate = value_loss.detach() / parallel.size
        parallel.sum_([gate])
        actor = actor * (gate <= config.critic_loss_gate)
    with torch.no_grad():
        change = _policy_change(log_ratio, config.ppo_clip_ratio)
        parts |= change if weight is None else {name: weight * value for name, value in change.items()}
    return actor + config.critic_loss_weight * value_loss, parts


def _policy_change(log_ratio: Tensor, clip: float) -> dict[str, Tensor]:
    """KL divergence, share of clipped ratios, mean ratio; without samples those of an unchanged policy."""
    if not len(log_ratio):
        return {"kl": log_ratio.sum(), "clip_fraction": log_ratio.sum(), "imp_ratio": log_ratio.sum() + 1.0}
    ratio = log_ratio.clamp_max(MAX_LOG_RATIO).exp()
    return {
        "kl": approx_kl(log_ratio),
        "clip_fraction": ((ratio - 1.0).abs() > clip).float().mean(),
        "imp_ratio": ratio.mean(),
    }
