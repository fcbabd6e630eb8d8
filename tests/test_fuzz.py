"""A short run of every fuzzer: all that it makes is read or refused, within bounds."""

import os
import signal
from pathlib import Path
from random import Random

import pytest

from benchmarks.fuzz import Tally, content_of, fuzz, outcome_of
from benchmarks.fuzzing.corpus import READERS
from benchmarks.fuzzing.reader import Reader
from runtime.errors import InputRefused


@pytest.mark.parametrize("name", READERS)
def test_every_reader_reads_or_refuses_what_it_is_given(name: str) -> None:
    counts, findings = fuzz(READERS[name], inputs=25)
    assert findings == []
    assert sum(counts.values()) == 25


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_every_reader_reads_or_refuses_a_thousand_more(name: str) -> None:
    _, findings = fuzz(READERS[name], inputs=1000, first=1000)
    assert findings == []


def a_reader(read: object) -> Reader:
    return Reader(name="any", file="a", corpus=lambda: [b"some words"], read=read)


def raising(error: Exception) -> None:
    raise error


FAULTS = {
    "crash": lambda path: raising(KeyError(str(path))),
    "memory": lambda _: bytearray(600 * 2**20),
    "words": lambda path: raising(_Long()),
}


class _Long(InputRefused):
    def __init__(self) -> None:
        Exception.__init__(self, "a\nb")


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_found_and_kept_with_its_seed(tmp_path: Path, kind: str) -> None:
    reader = a_reader(FAULTS[kind])
    counts, findings = fuzz(reader, inputs=2, seed=3, first=7, keep=tmp_path)
    assert [(one.kind, one.seed, one.number) for one in findings] == [(kind, 3, 7), (kind, 3, 8)]
    assert counts[kind] == 2
    assert (tmp_path / "any-3-8").read_bytes() == content_of(reader, 3, 8)


def test_a_process_that_dies_of_an_input_is_a_crash() -> None:
    _, findings = fuzz(a_reader(lambda _: signal.raise_signal(signal.SIGKILL)), inputs=1)
    assert [(one.kind, one.says) for one in findings] == [("crash", "the process ended: SIGKILL")]


def test_a_reader_that_the_alarm_ends_is_a_hang() -> None:
    _, findings = fuzz(a_reader(lambda _: signal.raise_signal(signal.SIGALRM)), inputs=1)
    assert [one.kind for one in findings] == ["hang"]


def test_an_input_is_the_same_whenever_it_is_made() -> None:
    made = [content_of(READERS["tiff"], 1, number) for number in range(20)]
    assert made == [content_of(READERS["tiff"], 1, number) for number in range(20)]
    assert len(set(made)) > 10


def test_forged_inputs_get_past_checksums(tmp_path: Path) -> None:
    """Of the forged PNGs some are read: their checksums are right."""
    reader = READERS["png"]
    assert reader.forge is not None
    chance = Random(1)
    forged = [reader.forge(reader.corpus()[0], chance) for _ in range(30)]
    outcomes = [outcome_of(reader, one, tmp_path) for one in forged]
    assert any(outcome == "read" for outcome, _ in outcomes)
    assert not any("checksum" in says for _, says in outcomes)


def test_the_tally_outlives_its_writer() -> None:
    tally = Tally()
    pid = os.fork()
    if pid == 0:
        tally.begin(41)
        tally.end("read")
        os._exit(0)
    os.waitpid(pid, 0)
    assert (tally.at, tally.all()["read"]) == (41, 1)
