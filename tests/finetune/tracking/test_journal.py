"""The journal: nothing that was appended is lost, and nothing is given out twice."""

import errno
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import SeedbedError
from finetune.tracking import journal as journals
from finetune.tracking.entries import (
    Closing,
    DroppedModel,
    Entry,
    KeptModel,
    Opening,
    Values,
    from_line,
    to_line,
)
from finetune.tracking.journal import Journal


def values(step: int) -> Values:
    return Values("t", step, 1000 * step, {"train/loss": 1 / step})


@pytest.mark.parametrize(
    "entry",
    [
        Opening("t", "7", "mrpc-wi01-do02", 1, {"task": "mrpc"}, {"a": "ü\n"}, taken_up=True),
        values(3),
        Values("t", 3, 1, {"train/loss": math.inf}),
        KeptModel("t", "folder", 3),
        DroppedModel("t"),
        Closing("t", 5, "FAILED", {"seedbed.error": 'said "no"'}),
    ],
)
def test_an_entry_reads_back_from_its_line_as_it_was(entry: Entry) -> None:
    line = to_line(entry)
    assert line.count(b"\n") == 1
    assert from_line(line) == entry


def test_a_loss_that_is_no_number_stays_none() -> None:
    read = from_line(to_line(Values("t", 1, 1, {"train/loss": math.nan})))
    assert isinstance(read, Values)
    assert math.isnan(read.metrics["train/loss"])


def test_entries_come_out_in_the_order_in_which_they_went_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_SEGMENT", 500)  # several files
    journal = Journal.begin(tmp_path, "store")
    taken: list[Entry] = []
    for step in range(1, 101):
        journal.append(values(step))
        if step % 7 == 0:
            entries = journal.read(5)
            taken += entries
            journal.remove(entries)
    assert journal.waiting == 100 - len(taken)
    assert len(list(journal.folder.glob("*.jsonl"))) > 1
    taken += journal.read(1000)
    assert taken == [values(step) for step in range(1, 101)]
    journal.close()


def test_what_the_store_has_leaves_the_disk(tmp_path: Path) -> None:
    journal = Journal.begin(tmp_path / ".seedbed" / "journals", "store")
    (tmp_path / "model").mkdir()
    place = journal.take_model("t", tmp_path / "model")
    journal.append(KeptModel("t", str(place), 3))
    entries = journal.read(10)
    assert place.is_dir()
    journal.remove(entries)
    assert not place.exists()
    assert not list(journal.folder.glob("*.jsonl"))
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_only_the_journals_of_the_dead_are_taken_over(tmp_path: Path) -> None:
    ours = Journal.begin(tmp_path, "store")
    ours.append(values(1))
    assert list(Journal.abandoned(tmp_path, "store")) == []
    ours.close()
    (found,) = Journal.abandoned(tmp_path, "store")
    assert found.waiting == 1
    assert list(tmp_path.iterdir()) == [ours.folder], "what nothing was taken from is kept"


def test_who_gives_up_on_a_journal_leaves_it_to_the_next(tmp_path: Path) -> None:
    ours = Journal.begin(tmp_path, "store")
    ours.append(values(1))
    ours.close()

    def give_up() -> None:
        for _ in Journal.abandoned(tmp_path, "store"):
            raise SeedbedError("the store is away")

    with pytest.raises(SeedbedError):
        give_up()
    (found,) = Journal.abandoned(tmp_path, "store")
    assert found.waiting == 1


def test_a_journal_for_another_store_is_left_alone(tmp_path: Path) -> None:
    journal = Journal.begin(tmp_path, "another store")
    journal.append(values(1))
    journal.close()
    assert list(Journal.abandoned(tmp_path, "store")) == []
    assert journal.folder.is_dir()


def test_another_machine_is_taken_for_dead_only_after_a_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock may not be seen from here."""
    with monkeypatch.context() as there:
        there.setattr("socket.gethostname", lambda: "there")
        journal = Journal.begin(tmp_path, "store")
        idle = Journal.begin(tmp_path, "store")
    journal.append(values(1))
    for each in (journal, idle):
        assert each._lock is not None
        os.close(each._lock)
        each._lock = None
    assert list(Journal.abandoned(tmp_path, "store")) == []
    assert idle.folder.is_dir()
    os.utime(journal.folder, (0, 0))
    assert [found.waiting for found in Journal.abandoned(tmp_path, "store")] == [1]
    journal.touch()
    assert list(Journal.abandoned(tmp_path, "store")) == []
    journal.close()


def test_half_a_line_is_no_entry(tmp_path: Path) -> None:
    journal = Journal.begin(tmp_path, "store")
    journal.append(values(1))
    journal.close()
    (file,) = journal.folder.glob("*.jsonl")
    with file.open("ab") as end:
        end.write(to_line(values(2))[:-5])
    for found in Journal.abandoned(tmp_path, "store"):
        assert found.waiting == 1
        assert found.read(10) == [values(1)]


def test_a_full_disk_leaves_the_entries_before_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.begin(tmp_path, "store")
    journal.append(values(1))
    out: Any = journal._out
    assert out is not None

    class Full:
        name = "full"

        def __getattr__(self, name: str) -> Any:
            return getattr(out, name)

        def write(self, line: bytes) -> int:
            return int(out.write(line[:10]))

    monkeypatch.setattr(journal, "_out", Full())
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        journal.append(values(2))
    monkeypatch.setattr(journal, "_out", out)
    journal.append(values(3))
    assert journal.waiting == 2
    assert journal.read(10) == [values(1), values(3)]
    journal.close()


def test_killed_at_any_moment_it_holds_all_that_was_appended(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from finetune.tracking.entries import Values
from finetune.tracking.journal import Journal

journal = Journal.begin(Path(sys.argv[1]), "store")
for step in range(1, 10**9):
    journal.append(Values("t", step, 1000 * step, {"train/loss": 1 / step}))
    if step % 100 == 0:
        print(step, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = 0
    while said < 5000:
        said = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    said = max([said, *(int(line) for line in process.stdout if line.endswith("\n"))])
    process.wait()
    process.stdout.close()
    (found,) = [(j.waiting, j.read(10**9)) for j in Journal.abandoned(tmp_path, "store")]
    waiting, entries = found
    assert len(entries) == waiting >= said
    assert entries == [values(step) for step in range(1, len(entries) + 1)]
