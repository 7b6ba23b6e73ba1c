"""Jobs for machines that do not see the run folder: one file goes there, one comes back.

An exported job is a zip of the part of the run folder that the job reads: settings, records and manifests, the trained
generator or policy, and the clips of a chunk. It is unpacked into a folder, in which the job is carried out like any
other. Files that settings name outside the run folder (terrains, plugins in files) must lie in the same place there.
"""

from __future__ import annotations

import io
import json
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Callable, Iterator

import attrs

from parc_core.config import dump_yaml
from parc_core.errors import ConfigError
from parc_core.interfaces import IterationFolder, JobResult, JobSpec, RunFolder
from parc_core.plugins import Registry
from parc_core.runner.contexts import contexts, prepare
from parc_core.runner.jobs import carry_out
from parc_core.runner.outcome import outcome_of
from parc_core.stages import kin_gen, phys_record
from parc_core.stages.context import Reporter, RunContext
from parc_core.stages.inputs import iteration_dataset
from parc_core.stages.parts import batches, chunk_spec, folder_of, is_finished, job_of
from parc_core.stages.places import PARTS
from parc_core.stages.record import RECORD, JobRecord, differences, read_record
from parc_core.stages.superseded import set_aside
from parc_motion import storage
from parc_motion.clips import MotionDataset
from parc_motion.errors import CorruptArtifact, DataError

__all__ = ["MAX_BYTES", "export_job", "import_folder", "import_result", "pack", "result_of", "run_exported"]

_JOB = "job.json"
MAX_BYTES = (2 << 30) - 1  # of an exported job or a result
_LIMITS = storage.ArchiveLimits(members=65_535, total_bytes=8 << 30)
_MAX_NAME_BYTES = 250  # of a file or folder
_MAX_PATH_CHARS = 1000
_MODEL = "model"  # of a generator or policy that a setting names


def export_job(path: pathlib.Path, stage: str, part: int, iteration: int | None = None) -> bytes:
    """A job with everything that it reads, as a zip.

    Args:
        path: the run folder.
        part: of kin_gen the batch, of phys_record the chunk, counted from 0.
        iteration: counted from 1; None takes the last one of the settings.

    Raises:
        ConfigError: there is no such job.
        DataError: what it needs is not finished yet.
    """
    registry = Registry.discover()
    config, folder = prepare(path, (), registry)
    every = contexts(config, registry, folder, _Quiet())
    if iteration is not None and iteration > len(every):
        raise ConfigError(f"{path}: there is no iteration {iteration}; the run has {len(every)}.")
    run = every[(iteration or len(every)) - 1]
    return pack(run, stage, part)


def pack(run: RunContext, stage: str, part: int) -> bytes:
    """As `export_job`, of an iteration."""
    if stage == kin_gen.STAGE:
        job, files = _batch(run, part)
    elif stage == phys_record.STAGE:
        job, files = _chunk(run, part)
    else:
        raise ConfigError(f"{stage}: only batches of kin_gen and chunks of phys_record are exported.")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_JOB, json.dumps(job.plain()))
        for name, content in files:
            if isinstance(content, pathlib.Path):
                archive.write(content, name)
            else:
                archive.writestr(name, content)
    return packed.getvalue()


def run_exported(
    exported: bytes,
    folder: pathlib.Path,
    reporter: Reporter,
    should_stop: Callable[[], bool],
    threads: int = 0,
) -> JobResult:
    """Unpack a job into a folder and carry it out; if it is finished, `result_of` packs what it made.

    Args:
        folder: an empty folder, or that of an earlier attempt, which continues.
        threads: simulator threads; 0 takes the number in the settings.

    Raises:
        DataError: `exported` is not a job.
    """
    job = _unpack(exported, folder)
    return outcome_of(lambda: carry_out(job, reporter, should_stop, threads), job.name)


