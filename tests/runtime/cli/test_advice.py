"""Only a verb that takes a night leaves a run to go on with, and only it says so."""

import errno
from collections.abc import Callable
from typing import Any

import pytest
import typer

from runtime.cli.call import call, call_night

RESUME = "nightscope resume"


def full(**_: object) -> dict[str, Any]:
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupted(**_: object) -> dict[str, Any]:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("how", "resumable"), [(call, False), (call_night, True)])
@pytest.mark.parametrize(("verb", "code"), [("full", 7), ("interrupted", 130)])
def test_only_a_night_is_told_to_be_resumed(
    verb: str,
    code: int,
    how: Callable[[str, bool], None],
    resumable: bool,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as left:
        how(f"{__name__}:{verb}", False)
    said = capfd.readouterr().err
    assert left.value.exit_code == code
    assert (RESUME in said) == resumable


def test_other_verbs_are_to_be_given_once_more(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        call(f"{__name__}:full", False)
    assert "free space, then give the command once more" in capfd.readouterr().err
