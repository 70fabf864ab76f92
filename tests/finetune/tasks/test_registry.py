"""Finding tasks by name."""

import subprocess
import sys
from pathlib import Path

import pytest

from finetune.contract import TASK_METRICS
from finetune.errors import SeedbedError
from finetune.tasks import find_task, task_names
from finetune.tasks.glue import GlueFolder
from finetune.tasks.hub import HubDataset


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("mrpc", "mrpc"),
        ("MRPC", "mrpc"),
        ("CoLA", "cola"),
        ("SST-2", "sst2"),
        ("sst-2", "sst2"),
        ("sst_2", "sst2"),
        ("SST", "sst2"),
        ("STS-B", "stsb"),
        ("mnli", "mnli"),
        ("MNLI-m", "mnli"),
        ("mnli_matched", "mnli"),
        ("mnli-mm", "mnli_mismatched"),
        ("MNLI mismatched", "mnli_mismatched"),
        ("Acceptability", "acceptability"),
    ],
)
def test_a_task_is_found_however_its_name_is_written(written: str, name: str) -> None:
    assert find_task(written).name == name


def test_every_named_task_is_found_under_its_name_and_its_title() -> None:
    assert set(task_names()) >= {"cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "mnli_mismatched"}
    assert set(task_names()) >= {"qnli", "rte", "wnli", "acceptability", "entailment"}
    assert len(set(task_names())) == len(task_names())
    for name in task_names():
        task = find_task(name)
        assert task.name == name
        assert find_task(task.title).name == name
        assert task.metric in TASK_METRICS
        assert (task.kind == "regression") is (task.outputs == 1)


@pytest.mark.parametrize(
    ("name", "metric", "outputs"),
    [
        ("cola", "matthews_correlation", 2),
        ("sst2", "accuracy", 2),
        ("mrpc", "accuracy_and_f1", 2),
        ("stsb", "pearson_and_spearman", 1),
        ("qqp", "accuracy_and_f1", 2),
        ("mnli", "accuracy", 3),
        ("mnli_mismatched", "accuracy", 3),
        ("qnli", "accuracy", 2),
        ("rte", "accuracy", 2),
        ("wnli", "accuracy", 2),
    ],
)
def test_tasks_have_the_metrics_of_glue(name: str, metric: str, outputs: int) -> None:
    task = find_task(name)
    assert (task.metric, task.outputs) == (metric, outputs)


def test_an_unknown_task_is_told_with_the_closest_and_all() -> None:
    with pytest.raises(SeedbedError) as raised:
        find_task("mpc")
    assert str(raised.value) == (
        f"There is no task 'mpc'. Did you mean 'mrpc'? The tasks are {', '.join(task_names())};"
        " data of your own needs a definition in a study file."
    )
    with pytest.raises(SeedbedError, match=r"no task 'zzzzzz'\. The tasks are cola"):
        find_task("zzzzzz")


def test_glue_comes_from_the_hub_unless_a_folder_is_given() -> None:
    at_hub, in_folder = find_task("mrpc").source, find_task("mrpc", data_dir=Path("glue")).source
    assert isinstance(at_hub, HubDataset)
    assert at_hub.splits.repository == "nyu-mll/glue"
    assert in_folder == GlueFolder(Path("glue"), "mrpc")
    pinned = find_task("mrpc", revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c").source
    assert pinned.fingerprint().startswith("nyu-mll/glue@bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c:")


def test_the_embedded_tasks_need_no_data() -> None:
    for name in ("acceptability", "entailment"):
        data = find_task(name, data_dir=Path("no such folder")).source.read()
        assert len(data.train) > len(data.validation) > 0


def test_looking_up_tasks_imports_nothing_heavy() -> None:
    code = (
        "import sys; from finetune.tasks import find_task; find_task('mrpc');"
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'pyarrow'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
