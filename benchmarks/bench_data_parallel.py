"""Wall time of a training step of the generator in one process and in several, all on this machine's CPU.

Every process has one PyTorch thread and takes its rows of the same batch; gradients travel by Gloo. ``step_p1_b64`` is
a step over 64 windows in one process, ``step_p2_b64`` the same step in two, ``sum_p2`` the part of the latter in which
gradients are added up, waiting included. Wall times say little on a busy machine; ``cpu_p1`` and ``cpu_p2`` are the CPU
time of one of the processes in a step, and what a step would take if every process had a core to itself.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import sys
import tempfile
import time

import attrs
import torch
from bench_generator import fresh, procedural
from measure import Figure, make_parser, report

from parc_core.interfaces import Parallel
from parc_mdm.train import Trainer
from parc_testing.context import make_context
from parc_testing.processes import join_processes, run_processes

_OUT = "times.json"


@attrs.frozen(kw_only=True)
class _TimedSum(Parallel):
    """Notes how long sums take, waiting for the others included."""

    seconds: list[float] = attrs.field(factory=list)

    def sum_(self, tensors):
        """See `Parallel.sum_`."""
        begin = time.perf_counter()
        super().sum_(tensors)
        self.seconds.append(time.perf_counter() - begin)


def main() -> None:
    """Measure and print."""
    parser = make_parser(__doc__, repeat=10)
    parser.add_argument("--preset", choices=("paper", "small"), default="paper")
    parser.add_argument("--batch", type=int, default=64, help="windows of a step (64)")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="numbers of processes (1 2)")
    args = parser.parse_args()
    figures = []
    for count in args.processes:
        with tempfile.TemporaryDirectory() as folder:
            run_processes(__file__, count, folder, args.preset, args.batch, args.repeat, timeout=3600.0)
            found = json.loads((pathlib.Path(folder) / _OUT).read_text())
        figures.append(_figure(f"step_p{count}_b{args.batch}", found["steps"]))
        figures.append(_figure(f"cpu_p{count}", found["cpu"], "ms CPU"))
        if count > 1:
            figures.append(_figure(f"sum_p{count}", found["sums"]))
    report(figures, args.json)


def _figure(name: str, seconds: list[float], unit: str = "ms wall") -> Figure:
    tenths = statistics.quantiles(seconds, n=10)
    return Figure(
        name=name,
        value=1e3 * statistics.median(seconds),
        unit=unit,
        spread=(1e3 * tenths[0], 1e3 * tenths[-1]),
    )


def one_process() -> None:
    """Train a few steps together with the other processes; the main one writes down how long each took."""
    plain, (folder, preset, batch, repeat) = join_processes(sys.argv)
    parallel = _TimedSum(rank=plain.rank, size=plain.size)
    torch.set_num_threads(1)
    model = fresh("float32", preset)
    model = attrs.evolve(model, config=attrs.evolve(model.config, batch_size=int(batch)))
    context = attrs.evolve(make_context(pathlib.Path(folder) / str(plain.rank)), parallel=parallel)
    trainer = Trainer(model, procedural(), context)
    model.denoiser.train()
    steps, sums, cpu = [], [], []
    for number in range(int(repeat) + 1):
        parallel.barrier()
        parallel.seconds.clear()
        begin, cpu_begin = time.perf_counter(), time.process_time()
        trainer.step()
        if number:  # the first one fills caches
            steps.append(time.perf_counter() - begin)
            cpu.append(time.process_time() - cpu_begin)
            sums.append(sum(parallel.seconds))
    if parallel.is_main:
        (pathlib.Path(folder) / _OUT).write_text(json.dumps({"steps": steps, "sums": sums, "cpu": cpu}))


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[1].isdigit():
        one_process()
    else:
        main()
