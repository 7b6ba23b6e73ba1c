"""Two processes train what one does. This file is also the script of each of them."""

import json
import pathlib
import sys

import attrs
import pytest
import torch

from parc_core.errors import ConfigError, TrainingDiverged
from parc_core.interfaces import Parallel, Stopped
from parc_mdm.config import MdmConfig
from parc_mdm.draws import Rows, choose, dropout_from, rand, randint, randn
from parc_mdm.generator import MdmGenerator
from parc_mdm.train import Trainer
from parc_motion.clips import MotionDataset
from parc_motion.skeletons import load_skeleton
from parc_testing.context import make_context
from parc_testing.contracts.generator import tiny_dataset
from parc_testing.processes import join_processes, run_processes

STOP = 4  # of 6 steps
# 5 rows do not divide evenly; all that draws random numbers is on
OPTIONS = {
    "batch_size": 5,
    "dropout": 0.1,
    "history_drift": 0.03,
    "history_noise": 0.1,
    "validation_share": 0.5,
    "lr_decay": "cosine",
    "losses": {"collision": 15.0, "target": 0.02},
}


def train(
    folder: pathlib.Path,
    data: pathlib.Path,
    parallel: Parallel,
    steps: int | None = None,
    *,
    diverge: bool = False,
) -> None:
    """Train, or go on, in a folder; stop after a number of steps. Weights and losses are kept per process.

    Args:
        diverge: the fifth step does so, once.
    """
    asked = iter([False] * (steps or 1000) + [True])
    context = make_context(folder, should_stop=lambda: next(asked))
    context = attrs.evolve(context, parallel=parallel)
    generator = MdmGenerator(
        MdmConfig.preset("tiny", mirror=False, **OPTIONS), skeleton=load_skeleton(), device="cpu"
    )
    losses: list[float] = []
    step = Trainer.step

    def watched(self):
        if diverge and self.iteration == 4 and self.went_back is None:
            raise TrainingDiverged("step 5 (a test)")
        losses.append(float(loss := step(self)))
        return loss

    Trainer.step = watched
    try:
        generator.fit(MotionDataset.load(data), context)
    except Stopped:
        assert steps is not None
    finally:
        Trainer.step = step
    weights = torch.cat([p.detach().flatten() for p in generator.model.denoiser.parameters()])
    rows = [[step, values] for step, values in context.metrics.rows]
    kept = {"losses": losses, "weights": weights.tolist(), "rows": rows}
    (folder / f"kept_{parallel.rank}.json").write_text(json.dumps(kept))


def main() -> None:
    parallel, (folder, data) = join_processes(sys.argv)
    where = pathlib.Path(folder)
    train(where / "two", pathlib.Path(data), parallel)
    train(where / "two_then_one", pathlib.Path(data), parallel, STOP)
    train(where / "one_then_two", pathlib.Path(data), parallel)
    train(where / "two_back", pathlib.Path(data), parallel, diverge=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder with the trainings: by one process, by two, and by one after the other."""
    folder = tmp_path_factory.mktemp("parallel")
    data = folder / "data.yaml"
    tiny_dataset(folder / "clips").save(data)
    for name in ("one", "two", "two_then_one", "one_then_two", "one_back", "two_back"):
        (folder / name).mkdir()
    train(folder / "one", data, Parallel())
    train(folder / "one_then_two", data, Parallel(), STOP)
    train(folder / "one_back", data, Parallel(), diverge=True)
    run_processes(__file__, 2, folder, data)
    train(folder / "two_then_one", data, Parallel())
    return folder


def kept(folder: pathlib.Path, rank: int = 0) -> dict:
    return json.loads((folder / f"kept_{rank}.json").read_text())


def test_losses_and_weights_are_those_of_one_process(trained):
    one, two = kept(trained / "one"), kept(trained / "two")
    assert len(one["losses"]) == 6
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-4)
    # Adam turns rounding of a tiny gradient into a part of a step of 1e-3; six steps, averaged
    assert two["weights"] == pytest.approx(one["weights"], abs=1e-3)
    close = [abs(a - b) < 2e-5 for a, b in zip(one["weights"], two["weights"])]
    assert sum(close) > 0.99 * len(close)


def test_both_processes_hold_the_same_bits(trained):
    first, second = kept(trained / "two"), kept(trained / "two", 1)
    assert first["weights"] == second["weights"] and first["losses"] == second["losses"]


def test_processes_go_back_together(trained):
    one, two = kept(trained / "one_back"), kept(trained / "two_back")
    assert len(one["losses"]) == 3 + 1 + 3  # a step is taken back
    assert one["losses"][3] == one["losses"][4]
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-4)
    assert two["weights"] == kept(trained / "two_back", 1)["weights"]


def test_metrics_are_those_of_one_process(trained):
    one, two = kept(trained / "one"), kept(trained / "two")
    for (step, values), (other_step, others) in zip(one["rows"], two["rows"], strict=True):
        assert step == other_step and others == pytest.approx(values, rel=1e-3)


@pytest.mark.parametrize("name", ["two_then_one", "one_then_two"])
def test_training_continues_with_another_number_of_processes(trained, name):
    one, switched = kept(trained / "one"), kept(trained / name)
    assert switched["losses"] == pytest.approx(one["losses"][STOP:], rel=1e-4)
    assert switched["weights"] == pytest.approx(one["weights"], abs=1e-3)
    assert switched["rows"][-1][1] == pytest.approx(one["rows"][-1][1], rel=1e-3)


def test_rows_of_two_processes_are_the_numbers_of_one():
    def draw(source, count):
        numbers = {
            "rand": rand(count, 3, source=source, device="cpu"),
            "columns": rand(4, count, source=source, device="cpu", axis=1).T,
            "randn": randn(count, 2, source=source, device="cpu"),
            "randint": randint(0, 1000, count, source=source, device="cpu"),
            "choice": choose(torch.tensor([0.2, 0.3, 0.5]), count, source=source),
        }
        x = torch.ones(count, 4, 6, 8)
        with dropout_from(source, torch.device("cpu")):
            numbers["dropout"] = torch.nn.functional.dropout(x, 0.5, True)
            q = torch.linspace(-1.0, 1.0, 48).view(6, 8).expand(count, 4, 6, 8)
            mask = (torch.arange(6) > 0).expand(count, 1, 1, 6)
            numbers["attention"] = torch.nn.functional.scaled_dot_product_attention(
                q, q, q, attn_mask=mask, dropout_p=0.3
            )
        return numbers

    whole = draw(torch.Generator().manual_seed(1), 7)
    shares = [Parallel(rank=rank, size=2).share(7) for rank in (0, 1)]
    parts = [
        draw(Rows(stream=torch.Generator().manual_seed(1), total=7, rows=rows), rows.stop - rows.start)
        for rows in shares
    ]
    assert whole["dropout"].unique().tolist() == [0.0, 2.0]
    for name, numbers in whole.items():
        torch.testing.assert_close(torch.cat([part[name] for part in parts]), numbers, msg=name)


def test_batch_smaller_than_the_number_of_processes_is_refused(tmp_path):
    generator = MdmGenerator(MdmConfig.preset("tiny", batch_size=2), skeleton=load_skeleton(), device="cpu")
    context = attrs.evolve(make_context(tmp_path), parallel=Parallel(rank=0, size=3))
    with pytest.raises(ConfigError) as caught:
        generator.fit(tiny_dataset(tmp_path / "data"), context)
    assert str(caught.value) == (
        "generator mdm: batch_size is 2, too few for 3 processes. Raise it, or lower train_gen.processes."
    )


if __name__ == "__main__":
    main()
