"""Stage 2: generate motions over new terrain, a batch a job.

Terrain, path, candidates, selection, then refinement of the whole batch at once. Each motion has its own random stream,
so a batch that was cut off keeps the motions it had and makes the others as it would have.
"""

from __future__ import annotations

import collections
import functools
import pathlib
import re
from typing import Any

import attrs
import numpy as np

from parc_core.config import dump
from parc_core.errors import NoPathFound
from parc_core.interfaces import Generator, IterationFolder, Refined, Scored, Stopped
from parc_core.stages import train_gen
from parc_core.stages.begun import prepared_as_begun
from parc_core.stages.context import RunContext
from parc_core.stages.given import given_generator
from parc_core.stages.job import Job, carry_out
from parc_core.stages.manifests import entry_of, write_manifest
from parc_core.stages.record import JobRecord
from parc_motion import storage
from parc_motion.clips import (
    DatasetEntry,
    MotionClip,
    MotionDataset,
    Provenance,
    action_class,
    load_clip,
    mirror_clip,
    save_clip,
)
from parc_motion.stopping import stop_point
from parc_motion.storage import digest_file
from parc_motion.terrains import Path, Terrain

__all__ = ["STAGE", "batch_folders", "first_motion_id", "job", "motion_ids", "run_batch"]

STAGE = "kin_gen"
_RAW = "raw"  # in a folder at work: what the generator proposed
_COUNTS_FORMAT = 2  # earlier ones had no number and were not sealed


def motion_ids(run: RunContext) -> list[range]:
    """Numbers of the motions of each batch of this iteration.

    They go on from `motion_id_offset`, the numbers in the data set and those of earlier iterations, so that no two
    clips of a run share a name. Batches that are there keep their numbers, also where the settings changed since; the
    iteration gets no further ones once its tracker is trained on them.
    """
    settings = run.config.kin_gen
    there = [] if run.folder.kin_gen in run.gone else _batches_there(run.folder, settings.save_name)
    first, size = first_motion_id(run), settings.motions_per_batch
    regular = [range(first + k * size, first + (k + 1) * size) for k in range(settings.batches)]
    if there and run.folder.train_tracker not in run.gone and _has_trained_on_generated(run.folder):
        return there
    if all(numbers in regular for numbers in there):
        return regular
    end = max(numbers.stop for numbers in there)
    further = max(settings.batches - len(there), 0)
    return there + [range(end + k * size, end + (k + 1) * size) for k in range(further)]


def first_motion_id(run: RunContext) -> int:
    """Number of the first motion that this iteration generates."""
    settings = run.config.kin_gen
    taken = [settings.motion_id_offset - 1]
    if run.iteration > 1:
        before = attrs.evolve(run, iteration=run.iteration - 1)
        taken.append(motion_ids(before)[-1].stop - 1)
    dataset = _latest_dataset(run)
    if dataset is not None:
        taken.append(_largest_id(dataset, storage.file_state(dataset), settings.save_name))
    return max(taken) + 1


@functools.lru_cache(maxsize=1024)
def _largest_id(dataset: pathlib.Path, state: tuple[int, ...], save_name: str) -> int:
    """The largest number of a motion among the inputs, -1 if there is none; each list is read once.

    What a run has recorded itself has the numbers of its earlier iterations.
    """
    pattern = re.compile(rf"{re.escape(save_name)}_(\d+)_.*")
    inputs = (one.name for one in MotionDataset.load(dataset).entries if one.origin == "input")
    return max((int(match[1]) for name in inputs if (match := pattern.fullmatch(name))), default=-1)


def _latest_dataset(run: RunContext) -> pathlib.Path | None:
    """The manifest of this iteration's data set, or where it is not there yet that of one before: it has the inputs."""
    manifests = (run.run_folder.iteration(number).dataset for number in range(run.iteration, 0, -1))
    return next((file for file in manifests if file.is_file()), None)


def _has_trained_on_generated(iteration: IterationFolder) -> bool:
    motions = iteration.tracker_motions
    return motions.is_file() and _lists_generated(motions, storage.file_state(motions))


@functools.lru_cache(maxsize=1024)
def _lists_generated(motions: pathlib.Path, state: tuple[int, ...]) -> bool:
    return any(one.origin == "generated" for one in MotionDataset.load(motions).entries)


def _batches_there(iteration: IterationFolder, save_name: str) -> list[range]:
    """Numbers of the motions of finished and begun batches, in order."""
    pattern = re.compile(rf"{re.escape(save_name)}_(\d+)_(\d+)(\.partial)?")
    found = (pattern.fullmatch(path.name) for path in iteration.kin_gen.glob(f"{save_name}_*"))
    batches = {range(int(match[1]), int(match[2]) + 1) for match in found if match}
    return sorted(batches, key=lambda numbers: numbers.start)


