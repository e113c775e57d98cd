"""The terminal: progress and notes on stderr, results on stdout, errors as one line with an exit code."""

from __future__ import annotations

import copy
import errno
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer.core import TyperCommand, TyperGroup

from pipeline import layout
from pipeline.errors import Interrupted, OutOfMemory, PipelineError

EVERY = 5.0  # seconds between plain progress lines

UNUSABLE = (  # places where nothing can be written or read, whatever the command
    errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP,
    errno.EMFILE, errno.ENFILE, errno.EBUSY, errno.EINVAL,
)  # fmt: skip
PERHAPS_PATHS = (
    "palette",
    "weights",
    "features",
    "page",
)  # options and arguments that may also be a name or an address

stderr = Console(stderr=True, soft_wrap=True, highlight=False)


class Settings:
    """The global options, as the callback of the command line sets them."""

    debug = False
    quiet = False
    device = "auto"
    command = ""  # the command line, which resumes an interrupted run


class Command(TyperCommand):
    """A command that takes the global options too, and whose paths are those of the folder it was called in."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own parameters and, unseen in its help, the global options."""
        own = super().get_params(ctx)
        known = {param.name for param in own}
        shared = [copy.copy(param) for param in _top(ctx).command.params if param.name not in known]
        for param in shared:
            param.hidden = True
        return [*own, *shared]

    def invoke(self, ctx: Any) -> Any:
        """Run it at the root of the working copy."""
        own, top = {param.name for param in self.params}, _top(ctx)
        given = {
            name for name in ctx.params if (source := ctx.get_parameter_source(name)) and source.name == "COMMANDLINE"
        }
        options = {name: ctx.params.pop(name) for name in [*ctx.params] if name not in own}
        chosen = {name: options[name] if name in given else top.params[name] for name in options if name in top.params}
        configure(**{name: chosen[name] for name in ("debug", "quiet", "verbose", "device")})
        here = Path.cwd()
        root = layout.root_of(here)
        if root != here:
            note(f"working copy: {root}")
            ctx.params |= {name: _absolute(ctx.params[name], name, here) for name in given & own}
            os.chdir(root)
        return super().invoke(ctx)


def _top(ctx: Any) -> Any:
    """The context of the whole command line, which is not always the outermost one."""
    while not isinstance(ctx.command, CommandGroup):
        ctx = ctx.parent
    return ctx


def _absolute(value: Any, name: str, here: Path) -> Any:
    """What a person wrote in one folder, as it is right in any: paths, and texts that may be paths."""
    if isinstance(value, list | tuple):
        return type(value)(_absolute(item, name, here) for item in value)
    if isinstance(value, Path) or name == "pictures" or (name in PERHAPS_PATHS and (here / str(value)).exists()):
        return type(here)(os.path.normpath(here / value)) if isinstance(value, Path) else os.path.normpath(here / value)
    return value


class CommandGroup(TyperGroup):
    """The commands, with every error as one line on stderr and the exit code of its kind."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, Interrupted) as error:
            return _fail(error, f"interrupted, state saved; to go on: {Settings.command}", 130)
        except PipelineError as error:
            return _fail(error, str(error), error.exit_code)
        except BrokenPipeError:  # of `facetopix ... | head`; Typer ends quietly
            raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return _fail(error, f"disk full: {error}; free some space and run the same command again", 6)
            if error.errno == errno.EIO:
                return _fail(error, f"the disk failed: {error}", 6)
            if error.errno in UNUSABLE:
                return _fail(error, f"{error.filename or 'a file'}: cannot be used: {error.strerror}", 3)
            return _fail(error, f"{type(error).__name__}: {error}", 1)
        except Exception as error:  # the outermost boundary: our bug, named as such
            if type(error).__module__.startswith(("typer", "click")):
                raise
            if full := OutOfMemory.of(error):
                return _fail(error, str(full), full.exit_code)
            return _fail(error, f"{type(error).__name__}: {error} (a bug of facetopix; --debug shows where)", 1)


class RetryCommand(Command):
    """A command whose option `--retry` stands alone or before any number of reasons, which Click has no form for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        remaining, joined = list(args), list[str]()
        while remaining:
            word = remaining.pop(0)
            if word == "--retry":
                reasons = list(takewhile(lambda reason: not reason.startswith("-"), remaining))
                del remaining[: len(reasons)]
                word = f"--retry={','.join(reasons) or 'all'}"
            joined.append(word)
        return super().parse_args(ctx, joined)


def _fail(error: BaseException, message: str, code: int) -> None:
    if Settings.debug:
        raise error
    stderr.print(f"facetopix: {message}", style="bold red", markup=False)
    raise typer.Exit(code)


def confirm(question: str) -> bool:
    """Ask the person; the answer is no where nobody can be asked."""
    return sys.stdin.isatty() and typer.confirm(question, err=True)


def note(text: str) -> None:
    """Print a line for the person, unless -q."""
    if not Settings.quiet:
        stderr.print(text, markup=False)


def result(value: Mapping[str, Any], as_json: bool = False) -> None:
    """Print the result of a command: JSON, or counts on one line."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, default=str) + "\n")
        return
    for name, nested in value.items():
        if name != "reasons" and isinstance(nested, Mapping) and "error" not in nested and "kept" in nested:
            note(f"{name}: {_counts(nested)}")
    if line := _counts(value):
        note(line)


def show(outcome: Mapping[str, Any], lines: Callable[[Any], Iterable[str]], as_json: bool) -> None:
    """Print the result of a command on stdout: JSON, or the lines that a function makes of it for a person."""
    if as_json:
        result(outcome, as_json=True)
        return
    for line in lines(outcome):
        typer.echo(line)


def _counts(value: Mapping[str, Any]) -> str:
    plain = {key: item for key, item in value.items() if isinstance(item, int | float | str)}
    reasons = ", ".join(f"{reason} {count}" for reason, count in (value.get("reasons") or {}).items())
    line = ", ".join(f"{key} {item}" for key, item in plain.items())
    return line + (f" ({reasons})" if reasons else "")


class Bars:
    """A `Progress` with bars on a terminal, a plain line every few seconds elsewhere. Use as a context."""

    def __init__(self) -> None:
        self.rich = stderr.is_terminal and not Settings.quiet
        self.tasks: dict[str, Any] = {}
        self.printed: dict[str, float] = {}
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, TextColumn("{task.fields[text]}"), console=stderr, disable=not self.rich)

    def __enter__(self) -> Bars:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, task: str, done: int, total: int, text: str = "") -> None:
        if self.rich:
            if task not in self.tasks:
                self.tasks[task] = self.progress.add_task(task, total=total, text=text)
            self.progress.update(self.tasks[task], completed=done, total=total, text=text)
        elif not Settings.quiet and (done == total or time.monotonic() - self.printed.get(task, 0.0) > EVERY):
            self.printed[task] = time.monotonic()
            note(f"{task}: {done}/{total} {text}".rstrip())


def configure(*, debug: bool, quiet: bool, verbose: bool, device: str) -> None:
    """Apply the global options."""
    Settings.debug, Settings.quiet, Settings.device = debug, quiet, device
    Settings.command = shlex.join(["facetopix", *sys.argv[1:]])
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger().setLevel(level)
    for library in ("httpx", "httpcore", "PIL", "asyncio", "filelock", "uvicorn", "dvclive"):
        logging.getLogger(library).setLevel(logging.WARNING)
