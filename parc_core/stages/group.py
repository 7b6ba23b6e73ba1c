"""How the processes of a training find each other, and how those of torchrun learn what there is to train."""

from __future__ import annotations

import datetime
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from parc_core.errors import ConfigError, ProcessLost
from parc_core.interfaces import Parallel, Stopped

if TYPE_CHECKING:
    from torch.distributed import Store, TCPStore

__all__ = [
    "Group",
    "connected_store",
    "device_of",
    "join",
    "leave",
    "local_store",
    "simulator_threads",
    "under_torchrun",
]

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # that torchrun sets
# Whoever started the processes notices when one of them ends; waiting for one that packs a large data set is no error.
_TIMEOUT = datetime.timedelta(days=7)
_HERE = "127.0.0.1"
_POLL = 0.2  # s, between looks at what there is to do


def under_torchrun(environ: Mapping[str, str]) -> bool:
    """Whether torchrun has started this process together with others."""
    return all(environ.get(name) for name in _VARIABLES) and int(environ["WORLD_SIZE"]) > 1


def device_of(device: str, local_rank: int) -> str:
    """The device of a process: GPU number `local_rank` of its machine, or the CPU.

    Raises:
        ConfigError: the machine has fewer GPUs.
    """
    if not device.startswith("cuda"):
        return device
    import torch

    if local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"device: process {local_rank} of this machine needs a GPU of its own, but torch sees "
            f"{torch.cuda.device_count()}. Start fewer processes, or set device: cpu."
        )
    return f"cuda:{local_rank}"


def simulator_threads(setting: int, local_size: int = 1) -> int:
    """Simulator threads of each of `local_size` processes on this machine; by setting 0 they share its cores."""
    return setting or max(1, (os.cpu_count() or 1) // local_size)


def join(store: Store, rank: int, size: int, device: str) -> Parallel:
    """Become process `rank` of `size`; gradients travel by NCCL between GPUs and by Gloo between CPUs."""
    import torch
    import torch.distributed as dist

    backend = "gloo"
    if device.startswith("cuda"):
        torch.cuda.set_device(torch.device(device))
        backend = "cpu:gloo,cuda:nccl"
    try:
        dist.init_process_group(
            backend, store=dist.PrefixStore("parc", store), rank=rank, world_size=size, timeout=_TIMEOUT
        )
    except RuntimeError as err:
        raise ProcessLost(f"process {rank} of {size} cannot reach the others: {err}") from err
    return Parallel(rank=rank, size=size)


def local_store() -> TCPStore:
    """A store for processes of this machine, which nobody else can reach: torch would listen on every interface."""
    import torch.distributed as dist

    with socket.socket() as listener:
        listener.bind((_HERE, 0))
        listener.listen(128)
        port, descriptor = listener.getsockname()[1], listener.detach()
    return dist.TCPStore(
        _HERE, port, is_master=True, wait_for_workers=False, master_listen_fd=descriptor, use_libuv=True
    )


def connected_store(port: int) -> TCPStore:
    """The store of the process of this machine that listens at a port; what travels besides stays here, too."""
    import torch.distributed as dist

    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if sys.platform == "linux" else "lo0")
    return dist.TCPStore(_HERE, port, is_master=False)


def leave() -> None:
    """Close the connections of `join`, if there are any."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


@attrs.define
class Group:
    """The processes that torchrun has started: the main one carries out the run, the others wait for its trainings."""

    parallel: Parallel
    device: str  # of this process
    local_size: int  # number of processes on this machine
    _store: Store
    _count: int = attrs.field(default=0, init=False)  # of trainings so far

    @classmethod
    def of_torchrun(cls, device: str | None, should_stop: Callable[[], bool]) -> Group:
        """The group of this process.

        Args:
            device: "cpu" or "cuda" in the main process, which has read the settings; None in the others.

        Raises:
            Stopped: this process was asked to stop while it waited for the main one.
            ConfigError: this machine has fewer GPUs than processes.
        """
        import torch.distributed as dist

        store, rank, size = next(iter(dist.rendezvous("env://", timeout=_TIMEOUT)))
        if device is None:
            device = _wait(store, "parc/device", should_stop)
        else:
            store.set("parc/device", device)
        own = device_of(device, int(os.environ["LOCAL_RANK"]))
        local_size = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        return cls(join(store, rank, size, own), own, local_size, store)

    def post(self, training: Mapping[str, Any] | None) -> None:
        """Tell the other processes what is trained next (JSON values), or with None that there is nothing more."""
        self._store.set(self._next_key(), json.dumps(training))

    def next_training(self, should_stop: Callable[[], bool]) -> dict[str, Any] | None:
        """What the main process posted next; None: nothing more.

        Raises:
            Stopped: this process was asked to stop.
            ProcessLost: the main process has ended.
        """
        return json.loads(_wait(self._store, self._next_key(), should_stop))

    def _next_key(self) -> str:
        self._count += 1
        return f"parc/training/{self._count}"


def _wait(store: Store, key: str, should_stop: Callable[[], bool]) -> str:
    """The value of a key, when it is there; the store's own waiting would not notice signals."""
    try:
        while not store.check([key]):
            if should_stop():
                raise Stopped
            time.sleep(_POLL)
        return store.get(key).decode()
    except RuntimeError as err:
        raise ProcessLost(f"the main process of the training has ended: {err}") from err
