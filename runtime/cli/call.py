"""How a verb is called: load it by name, run it, print its result, leave with its exit code."""

from __future__ import annotations

import gc
import json
import sys
from contextlib import nullcontext
from importlib import import_module
from typing import Any, NoReturn

import typer
from rich.console import Console

from runtime.cli.process import leave_at_once
from runtime.cli.screen import plain
from runtime.errors import ConfigRefused, NightscopeError
from runtime.patience import left_behind
from runtime.record.trouble import nothing_to_resume, trouble_is_told
from runtime.report.printable import printable

STOPPED = 130
ONCE_MORE = "then give the command once more"


def load(target: str) -> Any:
    """Return what "package.module:name" names, loaded without the collector in between.

    It would walk over all that is loaded so far some 270 times, and find nothing: code stays. That
    is an eighth of what loading `stitch` takes. What is frozen it does not walk over later either.
    """
    module, name = target.split(":")
    collecting = gc.isenabled()
    gc.disable()
    try:
        loaded = import_module(module)
    finally:
        if collecting:
            gc.enable()
    gc.freeze()
    return getattr(loaded, name)


def forward(target: str, arguments: list[str], *, name: str, extra: str) -> None:
    """Hand the rest of the command line to another group of verbs, which an extra installs."""
    try:
        load(target)(arguments, prog_name=name)
    except ModuleNotFoundError as missing:
        refusal = ConfigRefused(
            f"{name} needs {missing.name}, which is not installed",
            remedy=f"pip install 'nightscope[{extra}]'",
        )
        _refuse(refusal)
    except NightscopeError as error:
        _refuse(error)


def call(target: str, as_json: bool, **arguments: Any) -> None:
    """Call a verb, print its result, and leave with its exit code.

    People read the verb's own output, on standard error when JSON is wanted on standard output.
    """
    _call(target, as_json, arguments, resumable=False)


def call_night(target: str, as_json: bool, **arguments: Any) -> None:
    """Call a verb that takes a night, as `call` does: it leaves a run that one can go on with."""
    _call(target, as_json, arguments, resumable=True)


def _call(target: str, as_json: bool, arguments: dict[str, Any], *, resumable: bool) -> None:
    # Names of files and keys of settings stand in brackets too, and mean no colour.
    console = Console(stderr=as_json, markup=False, emoji=False)
    try:
        with nullcontext() if resumable else nothing_to_resume(ONCE_MORE), trouble_is_told():
            result = load(target)(console=console, **arguments)
        code = int(result.pop("exit_code", 0))
    except NightscopeError as error:
        code = error.exit_code
        result = {"error": str(error), "kind": type(error).__name__, "exit_code": error.exit_code}
        if not error.shown:
            _complain(f"nightscope: {error}")
    except KeyboardInterrupt:
        code = STOPPED
        result = {"error": "stopped at once", "exit_code": STOPPED}
        goes_on = "; what was journaled is safe: 'nightscope resume RUN' goes on"
        _complain("nightscope: stopped at once" + (goes_on if resumable else ""))
    if as_json:
        print(json.dumps(result))  # noqa: T201
    if left_behind():
        leave_at_once(code)
    raise typer.Exit(code)


def _complain(sentence: str) -> None:
    print(plain(printable(sentence), sys.stderr.encoding), file=sys.stderr)  # noqa: T201


def _refuse(error: NightscopeError) -> NoReturn:
    _complain(f"nightscope: {error}")
    raise typer.Exit(error.exit_code)
