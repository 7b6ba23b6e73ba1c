"""Presets of the agents: settings that differ from the defaults, as an iteration file spells them."""

from __future__ import annotations

from typing import Any

__all__ = ["LAPTOP", "LAPTOP_FINE_TUNING", "PAPER", "TINY"]

LAPTOP: dict[str, Any] = {
    "overlap": True,
    "steps_per_iter": 16,
    "update_epochs": 4,
    "batch_size": 512,
    "norm_adv_clip": 5.0,
    "max_grad_norm": 1.0,
    "obs_clip": 5.0,
    "exp_prob_end": 1.0,
    "max_samples": 1_000_000,
    "iters_per_output": 5,
    "iters_per_checkpoint": 50,
    "normalizer_warmup_steps": 16,
    "eval_every_iters": 50,
    "eval_survival_frames": 15,
    "eval_perturbed": 2,
    "average_decay": 0.95,
    "select": "best",
    "model": {
        "actor_net": "mlp_256_256",
        "critic_net": "mlp_256_256",
        "activation": "elu",
        "actor_std_type": "FIXED",
        "action_std": 0.25,
    },
    "optimizer": {"type": "adam", "learning_rate": 5e-4, "final_fraction": 0.3},
}

LAPTOP_FINE_TUNING: dict[str, Any] = {
    **LAPTOP,
    "optimizer": {**LAPTOP["optimizer"], "learning_rate": 2e-4},  # larger steps make a good policy worse
}

PAPER: dict[str, Any] = {
    "discount": 0.99,
    "steps_per_iter": 32,
    "batch_size": 8192,  # 4 per environment, 2048 environments
    "norm_adv_clip": 4.0,
    "critic_loss_weight": 10.0,
    "action_bound_weight": 10.0,
    "critic_loss_gate": 20.0,
    "exp_prob_end": 1.0,
    "max_grad_norm": 1000.0,
    "obs_clip": 10.0,
    "normalizer_samples": 300_000_000,
    "max_samples": 10_000_000_000,
    "iters_per_output": 100,
    "iters_per_checkpoint": 200,
    "test_episodes": 16,
    "bootstrap_success": False,
    "model": {
        "actor_net": "mlp_2048_1024_512",
        "critic_net": "mlp_2048_1024_512",
        "activation": "relu",
        "actor_std_type": "FIXED",
        "action_std": 0.05,
    },
    "optimizer": {"type": "sgd", "learning_rate": 5e-5, "final_fraction": 1.0, "momentum": 0.9},
}

TINY: dict[str, Any] = {
    **LAPTOP,
    "steps_per_iter": 8,
    "update_epochs": 2,
    "batch_size": 128,
    "max_samples": 1024,
    "iters_per_output": 2,
    "iters_per_checkpoint": 4,
    "normalizer_warmup_steps": 8,
    "eval_every_iters": 0,
    "eval_survival_frames": 0,
    "eval_perturbed": 0,
    "model": {**LAPTOP["model"], "actor_net": "mlp_32_32", "critic_net": "mlp_32_32"},
}
