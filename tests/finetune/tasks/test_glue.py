"""GLUE's distributed files: every layout, every quirk, every fault."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from finetune.errors import SeedbedError
from finetune.tasks.glue import GlueFolder
from finetune.tasks.task import TaskData

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared" / "glue"

WriteFiles = Callable[[Path, dict[str, str]], Path]


def assert_same(found: TaskData, expected: TaskData) -> None:
    for split, wanted in [(found.train, expected.train), (found.validation, expected.validation)]:
        assert split.texts == wanted.texts
        np.testing.assert_array_equal(split.labels, wanted.labels, strict=True)


def error_of(source: GlueFolder) -> str:
    with pytest.raises(SeedbedError) as raised:
        source.read()
    return str(raised.value)


def test_the_examples_are_those_of_the_files(
    task_name: str, expected: TaskData, glue: Path
) -> None:
    assert_same(GlueFolder(glue, task_name).read(), expected)


def test_lines_may_end_in_crlf_and_in_blank_lines(
    task_name: str, expected: TaskData, glue: Path
) -> None:
    for file in glue.glob("*/*.tsv"):
        file.write_bytes(file.read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n\r\n\n")
    assert_same(GlueFolder(glue, task_name).read(), expected)


@pytest.mark.parametrize("name", ["SST-2", "sst2", "sst_2", "SST2"])
def test_the_folder_of_a_task_is_found_however_it_is_written(glue: Path, name: str) -> None:
    found = GlueFolder(glue, "sst2").read()
    (glue / "SST-2").rename(glue / name)
    assert_same(GlueFolder(glue, "sst2").read(), found)


def test_the_folder_of_the_task_itself_will_do(glue: Path) -> None:
    from_root = GlueFolder(glue, "rte").read()
    assert_same(GlueFolder(glue / "RTE", "rte").read(), from_root)
    renamed = (glue / "RTE").rename(glue / "my download")
    assert_same(GlueFolder(renamed, "rte").read(), from_root)


def test_the_folder_of_another_task_will_not_do_though_its_columns_are_alike(glue: Path) -> None:
    message = error_of(GlueFolder(glue / "WNLI", "rte"))
    assert message == f"{glue / 'WNLI'} has no folder RTE; it has none."


def test_only_line_feeds_end_a_line(glue: Path, write_files: WriteFiles) -> None:
    # str.splitlines would also split at these, which real sentences hold.
    odd = "a\u2028b\x85c\x0bd"
    write_files(glue / "SST-2", {"dev.tsv": f"sentence\tlabel\n{odd} \t1\n"})
    assert GlueFolder(glue, "sst2").read().validation.texts == ((odd,),)


def test_the_broken_questions_of_qqp_are_left_out_and_named(
    glue: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        data = GlueFolder(glue, "qqp").read()
    assert len(data.train) == 2
    path = glue / "QQP" / "train.tsv"
    assert caplog.messages == [f"{path}: left out as malformed: lines [3, 4]."]


def test_a_file_of_qqp_with_many_broken_lines_is_refused(
    glue: Path, write_files: WriteFiles
) -> None:
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    whole = "1\t2\t3\tWhy?\tHow?\t0\n"
    write_files(glue / "QQP", {"dev.tsv": header + "1\t2\tWhy?\n" * 21 + whole})
    message = error_of(GlueFolder(glue, "qqp"))
    assert "dev.tsv has 21 faults:\n  line 2: 3 columns instead of 6\n" in message
    write_files(glue / "QQP", {"dev.tsv": header + "1\t2\tWhy?\n" * 20 + whole})
    assert len(GlueFolder(glue, "qqp").read().validation) == 1


@pytest.mark.parametrize("task", ["mrpc", "rte", "qqp", "cola"])
def test_a_truncated_file_is_refused(glue: Path, task: str) -> None:
    (path,) = (path for path in glue.glob("*/train.tsv") if path.parent.name.lower() == task)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"\t")])
    assert "; the file seems cut off" in error_of(GlueFolder(glue, task))


def test_all_faults_of_a_file_are_told_at_once_with_their_lines(
    glue: Path, write_files: WriteFiles
) -> None:
    lines = [
        "index\tsentence1\tsentence2\tlabel",
        "0\tA.\tB.\tentailment",
        "1\tA.\tB.",
        "2\tA.\tB.\tperhaps",
        "3\tA.\tB.\tC.\tentailment",
        "4\t \t\tentailment",
        "5\tA.\tB.\t",
        "6\t\t\t1",
    ]
    folder = write_files(glue / "RTE", {"train.tsv": "\n".join(lines) + "\n"})
    allowed = "allowed are 'entailment', 'not_entailment'"
    assert error_of(GlueFolder(glue, "rte")) == "\n".join(
        [
            f"{folder / 'train.tsv'} has 7 faults:",
            "  line 3: 3 columns instead of 4",
            f"  line 4: 'label' is 'perhaps'; {allowed}",
            "  line 5: 5 columns instead of 4",
            "  line 6: 'sentence1' and 'sentence2' without text",
            f"  line 7: no 'label'; {allowed}",
            "  line 8: 'sentence1' and 'sentence2' without text",
            f"  line 8: 'label' is '1'; {allowed}",
        ]
    )


@pytest.mark.parametrize(
    ("score", "fault"),
    [
        ("5.1", "'score' is '5.1'; allowed are numbers from 0 to 5"),
        ("nan", "'score' is 'nan'; allowed are numbers from 0 to 5"),
        ("high", "'score' is 'high'; allowed are numbers from 0 to 5"),
    ],
)
def test_a_score_out_of_range_is_refused(glue: Path, score: str, fault: str) -> None:
    path = glue / "STS-B" / "dev.tsv"
    path.write_text(path.read_text().replace("3.8", score))
    assert error_of(GlueFolder(glue, "stsb")) == f"{path}: line 2: {fault}."


def test_empty_headless_and_foreign_files_are_refused(glue: Path, write_files: WriteFiles) -> None:
    path = glue / "MRPC" / "train.tsv"
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    write_files(glue / "MRPC", {"train.tsv": ""})
    assert f"{path}: holds no examples: it is empty." in error_of(GlueFolder(glue, "mrpc"))
    write_files(glue / "MRPC", {"train.tsv": header})
    assert f"{path}: holds no examples, only a header." in error_of(GlueFolder(glue, "mrpc"))
    write_files(glue / "MRPC", {"train.tsv": "\n".join(rows)})
    assert "there is no column 'Quality'; the columns are '1', '702876'," in error_of(
        GlueFolder(glue, "mrpc")
    )
    path.write_bytes(b"Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\tcaf\xe9\tb\n")
    assert error_of(GlueFolder(glue, "mrpc")) == (
        f"{path}: line 2: is not UTF-8 (byte 0xe9 at position 10); save the file as UTF-8."
    )


def test_what_is_missing_is_named(glue: Path) -> None:
    (glue / "MNLI" / "dev_mismatched.tsv").unlink()
    assert error_of(GlueFolder(glue, "mnli_mismatched")) == (
        f"{glue / 'MNLI'} lacks dev_mismatched.tsv;"
        " MNLI-mm needs train.tsv and dev_mismatched.tsv as GLUE distributes them."
    )
    assert len(GlueFolder(glue, "mnli").read().validation) == 1
    shutil.rmtree(glue / "MNLI")
    assert error_of(GlueFolder(glue, "mnli")) == (
        f"{glue} has no folder MNLI; there are"
        " 'CoLA', 'MRPC', 'QNLI', 'QQP', 'RTE', 'SST-2', 'STS-B', 'WNLI'."
    )
    assert error_of(GlueFolder(glue / "no such", "rte")) == (
        f"There is no folder {glue / 'no such'}; give the one that holds RTE/train.tsv."
    )


def test_the_fingerprint_changes_with_either_file_and_with_nothing_else(
    glue: Path, tmp_path: Path
) -> None:
    first = GlueFolder(glue, "mnli").fingerprint()
    moved = glue.rename(tmp_path / "elsewhere")
    assert GlueFolder(moved, "mnli").fingerprint() == first
    assert GlueFolder(moved, "mnli_mismatched").fingerprint() != first
    for name in ("train.tsv", "dev_matched.tsv"):
        path = moved / "MNLI" / name
        path.write_bytes(path.read_bytes() + b"\n")
        assert GlueFolder(moved, "mnli").fingerprint() != first
        path.write_bytes(path.read_bytes()[:-1])
    assert GlueFolder(moved, "mnli").fingerprint() == first


@pytest.mark.shared
@pytest.mark.parametrize(
    ("task", "train", "validation", "most_frequent"),
    [
        ("mrpc", 3667, 408, 0.684),
        ("rte", 2490, 277, 0.527),
        ("cola", 8551, 1043, 0.691),
        ("sst2", 67349, 872, 0.509),
    ],
)
def test_the_distributed_files_are_read_whole(
    task: str, train: int, validation: int, most_frequent: float
) -> None:
    if not SHARED.is_dir():
        pytest.skip("the GLUE files are not beside the repository, in shared/glue")
    data = GlueFolder(SHARED, task).read()
    assert (len(data.train), len(data.validation)) == (train, validation)
    assert np.bincount(data.validation.labels.astype(int)).max() / validation == pytest.approx(
        most_frequent, abs=5e-4
    )
    texts = [text for example in data.train.texts for text in example]
    assert all(text == text.strip() and text for text in texts)
    assert not any("\ufeff" in text or "\t" in text for text in texts)
