"""Executor `slurm`: jobs of a run as array jobs of a Slurm cluster."""
