"""What the world does is told in words, and asked again where that helps."""

import errno
import sqlite3

import pytest

from runtime.errors import DiskFull, InputRefused, MemoryShort, StorageFailed
from runtime.record import opening
from runtime.record.journal import Journal
from runtime.record.trouble import ATTEMPTS, again, damage_is_named, told, trouble_is_told


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.ENOSPC, "no space"), DiskFull, "no room left while drawing the map"),
        (OSError(errno.EDQUOT, "quota"), DiskFull, "no room left while drawing the map"),
        (OSError(errno.EIO, "Input/output error"), StorageFailed, "Input/output error"),
        (OSError(errno.EROFS, "Read-only file system"), StorageFailed, "Read-only file system"),
        (
            OSError(errno.EFBIG, "File too large"),
            StorageFailed,
            "takes no file as large while drawing",
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), MemoryShort, "memory ran short"),
        (MemoryError("9 TB"), MemoryShort, "memory ran short while drawing the map: 9 TB"),
        (RuntimeError("can't start new thread"), MemoryShort, "memory ran short"),
        (sqlite3.OperationalError("database or disk is full"), DiskFull, "found no room"),
        (sqlite3.OperationalError("database is locked"), StorageFailed, "another program"),
        (sqlite3.OperationalError("disk I/O error"), StorageFailed, "failed under the journal"),
    ],
)
def test_each_trouble_has_its_words_and_what_to_do(error, kind, words):
    with pytest.raises(kind, match="nightscope resume") as said, trouble_is_told("drawing the map"):
        raise error
    assert words in str(said.value)
    assert said.value.exit_code == 7


@pytest.mark.parametrize(
    "error", [RuntimeError("a fault of ours"), sqlite3.OperationalError("no such table: tile")]
)
def test_a_fault_of_the_program_is_left_alone(error):
    assert told(error) is None
    with pytest.raises(type(error)), trouble_is_told():
        raise error


def test_a_disk_that_fails_is_asked_again_and_a_full_one_is_not():
    asked = []

    def failing(times, kind):
        def work():
            asked.append(1)
            if len(asked) <= times:
                raise kind("no")
            return "done"

        asked.clear()
        return work

    assert again(failing(ATTEMPTS - 1, StorageFailed)) == "done"
    with pytest.raises(StorageFailed):
        again(failing(ATTEMPTS, StorageFailed))
    assert len(asked) == ATTEMPTS
    with pytest.raises(DiskFull):
        again(failing(1, DiskFull))
    assert len(asked) == 1


def test_a_journal_that_is_held_is_told_as_such_when_read_and_written(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "BUSY_S", 0.01)
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, create=True)
    with sqlite3.connect(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageFailed, match=r"held by another program.*database is locked"):
            journal.note(state="paused")
    other.close()
    journal.note(state="paused")
    assert journal.fact("state") == "paused"
    journal.close()


def test_a_failing_disk_is_not_called_a_damaged_journal(tmp_path):
    with pytest.raises(StorageFailed), damage_is_named(tmp_path):
        raise sqlite3.OperationalError("disk I/O error")
    with pytest.raises(InputRefused), damage_is_named(tmp_path):
        raise sqlite3.DatabaseError("database disk image is malformed")
