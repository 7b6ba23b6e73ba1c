"""Settings of the executor."""

from __future__ import annotations

import attrs

from parc_core.config import setting

__all__ = ["SlurmConfig"]


@attrs.frozen(kw_only=True)
class SlurmConfig:
    """Settings of `slurm`; those that are left out are not passed to sbatch, so the cluster's defaults hold."""

    partition: str | None = setting(None, help="Partition of the jobs.")
    time_limit: str | int | None = setting(
        None, help="Time limit of each job, as sbatch takes it, e.g. '4:00:00' or 30 (minutes)."
    )
    memory: str | None = setting(None, help="Memory of each job, as sbatch takes it, e.g. 8G.")
    cpus_per_task: int = setting(
        1, ge=1, le=4096, help="CPU cores of each job; also its number of simulator threads."
    )
    gpus: int = setting(0, ge=0, le=4096, help="GPUs of each job.")
    account: str | None = setting(None, help="Account that is charged.")
    qos: str | None = setting(None, help="Quality of service.")
    extra: tuple[str, ...] = setting(
        (), help="Further options of sbatch, e.g. --constraint=avx512 or --exclude=node7."
    )
    setup: str = setting("", help="Lines of shell that run before each job, e.g. module load cuda.")
    max_array: int = setting(
        1000,
        ge=1,
        le=1_000_000,
        help="Maximum number of tasks in an array; more jobs become several arrays. See MaxArraySize.",
    )
    max_running: int = setting(
        0, ge=0, le=1_000_000, help="Maximum number of tasks of an array that run at once. 0: no limit."
    )
    stop_s: int = setting(
        120,
        ge=1,
        le=65535,
        unit="s",
        help="How long before the time limit a job is told to write its checkpoint and end. It is submitted again, "
        "and this does not count as a retry.",
    )
    poll_s: float = setting(
        10.0, ge=0.01, le=86400, unit="s", help="Time between looks at the queue and for results."
    )
    retries: int = setting(2, ge=0, le=1000, help="How often a job is tried again after its task died.")
