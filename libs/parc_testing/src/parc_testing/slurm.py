"""A Slurm of one node on this machine, from the installed programs, in a folder of its own."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable

__all__ = ["Cluster", "missing"]

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")


def missing() -> str:
    """Why there can be no cluster here; empty if there can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: slurmctld slurmd munge)"
    return "" if os.geteuid() == 0 else "slurmd needs to be started by root"


class Cluster:
    """Starts the daemons; `stop` ends them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        for name in ("state", "spool", "munge"):
            (folder / name).mkdir(parents=True)
        (folder / "munge").chmod(0o700)
        key = folder / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        host = socket.gethostname().partition(".")[0]
        ports = [_free_port() for _ in range(2)]
        self.conf = folder / "slurm.conf"
        self.conf.write_text(
            f"""ClusterName=parctest
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=5
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName={host} CPUs=2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
        )
        munge = folder / "munge"
        self._start(
            "munged", "--foreground", f"--key-file={key}", f"--socket={munge}/socket", f"--pid-file={munge}/pid",
            f"--log-file={munge}/log", f"--seed-file={munge}/seed", "--force",
        )  # fmt: skip
        self._wait(lambda: (munge / "socket").exists(), "munged")
        self._start("slurmctld", "-D", "-f", str(self.conf))
        self._start("slurmd", "-D", "-f", str(self.conf))
        self._wait(lambda: "idle" in self.call("sinfo", "-h", "-o", "%t"), "slurmd")

    def call(self, *command: str) -> str:
        """Output of one of Slurm's commands."""
        environ = {**os.environ, "SLURM_CONF": str(self.conf)}
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False).stdout

    def stop(self) -> None:
        """End all jobs and daemons."""
        self.call("scancel", "--user=root")
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, *command: str) -> None:
        environ = {**os.environ, "SLURM_CONF": str(self.conf)}
        with (self.folder / f"{command[0]}.out").open("w") as out:
            self.processes.append(subprocess.Popen(command, env=environ, stdout=out, stderr=out))

    def _wait(self, ready: Callable[[], bool], name: str) -> None:
        until = time.monotonic() + 30
        while not ready():
            if time.monotonic() > until:
                logs = [
                    f"{path.name}: {path.read_text()[-1500:]}" for path in self.folder.glob("*.[lo][ou][gt]")
                ]
                self.stop()
                raise RuntimeError(f"{name} did not start:\n" + "\n".join(logs))
            time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