def generator_of(run: RunContext) -> tuple[pathlib.Path, str]:
    """Folder and digest of the generator that makes the motions: the iteration's, or that at `generator_path`.

    Raises:
        DataError: it is not trained yet, or there is none at the path.
    """
    given = run.config.kin_gen.generator_path
    if given is None:
        return train_gen.trained_generator(run)
    folder = given_generator("kin_gen.generator_path", given)
    return folder, storage.manifest_digest(folder, "generator")


def job(run: RunContext, ids: range) -> Job:
    """The job of the batch of these motions."""
    settings = run.config.kin_gen
    _, generator_digest = generator_of(run)
    uses: dict[str, Any] = {
        "generator": ("generator", run.config.train_gen.generator),
        "planner": ("planner", settings.planner),
        "selector": ("selector", settings.selector),
        "optimizer": ("optimizer", settings.optimizer),
    }
    uses |= {f"terrain.{i}": ("terrain_source", use) for i, use in enumerate(settings.terrain)}
    names = ("candidates", "keep", "max_tries_per_motion", "mirror", "save_name")
    plain: dict[str, Any] = {name: getattr(settings, name) for name in names}
    folder = run.folder.batch(settings.save_name, ids.start, ids.stop - 1)
    more = ("candidates", "max_tries_per_motion")
    return run.job(
        STAGE,
        folder,
        uses,
        extending=more,
        scratch=(_RAW,),
        model=generator_digest,
        motion_ids=[ids.start, ids.stop],
        **plain,
    )


def batch_folders(run: RunContext) -> list[pathlib.Path]:
    """The batches of this iteration, those that are still to be made included."""
    name = run.config.kin_gen.save_name
    return [run.folder.batch(name, ids.start, ids.stop - 1) for ids in motion_ids(run)]


def run_batch(run: RunContext, batch: int, ids: range) -> JobRecord:
    """Generate one batch, or continue it, or skip it.

    Args:
        batch: which one, counted from 0.
        ids: its motions, see `motion_ids`.

    Raises:
        Held: another process works on it.
    """
    folder = run.folder.batch(run.config.kin_gen.save_name, ids.start, ids.stop - 1)
    prepared = prepared_as_begun(run, folder, lambda run: (job(run, ids), None))
    if isinstance(prepared, JobRecord):
        return prepared
    run, work, _ = prepared
    return carry_out(work, lambda: _generate(run, work, batch, ids))


def _generate(run: RunContext, work: Job, batch: int, ids: range) -> JobRecord:
    with work.attempt() as folder:
        storage.write_json(folder / "kin_gen.yaml", {"kin_gen": dump(run.config.kin_gen), "batch": batch})
        maker = _Maker(run)
        counts: collections.Counter[str] = collections.Counter()
        for number, motion_id in enumerate(ids):
            note = f"batch {batch}, motion {number + 1}/{len(ids)}"
            run.reporter.update(STAGE, number, len(ids) + 1, note)
            counts.update(maker.make(motion_id, folder / _RAW))
            if run.should_stop():
                raise Stopped
        outcomes, known = _refine(run, folder, len(ids))
    raw = run.folder.raw(work.folder)
    storage.remove(raw)  # left by an attempt that was cut off here
    storage.link_folder(storage.make_folder(folder / _RAW), raw)
    rejected = {k: v for k, v in sorted(counts.items()) if k not in ("kept", "candidates")}
    summary = {"in": counts["candidates"], "out": counts["kept"], "rejected": rejected, "refined": outcomes}
    return work.commit(summary, known, outside=sorted(raw.iterdir()))


