"""Training: what is measured on the way, what stops it, and that it continues as if nothing had happened."""

import attrs
import pytest
import torch

from parc_core.errors import TrainingDiverged
from parc_core.interfaces import Stopped
from parc_mdm.config import BUILT_IN_LOSSES, MdmConfig
from parc_mdm.generator import MdmGenerator
from parc_mdm.guard import DivergenceGuard
from parc_mdm.objective import Objective
from parc_mdm.train import Trainer, learning_rate
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_motion.storage import read_tensors
from parc_testing.builders import make_clip
from parc_testing.context import make_context
from parc_testing.contracts.generator import tiny_dataset

SKELETON = load_skeleton()
VALIDATING = {"validation_share": 0.5}
EVERY_TERM = {**VALIDATING, "losses": {"collision": 15.0, "target": 0.02}}


def generator(**override) -> MdmGenerator:
    return MdmGenerator(MdmConfig.preset("tiny", mirror=False, **override), skeleton=SKELETON, device="cpu")


def weights(made: MdmGenerator) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in made.model.denoiser.parameters()])


@pytest.fixture
def dataset(tmp_path):
    return tiny_dataset(tmp_path / "data")


def rows(context, group):
    """Values by name of every report that has the group."""
    prefix = f"train_gen/{group}/"
    found = [
        {n[len(prefix) :]: v for n, v in row.items() if n.startswith(prefix)}
        for _, row in context.metrics.rows
    ]
    return [row for row in found if row]


def test_every_term_is_reported_on_training_and_on_held_out_clips(tmp_path, dataset):
    context = make_context(tmp_path)
    generator(**EVERY_TERM).fit(dataset, context)
    terms = set(BUILT_IN_LOSSES) - {"velocities"} | {"total"}
    assert [set(row) for row in rows(context, "loss")] == [terms] * 2
    assert [set(row) for row in rows(context, "validation")] == [terms] * 2


def test_total_is_the_weighted_sum_of_the_terms(tmp_path, dataset):
    context, made = make_context(tmp_path), generator(**EVERY_TERM)
    made.fit(dataset, context)
    for row in rows(context, "loss") + rows(context, "validation"):
        total = sum(getattr(made.config.losses, name) * row[name] for name in row if name != "total")
        assert row["total"] == pytest.approx(total, rel=1e-4)


def test_measuring_does_not_change_the_training(tmp_path, dataset):
    # every second epoch against every epoch, on the same held-out clip
    often, seldom = generator(**VALIDATING), generator(**VALIDATING, validation_epochs=2)
    often.fit(dataset, make_context(tmp_path / "often"))
    context = make_context(tmp_path / "seldom")
    seldom.fit(dataset, context)
    assert weights(often).equal(weights(seldom)) and len(rows(context, "validation")) == 1


def test_held_out_clip_is_not_trained_on(tmp_path):
    # whichever of the two is held out, statistics are those of the other: one speed, not two
    clips = [make_clip(20, name="slow", speed=0.5), make_clip(20, name="fast", speed=2.0)]
    made = generator(validation_share=0.5)
    made.fit(tiny_dataset(tmp_path / "data", clips), make_context(tmp_path))
    assert float(made.model.mean[14, 0]) * 30 / 13 in (
        pytest.approx(0.5, abs=1e-3),
        pytest.approx(2.0, abs=1e-3),
    )


@pytest.mark.parametrize("steps", [1, 5])
def test_interrupted_training_ends_with_the_same_bits(tmp_path, dataset, steps):
    options = {**VALIDATING, "lr_decay": "cosine", "warmup_iters": 2, "dropout": 0.1, "history_drift": 0.03}
    whole, part = make_context(tmp_path / "whole"), make_context(tmp_path / "part")
    first, last = generator(**options), generator(**options)
    first.fit(dataset, whole)
    asked = iter([False] * steps + [True])
    with pytest.raises(Stopped):
        generator(**options).fit(dataset, attrs.evolve(part, should_stop=lambda: next(asked)))
    last.fit(dataset, part)
    assert weights(last).equal(weights(first)) and part.metrics.rows == whole.metrics.rows


def test_generation_uses_the_averaged_weights(tmp_path, dataset, monkeypatch):
    trainers = []
    run = Trainer.run
    monkeypatch.setattr(Trainer, "run", lambda self: (run(self), trainers.append(self)))
    made = generator()
    made.fit(dataset, make_context(tmp_path))
    averaged = torch.cat([mean.flatten() for mean in trainers[0].averaged])
    assert weights(made).equal(averaged) and not made.model.denoiser.training


def test_fine_tuning_may_refit_the_statistics(tmp_path, dataset):
    first = generator()
    first.fit(dataset, make_context(tmp_path / "a"))
    first.save(tmp_path / "saved")
    fast = tiny_dataset(tmp_path / "other", [make_clip(20, name="walk", speed=2.0)])
    kept, refitted = generator(epochs=1), generator(epochs=1, refit_statistics=True)
    for name, made in (("kept", kept), ("refitted", refitted)):
        made.restore(tmp_path / "saved")
        made.fit(fast, make_context(tmp_path / name))
    assert kept.model.mean.equal(first.model.mean) and kept.model.std.equal(first.model.std)
    assert float(refitted.model.mean[14, 0]) == pytest.approx(2.0 * 13 / 30, abs=1e-4)


