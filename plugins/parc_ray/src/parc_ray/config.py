"""Settings of the executor."""

from __future__ import annotations

import attrs

from parc_core.config import setting

__all__ = ["RayConfig"]


@attrs.frozen(kw_only=True)
class RayConfig:
    """Settings of `ray`."""

    address: str | None = setting(
        None,
        help="Address of the Ray cluster: auto for the one that runs on this machine, host:port, or ray://host:10001 "
        "for a Ray Client server. null starts Ray on this machine for the time of the run.",
    )
    cpus: int = setting(
        1,
        ge=1,
        le=4096,
        help="Number of CPUs that Ray reserves for each job. The job uses as many simulator threads.",
    )
    gpus: float = setting(
        0.0,
        ge=0.0,
        le=4096,
        help="Number of GPUs that Ray reserves for each job. A fraction lets several jobs share a GPU; with 0 jobs do "
        "not see any GPU.",
    )
    memory: float | None = setting(
        None, ge=1e-9, le=1e6, unit="GB", help="Memory that Ray reserves for each job. null reserves none."
    )
    shared_folder: bool = setting(
        True,
        help="Whether all nodes see the run folder under the same path. With false, each job travels to its node with "
        "all files that it reads, and its result travels back.",
    )
    retries: int = setting(
        2,
        ge=0,
        le=1000,
        help="How often a job is tried again after its node was lost, or its worker was killed or hung.",
    )
    stall_timeout_s: float = setting(
        3600.0,
        ge=0.01,
        le=1e8,
        unit="s",
        help="A job without any progress for this long counts as hung: its process is ended and the job tried again.",
    )

    def __attrs_post_init__(self) -> None:
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus is {self.gpus:g}, expected a fraction of one GPU or a whole number")
        if self.address == "":
            raise ValueError("address is empty, expected null, auto, host:port or ray://host:port")

    def resources(self) -> dict[str, float]:
        """What a node must have for one job, in Ray's names; memory in bytes."""
        needed = {"CPU": float(self.cpus), "GPU": self.gpus, "memory": (self.memory or 0.0) * 1e9}
        return {name: amount for name, amount in needed.items() if amount > 0}
