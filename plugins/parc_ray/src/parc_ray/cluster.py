"""The connection of this process to Ray."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import signal
import socket
import threading
from collections.abc import Mapping
from typing import Any

from parc_core.errors import ConfigError, ProviderUnavailable
from parc_ray.config import RayConfig

__all__ = ["check_installed", "connect", "slots"]

_LOCAL = "local"
_CONNECT_S = 10.0
_made_to: list[str] = []  # the address of the connection that `connect` made, if it did


def check_installed() -> None:
    """Say how to install Ray if it is missing; loads nothing.

    Raises:
        ProviderUnavailable: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise ProviderUnavailable(
            "executor 'ray' of parc-ray cannot work: No module named 'ray'.\n"
            "  to do       pip install 'parc-ray[ray]', or take executor: {use: local}"
        )


def connect(config: RayConfig, threads: int) -> Any:
    """The module `ray`, connected; a connection that this process has already is used.

    One that is made here stays until this process ends or another address is asked for, because starting Ray takes
    seconds and a run calls its executor several times.

    Args:
        threads: CPUs that Ray gets if it is started on this machine.

    Raises:
        ConfigError: no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = config.address or _LOCAL
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ray = importlib.import_module("ray")
    try:
        if ray.is_initialized():
            if not _made_to or _made_to == [address]:
                return ray
            ray.shutdown()
        _check_answers(address)
        options = {"num_cpus": threads, "include_dashboard": False} if address == _LOCAL else {}
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (OSError, RuntimeError, ValueError, ImportError) as err:
        reason = (str(err).strip() or type(err).__name__).splitlines()[0]
        raise ConfigError(
            f"executor.address: {config.address or 'null'}: no connection to Ray: {reason}\n"
            "  to do       start the cluster (ray start --head) or correct the address; null starts Ray on this machine"
        ) from err
    finally:
        if threading.current_thread() is threading.main_thread():
            for (
                number,
                handler,
            ) in handlers.items():  # Ray replaces them, and SIGTERM would end the run at once
                signal.signal(number, handler)
    _made_to[:] = [address]
    return ray


def _check_answers(address: str) -> None:
    # Ray itself tries for minutes
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()


def slots(ray: Any, needed: Mapping[str, float]) -> int:
    """How many jobs fit on the nodes at the same time.

    Args:
        needed: amount by resource, of one job.
    """
    found = 0
    for node in ray.nodes():
        if node["Alive"]:
            found += int(min(node["Resources"].get(name, 0.0) / amount for name, amount in needed.items()))
    return found