def test_learning_rate_by_hand():
    config = MdmConfig.preset(
        "tiny",
        learning_rate=1.0,
        epochs=10,
        iters_per_epoch=1,
        warmup_iters=2,
        lr_decay="cosine",
        lr_final_fraction=0.2,
    )
    # half and whole in the warm-up; then 0.2 + 0.8 * (1 + cos(pi k / 8)) / 2: at k = 4 it is 0.6
    assert [learning_rate(config, k) for k in (0, 1, 2, 6)] == pytest.approx([0.5, 1.0, 1.0, 0.6])
    assert learning_rate(config, 10) == pytest.approx(0.2)


def break_loss(monkeypatch, at: int, value: float, term: str = "contacts") -> None:
    """From the given step on, one term has the value, with a gradient."""
    losses, asked = Objective.losses, []

    def broken(self, *streams):
        terms = losses(self, *streams)
        asked.append(True)
        return {**terms, term: terms[term] * 0.0 + value} if len(asked) >= at else terms

    monkeypatch.setattr(Objective, "losses", broken)


def test_training_that_diverges_twice_ends_and_says_what_to_do(tmp_path, dataset, monkeypatch, caplog):
    break_loss(monkeypatch, 5, float("nan"))  # of 2 epochs with 3 steps each
    context = make_context(tmp_path)
    with pytest.raises(TrainingDiverged) as caught:
        generator().fit(dataset, context)
    cause = "the loss is nan; terms that are not a number: contacts"
    assert str(caught.value) == (
        f"train_gen: the training of generator mdm has diverged in step 4 (epoch 2 of 2): {cause}. It had gone back to "
        f"the checkpoint of epoch 1, with half the learning rate, when it diverged in step 5 (epoch 2 of 2): {cause}. "
        "The same command ends here again. Look for clips with wild motion, or begin the stage again with a lower "
        "learning_rate (0.001) or grad_clip (1): --redo train_gen --set train_gen.generator.learning_rate=0.00025"
    )
    assert context.checkpoints.steps() == [0, 1]
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        f"train_gen: the training of generator mdm has diverged in step 5 (epoch 2 of 2): {cause}. It goes back to the "
        "checkpoint of epoch 1, once, and on with half the learning rate."
    ]
    with pytest.raises(
        TrainingDiverged, match=r"has diverged in step 4 .*had gone back to the checkpoint of epoch 1"
    ):
        generator().fit(dataset, context)  # the same command


def diverge_once(monkeypatch, at: int) -> None:
    """The training diverges in the step after `at`, unless it has gone back."""
    step = Trainer.step

    def broken(self):
        if self.iteration == at and self.went_back is None:
            self.guard.look(torch.tensor(float("inf")), torch.tensor(1.0), {"contacts": torch.tensor(1.0)})
            self.guard.check(self.iteration + 1)
        return step(self)

    monkeypatch.setattr(Trainer, "step", broken)


@pytest.mark.parametrize("steps", [4, 5, 9])  # 3, 1 more until it diverges, then 6 more
def test_training_that_goes_back_is_the_same_when_it_is_interrupted(tmp_path, dataset, monkeypatch, steps):
    diverge_once(monkeypatch, 4)
    whole, part = make_context(tmp_path / "whole"), make_context(tmp_path / "part")
    first, last = generator(epochs=3), generator(epochs=3)
    first.fit(dataset, whole)
    asked = iter([False] * steps + [True])
    with pytest.raises(Stopped):
        generator(epochs=3).fit(dataset, attrs.evolve(part, should_stop=lambda: next(asked)))
    last.fit(dataset, part)
    assert weights(last).equal(weights(first)) and part.metrics.rows == whole.metrics.rows
    rates = [
        row["train_gen/learning_rate"] for _, row in whole.metrics.rows if "train_gen/learning_rate" in row
    ]
    assert rates == [0.001, 0.0005, 0.0005]


def test_training_that_is_stopped_again_and_again_goes_back_to_the_same_checkpoint(
    tmp_path, dataset, monkeypatch
):
    diverge_once(monkeypatch, 5)
    whole, part = make_context(tmp_path / "whole"), make_context(tmp_path / "part")
    first, last = generator(epochs=3), generator(epochs=3)
    first.fit(dataset, whole)
    for _ in range(12):
        asked = iter([False, True])
        try:
            last.fit(dataset, attrs.evolve(part, should_stop=lambda asked=asked: next(asked, True)))
            break
        except Stopped:
            last = generator(epochs=3)
    assert weights(last).equal(weights(first))


