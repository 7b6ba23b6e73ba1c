"""One PPO update: several epochs of mini-batch gradient descent over a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

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
) -> dict[str, float]:
    """Learn from a batch; mean losses by name. A value that is not finite means that the weights are unusable.

    Each epoch visits all samples once, shuffled with `rng`.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    names: tuple[str, ...] = ()
    rows: list[Tensor] = []  # losses of each gradient step; read at the end, so that a GPU need not wait
    epochs = 0
    for _ in range(config.update_epochs):
        # 1. shuffle the samples and go through them in mini-batches
        order = torch.randperm(len(batch.obs), generator=rng, device=batch.obs.device)
        begin = len(rows)
        for mini_batch in batch.mini_batches(order, config.batch_size):
            # 2. gradient of the loss of actor and critic together
            loss, parts = _losses(network, mini_batch, config)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
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


def _losses(network: ActorCritic, mini_batch: Batch, config: PpoConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of one mini-batch, and its parts by name.

    ``L = L_clip + c_bound L_bound - c_entropy H + c_reg L_reg + c_critic L_critic``
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
        actor = actor * (value_loss.detach() <= config.critic_loss_gate)
    with torch.no_grad():
        parts |= _policy_change(log_ratio, config.ppo_clip_ratio)
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
