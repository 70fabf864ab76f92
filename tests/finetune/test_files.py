"""Files and folders are there whole, or as they were."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from finetune.files import replacing_file, replacing_folder

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, text: str) -> None:
    with replacing_folder(folder) as beside:
        (beside / "a").write_text(text)


def test_a_folder_is_swapped_in_whole(tmp_path: Path) -> None:
    for text in ("one", "two"):
        write(tmp_path / "folder", text)

        assert (tmp_path / "folder" / "a").read_text() == text
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_stood_there_stays_when_writing_fails(tmp_path: Path) -> None:
    write(tmp_path / "folder", "one")

    def fail() -> None:
        with replacing_folder(tmp_path / "folder") as beside:
            (beside / "a").write_text("two")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()

    assert (tmp_path / "folder" / "a").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_where_folders_cannot_be_exchanged_they_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.files._exchange", lambda *_: False)

    for text in ("one", "two"):
        write(tmp_path / "folder", text)
        assert (tmp_path / "folder" / "a").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="the system cannot exchange")
def test_something_whole_stands_there_at_every_moment(tmp_path: Path) -> None:
    write(tmp_path / "folder", "0")
    is_over = threading.Event()

    def replace() -> None:
        for turn in range(200):
            write(tmp_path / "folder", str(turn))
        is_over.set()

    replacing = threading.Thread(target=replace)
    replacing.start()
    looks = 0
    while not is_over.is_set():
        assert (tmp_path / "folder").is_dir()
        looks += 1
    replacing.join()

    assert looks


HANG = """
import sys, time
from pathlib import Path
from finetune.files import replacing_folder
with replacing_folder(Path(sys.argv[1])) as beside:
    (beside / "a").write_text("half")
    print("ready", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_left_goes_and_what_a_living_one_writes_stays(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "it's [here]"
    write(folder, "one")
    command = [sys.executable, "-c", HANG, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()

    write(folder, "two")
    assert len(list(tmp_path.iterdir())) == 2, "the living one goes on"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    write(folder, "three")

    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert (folder / "a").read_text() == "three"


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing_file(path) as beside:
        beside.write_text("one")

    def fail() -> None:
        with replacing_file(path) as beside:
            beside.write_text("two")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()

    assert path.read_text() == "one"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
