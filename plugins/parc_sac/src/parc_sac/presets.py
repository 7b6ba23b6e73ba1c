"""Presets of the agent: settings that differ from the defaults, as an iteration file spells them."""

from __future__ import annotations

from typing import Any

__all__ = ["LAPTOP", "LAPTOP_FINE_TUNING", "TINY"]

LAPTOP: dict[str, Any] = {
    "overlap": True,
    "steps_per_iter": 2,
    "updates_per_iter": 8,
    "batch_size": 256,
    "replay_size": 262_144,
    "discount": 0.92,
    "n_steps": 3,
    "tau": 0.1,
    "policy_delay": 2,
    "target_values": "min",
    "init_alpha": 0.01,
    "max_samples": 400_000,
    "iters_per_output": 40,
    "iters_per_checkpoint": 400,
    "eval_every_iters": 200,
    "eval_survival_frames": 15,
    "eval_perturbed": 2,
    "average_decay": 0.98,
    "select": "best",
    "model": {"actor_units": [256, 256], "critic_units": [256, 256], "critic_action_scale": 12.0},
    "optimizer": {
        "learning_rate": 1e-3,
        "alpha_learning_rate": 3e-3,
        "final_fraction": 0.2,
        "weight_decay": 0.0,
    },
}

LAPTOP_FINE_TUNING: dict[str, Any] = {
    **LAPTOP,
    "optimizer": {**LAPTOP["optimizer"], "learning_rate": 5e-4},
}

TINY: dict[str, Any] = {
    **LAPTOP,
    "updates_per_iter": 2,
    "batch_size": 64,
    "replay_size": 2048,
    "learning_starts": 64,
    "max_samples": 1024,
    "iters_per_output": 4,
    "iters_per_checkpoint": 16,
    "eval_every_iters": 0,
    "eval_survival_frames": 0,
    "eval_perturbed": 0,
    "model": {**LAPTOP["model"], "actor_units": [32, 32], "critic_units": [32, 32], "num_atoms": 21},
}
