"""`manifest.json`: what the finished work of a run was made with, so that it can be made again."""

from __future__ import annotations

from typing import Any

from parc_core.interfaces import RunFolder
from parc_core.runner.records import finished_jobs
from parc_motion import storage

__all__ = ["write_manifest"]


def write_manifest(run: RunFolder) -> None:
    """Write machines and versions with the names of the jobs that they made, from the records of the jobs."""
    made_with: dict[str, dict[str, Any]] = {}
    for job in finished_jobs(run):
        if job.record is None:
            continue
        facts = {"machine": job.record.machine, "versions": job.record.versions}
        made_with.setdefault(storage.digest_json(facts), {**facts, "jobs": []})["jobs"].append(job.name)
    storage.write_json(run.manifest, {"format": 2, "made_with": list(made_with.values())})
