"""The verb `parc data validate`."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import click

from parc_data.command.options import (
    character_option,
    json_option,
    paths_argument,
    print_json,
    print_table,
    settings_from,
    settings_options,
)
from parc_data.tools.findings import LEVELS, ValidateConfig

if TYPE_CHECKING:
    from parc_data.tools.findings import ClipReport, Finding

__all__ = ["validate"]

_BAD_DATA = 65
_SHOWN_RUNS = 3


@click.command("validate", short_help="report the faults of clips, with frames and values")
@paths_argument
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
@character_option
@settings_options(ValidateConfig)
@json_option
@click.pass_context
def validate(
    ctx: click.Context,
    paths: tuple[pathlib.Path, ...],
    strict: bool,
    character: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Check PATHS (clips, folders, manifests) for faults.

    Errors make a clip unusable, warnings are faults of the motion, notes are worth knowing. The exit code is 0 if
    there is no error (with --strict: and no warning), 65 otherwise.
    """
    from parc_data.tools.find import find_clips
    from parc_data.tools.validate import validate_files
    from parc_motion.skeletons import load_skeleton

    config = settings_from(ValidateConfig, given)
    reports = list(validate_files(find_clips(paths), load_skeleton(character), config))
    counts = {f"{level}s": sum(report.count(level) for report in reports) for level in LEVELS}
    if as_json:
        print_json({"clips": len(reports), **counts, "reports": [_json(report) for report in reports]})
    else:
        _print(reports, counts)
    if counts["errors"] or (strict and counts["warnings"]):
        ctx.exit(_BAD_DATA)


def _json(report: ClipReport) -> dict[str, Any]:
    return {
        "file": report.file,
        "name": report.name,
        "findings": [finding.as_json() for finding in report.findings],
    }


def _print(reports: list[ClipReport], counts: dict[str, int]) -> None:
    rows = [
        [report.name if i == 0 else "", finding.level, finding.check, _frames(finding), finding.text]
        for report in reports
        for i, finding in enumerate(report.findings)
    ]
    if rows:
        print_table(("clip", "level", "check", "frames", "what"), rows)
    clean = sum(not report.findings for report in reports)
    click.echo(
        f"{len(reports)} clips, {clean} without findings; {counts['errors']} errors, {counts['warnings']} warnings, "
        f"{counts['notes']} notes"
    )


def _frames(finding: Finding) -> str:
    shown = [str(a) if a == b else f"{a}-{b}" for a, b in finding.frames[:_SHOWN_RUNS]]
    more = len(finding.frames) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