class _Maker:
    """Makes motions one terrain at a time: the providers of the stage, ready to work."""

    def __init__(self, run: RunContext) -> None:
        settings = run.config.kin_gen
        create, common = run.registry.create, dict[str, Any](skeleton=run.skeleton, device=run.device)
        self.run, self.settings = run, settings
        self.seeds = run.seeds(STAGE)
        folder, self.model_digest = generator_of(run)
        self.generator: Generator = create("generator", run.config.train_gen.generator, **common)
        self.generator.restore(folder)
        self.sources = [create("terrain_source", use) for use in settings.terrain]
        share = np.array([use.weight for use in settings.terrain], dtype=float)
        self.share = share / share.sum()
        self.planner = create("planner", settings.planner)
        self.selector = create("selector", settings.selector, **common)

    def make(self, motion_id: int, raw: pathlib.Path) -> dict[str, int]:
        """Make the clips of one motion and write them into `raw`; counts of what happened on the way.

        The counts are kept beside the clips, so a motion that was made before a crash is not made again.
        """
        log_file = raw / f"{self.settings.save_name}_{motion_id}.json"
        if log_file.is_file():
            return storage.read_sealed(log_file, since_format=_COUNTS_FORMAT)["counts"]
        counts: collections.Counter[str] = collections.Counter()
        kept: list[Scored] = []
        for attempt in range(self.settings.max_tries_per_motion):
            rng = self.seeds.numpy("motion", id=motion_id, attempt=attempt)
            terrain, path = self._ground(rng, counts)
            if path is None:
                continue
            stop_point()
            candidates = self.generator.propose(terrain, path, self.settings.candidates, rng)
            counts["candidates"] += len(candidates)
            stop_point()
            scored = self.selector.select(candidates, terrain, path)
            for one in scored:
                counts.update({_category(reason): 1 for reason in one.rejected[:1]})
            accepted = [one for one in scored if one.accepted]
            kept = accepted[: self.settings.keep]
            counts["not among the best"] += len(accepted) - len(kept)
            if kept:
                break
        for rank, one in enumerate(kept):
            name = f"{self.settings.save_name}_{motion_id}_{rank}"
            save_clip(raw / f"{name}.npz", self._labeled(one, name))
        counts["kept"] += len(kept)
        counts["motions without a clip"] += not kept
        result = {name: count for name, count in counts.items() if count}
        storage.write_sealed(log_file, {"format": _COUNTS_FORMAT, "counts": result})
        return result

    def _ground(
        self, rng: np.random.Generator, counts: collections.Counter[str]
    ) -> tuple[Terrain, Path | None]:
        source = self.sources[int(rng.choice(len(self.sources), p=self.share))]
        terrain = self.planner.prepare(source.sample(rng), rng)
        try:
            return terrain, self.planner.plan(terrain, rng)
        except NoPathFound:
            counts["no path"] += 1
            return terrain, None

    def _labeled(self, one: Scored, name: str) -> MotionClip:
        use = self.run.config.train_gen.generator
        origin = Provenance(
            stage=STAGE,
            provider=use.name,
            seed=self.run.config.seed,
            parents=(self.model_digest,),
            scores={key: float(value) for key, value in {**one.scores, "total": one.total}.items()},
            notes=one.clip.provenance.notes,
        )
        return attrs.evolve(one.clip, name=name, motion_class="", provenance=origin)


def _refine(run: RunContext, folder: pathlib.Path, total: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Refine every raw clip of the batch and write the results: a row for each, and digests by name in the folder."""
    settings = run.config.kin_gen
    files = sorted((folder / _RAW).glob("*.npz"), key=lambda file: _natural(file.stem))
    if not files:
        return [], {}
    optimizer = run.registry.create("optimizer", settings.optimizer, skeleton=run.skeleton, device=run.device)

    def report(done: float, whole: float, note: str) -> None:
        run.reporter.update(STAGE, total + done / max(whole, 1e-9), total + 1, f"refine: {note}")
        stop_point()

    results = optimizer.refine([load_clip(file) for file in files], report)
    rows = []
    entries: list[DatasetEntry] = []
    batch = folder.name.removesuffix(".partial")
    for file, result in zip(files, results, strict=True):
        stop_point()
        clip = _refined_clip(result, settings.optimizer.name, digest_file(file))
        clip = attrs.evolve(clip, motion_class=action_class(clip, run.skeleton))
        saved = [(clip, folder / f"{clip.name}.npz")]
        if settings.mirror:
            flipped = mirror_clip(clip, run.skeleton)
            saved.append((flipped, folder / "flipped" / f"{flipped.name}.npz"))
        entries += [entry_of(one, path, save_clip(path, one), batch) for one, path in saved]
        rows.append({"clip": clip.name, **attrs.asdict(result, filter=lambda a, _: a.name != "clip")})
    storage.write_json(folder / "refined.json", _finite(rows))
    known = write_manifest(folder, entries)
    return [{"clip": row["clip"], "unresolved": list(row["unresolved"])} for row in rows], known


def _refined_clip(result: Refined, optimizer: str, parent: str) -> MotionClip:
    origin = result.clip.provenance
    origin = attrs.evolve(
        origin, parents=(*origin.parents, parent), notes={**origin.notes, "optimizer": optimizer}
    )
    return attrs.evolve(result.clip, name=f"{result.clip.name}_opt", provenance=origin)


def _category(reason: str) -> str:
    """The first words of a reason: 'penetration 9.1 > 8' counts as 'penetration'."""
    words = []
    for word in reason.split():
        if not word.replace("_", "").isalpha():
            break
        words.append(word)
    return " ".join(words) or reason


def _natural(name: str) -> list[Any]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in name.split("_")]


def _finite(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return float(value) if isinstance(value, float | np.floating) else value

    return [plain(row) for row in rows]