def result_of(folder: pathlib.Path) -> bytes:
    """What the finished job in a folder made, as a zip for `import_result`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for place in _finished(folder):
            raw = IterationFolder(place.parent.parent).raw(place)
            for file in sorted(path for one in (place, raw) for path in one.rglob("*") if path.is_file()):
                name = file.relative_to(folder).as_posix()
                if "/checkpoints/" not in name:
                    archive.write(file, name)
    return packed.getvalue()


def import_result(path: pathlib.Path, result: bytes) -> list[str]:
    """Take over what a job made elsewhere; returns the names of the folders that are new here.

    Args:
        path: the run folder.
        result: see `result_of`.

    Raises:
        DataError: it is damaged, or not of this run.
    """
    with tempfile.TemporaryDirectory(dir=path, prefix=".import.tmp-") as place:
        folder = pathlib.Path(place)
        _extract(result, folder)
        if not _finished(folder):
            raise DataError(
                "the archive holds no finished job. Give what `parc job run` wrote: FILE.result.zip."
            )
        return import_folder(path, folder)


def import_folder(path: pathlib.Path, other: pathlib.Path) -> list[str]:
    """Take over the finished batches and chunks in a copy of the run folder; what is finished here stays.

    Raises:
        ConfigError: `path` is not a run folder.
        DataError: a file there differs from its record, or the job was carried out with other settings or inputs.
        Held: a process here works on one of the jobs.
    """
    registry = Registry.discover()
    config, folder = prepare(path, (), registry)
    taken = []
    for run in contexts(config, registry, folder, _Quiet()):
        chunks = range(len(list(phys_record.chunk_manifest(run, 0).parent.glob("chunk_*.yaml"))))
        jobs = [*batches(run), *(chunk_spec(run, number) for number in chunks)]
        for job in jobs:
            target = folder_of(run, job)
            place = other / target.relative_to(folder)
            record = _record_at(place)
            if record is None or is_finished(run, job):
                continue
            changed = differences(record.key_fields, job_of(run, job).key_fields)
            if changed:
                raise DataError(f"{place}: carried out with other settings or inputs: {', '.join(changed)}.")
            _check(place, record)
            _take(run, target, place)
            taken.append(str(target.relative_to(folder)))
    return taken


def _record_at(place: pathlib.Path) -> JobRecord | None:
    """As `read_record`, of a folder that others made."""
    try:
        record = read_record(place)
    except (TypeError, ValueError, AttributeError) as err:
        raise DataError(
            f"{place / RECORD}: not a record of a job: {err!r:.200}. Copy the folder again."
        ) from err
    if record is None:
        return None
    listed = record.files if isinstance(record.files, dict) else {"": None}
    if not isinstance(record.key_fields, dict) or not all(
        isinstance(file, dict) and isinstance(file.get("sha256"), str) for file in listed.values()
    ):
        raise DataError(f"{place / RECORD}: not a record of a job: its fields are of other kinds.")
    raw = os.path.relpath(IterationFolder(place.parent.parent).raw(place), place)
    for name in listed:
        _check_name(name.removeprefix(f"{raw}/"), set())
    return record


def _take(run: RunContext, target: pathlib.Path, place: pathlib.Path) -> None:
    with storage.Lease(run.run_folder.locks, f"{target.parent.name}-{target.name}"):
        for one in (target, target.with_name(f"{target.name}.partial")):
            if one.exists():
                set_aside(one, run.run_folder.superseded)
        raw = IterationFolder(place.parent.parent).raw(place)
        for source, final in ((raw, run.folder.raw(target)), (place, target)):
            if source.is_dir() and not final.exists():
                storage.copy_folder(source, final, skip=("checkpoints",))


def _batch(run: RunContext, part: int) -> tuple[JobSpec, Iterator[tuple[str, pathlib.Path | str]]]:
    jobs = batches(run)
    if part >= len(jobs):
        raise ConfigError(f"{run.run_folder.path}: iteration {run.iteration} has batches 0..{len(jobs) - 1}.")
    generator, _ = kin_gen.generator_of(run)
    given = run.config.kin_gen.generator_path is not None
    config = run.config
    if given:
        config = attrs.evolve(config, kin_gen=attrs.evolve(config.kin_gen, generator_path=_MODEL))

    def files() -> Iterator[tuple[str, pathlib.Path | str]]:
        yield "config.yaml", dump_yaml(config)
        if not given:
            yield from _record_of(run, run.folder.train_gen)
        yield from _folder(generator, _MODEL if given else _name(run, generator))

    return attrs.evolve(jobs[part], run="."), files()


def _chunk(run: RunContext, part: int) -> tuple[JobSpec, Iterator[tuple[str, pathlib.Path | str]]]:
    count = phys_record.begin(run, iteration_dataset(run))
    if part >= count:
        raise ConfigError(
            f"{run.run_folder.path}: iteration {run.iteration} has {count} chunks that are not recorded."
        )
    policy, _ = phys_record.policy_of(run)
    given = run.config.phys_record.policy is not None
    config = run.config
    if given:
        config = attrs.evolve(config, phys_record=attrs.evolve(config.phys_record, policy=_MODEL))
    manifest = phys_record.chunk_manifest(run, part)
    chunk = MotionDataset.load(manifest)

    def files() -> Iterator[tuple[str, pathlib.Path | str]]:
        yield "config.yaml", dump_yaml(config)
        if not given:
            yield from _record_of(run, run.folder.train_tracker)
        yield from _folder(policy.folder, _MODEL if given else _name(run, policy.folder))
        place = pathlib.Path(_name(run, manifest))
        moved = [
            attrs.evolve(entry, file=place.parent / "clips" / f"{number:05d}.npz")
            for number, entry in enumerate(chunk.entries)
        ]
        for before, after in zip(chunk.entries, moved, strict=True):
            yield after.file.as_posix(), before.file
        yield place.as_posix(), MotionDataset(entries=tuple(moved)).text(place.parent)

    job = JobSpec(run=".", iteration=run.iteration, stage=phys_record.STAGE, part=part)
    return job, files()


def _name(run: RunContext, path: pathlib.Path) -> str:
    return path.relative_to(run.run_folder.path).as_posix()


def _record_of(run: RunContext, folder: pathlib.Path) -> Iterator[tuple[str, pathlib.Path]]:
    yield _name(run, folder / RECORD), folder / RECORD


def _folder(folder: pathlib.Path, name: str) -> Iterator[tuple[str, pathlib.Path]]:
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield f"{name}/{file.relative_to(folder).as_posix()}", file


def _unpack(exported: bytes, folder: pathlib.Path) -> JobSpec:
    if not (folder / _JOB).is_file():
        _extract(exported, folder)
    job = JobSpec.read(storage.read_json(folder / _JOB), str(folder / _JOB))
    return attrs.evolve(job, run=str(folder))


def _extract(packed: bytes, folder: pathlib.Path) -> None:
    """Unpack into a folder, after every name was found to lead into it; folders come with their files."""
    with storage.open_archive(packed, "exported job or result", _LIMITS) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        names = {member.filename for member in members}
        for name in names:
            _check_name(name, names)
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                raise DataError(f"{name}: the archive names a file outside of itself. It is not unpacked.")
        for member in sorted(
            members, key=lambda one: one.filename == _JOB
        ):  # the job last: then all is there
            storage.write_bytes(folder / member.filename, _content(archive, member))


def _check_name(name: str, names: set[str]) -> None:
    path = pathlib.PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{name!r:.120}: the archive names a file outside of itself. It is not unpacked.")
    longest = max((len(part.encode(errors="replace")) for part in path.parts), default=0)
    too_long = longest > _MAX_NAME_BYTES or len(name) > _MAX_PATH_CHARS
    if path.as_posix() != name or name == "." or not name.isprintable() or "\\" in name or too_long:
        raise DataError(
            f"{name!r:.120}: the archive holds a name that PARC does not write. It is not unpacked."
        )
    if any(parent.as_posix() in names for parent in path.parents):
        raise DataError(f"{name!r:.120}: the archive holds it within another file. It is not unpacked.")


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    where = f"{member.filename}: damaged in the archive"
    try:
        content = archive.read(member)
    except storage.BROKEN_ARCHIVE as err:
        raise CorruptArtifact(f"{where}: {err!s:.200}. Copy it again.") from err
    if len(content) != member.file_size:
        raise CorruptArtifact(f"{where}: {len(content)} bytes, expected {member.file_size}. Copy it again.")
    return content


def _finished(folder: pathlib.Path) -> list[pathlib.Path]:
    """Finished batches and chunks below a run folder."""
    found = []
    for iteration in RunFolder(folder).iterations():
        found += iteration.batches()
        found += sorted(iteration.path.glob(f"{iteration.phys_record.name}.partial/{PARTS}/chunk_*"))
    return [place for place in found if place.is_dir() and (place / RECORD).is_file()]


def _check(place: pathlib.Path, record: JobRecord) -> None:
    for name, file in record.files.items():
        path = place / name
        if not path.is_file() or storage.digest_file(path) != file["sha256"]:
            raise DataError(
                f"{path}: differs from what {RECORD} says of it; the copy is damaged. Copy it again."
            )


class _Quiet:
    def message(self, stage: str, text: str) -> None:
        pass

    def update(self, stage: str, done: float, total: float, note: str) -> None:
        pass