def test_damaged_checkpoint_is_not_gone_back_to(tmp_path, dataset, monkeypatch):
    context = make_context(tmp_path)
    asked = iter([False] * 4 + [True])
    with pytest.raises(Stopped):
        generator(epochs=4).fit(dataset, attrs.evolve(context, should_stop=lambda: next(asked)))
    (context.checkpoints.folder / "model_0000000001" / "state.json").unlink()
    break_loss(monkeypatch, 1, float("nan"))
    with pytest.raises(TrainingDiverged, match=r"in step 1 .*had gone back to the checkpoint of epoch 0"):
        generator(epochs=4).fit(dataset, context)


def test_weights_that_are_not_finite_are_never_kept(tmp_path, dataset, monkeypatch):
    average, context = Trainer._average, make_context(tmp_path)

    def broken(self):
        average(self)
        self.averaged[0][0] = float("nan")

    monkeypatch.setattr(Trainer, "_average", broken)
    with pytest.raises(
        TrainingDiverged, match=r"in step 3 .*: the weights '.+' are not finite\. It had gone back"
    ):
        generator().fit(dataset, context)
    for store in context.checkpoints.folder.glob("*/tensors.safetensors"):
        read_tensors(store)
    assert context.checkpoints.steps() == [0]


def test_huge_loss_ends_the_training(tmp_path, dataset, monkeypatch):
    break_loss(monkeypatch, 4, 1e12)
    with pytest.raises(
        TrainingDiverged, match=r"the loss is 1e\+12, \d+ times the lowest of an epoch; .*contacts"
    ):
        generator().fit(dataset, make_context(tmp_path))


def test_gradient_that_is_no_number_is_found():
    guard = DivergenceGuard(MdmConfig.preset("tiny"))
    guard.look(torch.tensor(1.0), torch.tensor(float("nan")), {"contacts": torch.tensor(1.0)})
    guard.look(torch.tensor(1.0), torch.tensor(2.0), {"contacts": torch.tensor(1.0)})
    with pytest.raises(TrainingDiverged, match="its gradient's norm is nan; its largest term is contacts, 1"):
        guard.check(7)


def test_sound_training_is_left_alone():
    guard = DivergenceGuard(MdmConfig.preset("tiny"))
    guard.end_epoch(2.0)
    guard.look(torch.tensor(1999.0), torch.tensor(1e9), {})
    guard.check(1)
    assert guard.lowest == 2.0


def test_checkpoint_of_other_settings_is_refused_by_name(tmp_path, dataset):
    context = make_context(tmp_path)
    generator().fit(dataset, context)
    with pytest.raises(DataError) as caught:
        generator(learning_rate=0.1).fit(dataset, context)
    assert str(caught.value) == (
        f"{context.checkpoints.folder}: checkpoint 2 was made with other generator settings: learning_rate is 0.1, "
        "there 0.001. Undo the change, or remove the checkpoints to start again."
    )


def test_more_epochs_continue_from_the_last_checkpoint(tmp_path, dataset):
    whole, context = generator(epochs=4), make_context(tmp_path / "whole")
    whole.fit(dataset, context)
    context = make_context(tmp_path / "longer")
    generator(epochs=2).fit(dataset, context)
    longer = generator(epochs=4)
    longer.fit(dataset, context)
    assert weights(longer).equal(weights(whole))
    with pytest.raises(DataError, match="epochs is 3, there 4"):
        generator(epochs=3).fit(dataset, context)


def test_checkpoint_holds_the_generator_that_the_training_would_end_with(tmp_path, dataset):
    ended, context = generator(epochs=1), make_context(tmp_path / "ended")
    ended.fit(dataset, context)
    context = make_context(tmp_path / "longer")
    longer = generator(epochs=2)
    longer.fit(dataset, context)
    found = generator()
    found.restore(context.checkpoints.folder / "model_0000000001" / "model")
    assert weights(found).equal(weights(ended)) and not weights(found).equal(weights(longer))
    found.restore(context.checkpoints.folder / "model_0000000002" / "model")
    assert weights(found).equal(weights(longer))


def test_checkpoint_of_another_data_set_is_refused(tmp_path, dataset):
    context = make_context(tmp_path)
    generator().fit(dataset, context)
    other = tiny_dataset(tmp_path / "other", [make_clip(20, name="walk")])
    with pytest.raises(DataError, match=r"checkpoint 2 was made on another data set\. Undo the change"):
        generator().fit(other, context)


@pytest.mark.parametrize("form", ["quat", "rot6d", "rotmat", "axis_angle", "expmap"])
def test_every_rotation_form_trains_and_is_restored(tmp_path, dataset, form):
    made = generator(epochs=1, iters_per_epoch=2, rotation=form, velocities=True)
    context = make_context(tmp_path)
    made.fit(dataset, context)
    assert "velocities" in rows(context, "loss")[0]
    made.save(tmp_path / "saved")
    again = MdmGenerator(MdmConfig(), skeleton=SKELETON, device="cpu")
    again.restore(tmp_path / "saved")
    assert again.config.rotation == form and weights(again).equal(weights(made))
