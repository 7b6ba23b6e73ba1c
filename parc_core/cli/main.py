"""The command `parc`: verbs are imported when they are used, and errors become a message and an exit code.

Exit codes: 0 ok, 2 usage or configuration, 65 bad data, 70 internal, 73 cannot write, 75 locked, 129, 130 and 143
stopped by a signal (SIGHUP, SIGINT, SIGTERM), 141 the reader of the output has closed it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn

import click

import parc_core
from parc_core.cli.streams import give_up
from parc_core.cli.verbs import CoreGroup
from parc_core.errors import describe_error, error_text
from parc_motion.errors import ParcError
from parc_motion.stopping import Stopped

__all__ = ["cli", "main"]

# name -> (where its click command is, one line for `parc --help`); nothing here is imported before it is used
_VERBS = {
    "run": ("parc_core.cli.run:run", "run an iteration file, or continue a run folder"),
    "job": ("parc_core.cli.job:job", "carry out single jobs of a run, for schedulers and other machines"),
    "setup": ("parc_core.cli.setup:setup", "prepare a run, and print the command of every job"),
    "info": ("parc_core.cli.info:info", "what is in a run folder, clip, data set or policy"),
    "verify": ("parc_core.cli.verify:verify", "compare every file of a run with what was recorded"),
    "plugins": ("parc_core.cli.plugins:plugins", "what is installed, and the settings of each provider"),
    "schema": ("parc_core.cli.schema:schema", "JSON Schema of iteration files, for editors"),
}
_STOPPED = 130
_CANNOT_USE = 73
_SHOWN = 20_000  # characters of an error


@click.group(cls=CoreGroup, verbs=_VERBS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    parc_core.__version__,
    prog_name="parc-core",
    message=f"%(prog)s %(version)s (PARC_API {parc_core.PARC_API[0]}.{parc_core.PARC_API[1]})",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error, and log more.")
def cli(debug: bool) -> None:
    """Grow a motion data set for physically simulated characters on terrain."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb and end the process with its exit code."""
    # threads that wait for each other make small matrices up to thirty times slower; read when NumPy is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given[: _verb_index(given)]
    with _signals():
        try:
            code = cli.main(args=given, prog_name="parc", standalone_mode=False)
            sys.stdout.flush()
        except BaseException as err:  # the only place where an error becomes a message and an exit code
            if isinstance(err, SystemExit):
                raise
            if isinstance(err, BrokenPipeError) or (isinstance(err, OSError) and err.errno == errno.EIO):
                give_up(sys.stdout)  # a pipe that nobody reads, a terminal that is gone
                raise SystemExit(141) from None
            raise SystemExit(_report(err, debug)) from None
    raise SystemExit(code if isinstance(code, int) else 0)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and a lost terminal end a verb as Ctrl-C does: it tidies up first; a second signal ends it at once.

    `parc run` stops at safe points instead, see `parc_core.runner.stop`.
    """

    def end(number: int, _: FrameType | None) -> NoReturn:
        for other in handled:
            signal.signal(other, signal.SIG_DFL)
        stopped = Stopped()
        stopped.exit_code = 128 + number
        raise stopped

    handled: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:  # `nohup` has SIGHUP ignored
                handled[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for ended, handler in handled.items():
            signal.signal(ended, handler)


def _report(err: BaseException, debug: bool) -> int:
    """Print the error on stderr, if somebody reads it; returns the exit code."""
    try:
        return _print_error(err, debug)
    except OSError:
        give_up(sys.stderr)
        return _report(err, debug)


def _print_error(err: BaseException, debug: bool) -> int:
    if debug and not isinstance(err, (click.ClickException, click.exceptions.Exit)):
        traceback.print_exception(err)
    if isinstance(err, click.exceptions.Exit):
        return err.exit_code
    if isinstance(err, click.ClickException):
        err.show()
        return err.exit_code
    if isinstance(err, ParcError):
        click.echo(error_text(err, _SHOWN) or type(err).__name__, err=True)
        return err.exit_code
    if isinstance(err, (KeyboardInterrupt, click.Abort)):
        click.echo("stopped", err=True)
        return _STOPPED
    if isinstance(err, Stopped):
        return err.exit_code
    if isinstance(err, OSError) and err.filename is not None:
        click.echo(
            f"{err.filename}: {err.strerror}. Is the path right, and are you allowed to use it?", err=True
        )
        return _CANNOT_USE
    click.echo(f"internal error: {describe_error(err)}", err=True)
    if not debug:
        click.echo("Please report it with what `parc --debug ...` prints.", err=True)
    return ParcError.exit_code


def _verb_index(arguments: list[str]) -> int:
    return next((i for i, text in enumerate(arguments) if not text.startswith("-")), len(arguments))


if __name__ == "__main__":
    main()
