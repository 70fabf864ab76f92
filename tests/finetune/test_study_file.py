"""Study files: what is right is read; what is wrong is said at once, line by line."""

from pathlib import Path

import pytest

from finetune.errors import SeedbedError
from finetune.study_file import find_study, parse_study, read_study, shipped_studies

GOOD = """
study: mine
model: embedded
tasks: [acceptability, {task: entailment, wi_seeds: 5, recipe: {epochs: 1}}]
wi_seeds: 1-3
do_seeds: [4, 9]
recipe: {learning_rate: 2e-5}
"""


def faults(text: str) -> list[str]:
    with pytest.raises(SeedbedError) as raised:
        parse_study(text, "study.yaml")
    return [line.strip() for line in str(raised.value).splitlines()[1:]]


def test_a_study_file_is_read() -> None:
    study = parse_study(GOOD, "study.yaml")
    assert study.wi_seeds == (1, 2, 3)
    assert study.do_seeds == (4, 9)
    assert study.recipe.learning_rate == 2e-5
    assert [task.task for task in study.tasks] == ["acceptability", "entailment"]
    assert study.tasks[1].wi_seeds == (5,)
    assert study.dropout_seed is None


def test_every_fault_is_named_with_its_line_what_was_found_and_what_is_allowed() -> None:
    found = faults(
        "study: two words\n"
        "model: embedded\n"
        "tasks:\n"
        "  - acceptability\n"
        "  - colla\n"
        "  - task: entailment\n"
        "    wi_seed: 3\n"
        "    recipe: {batch_size: 0, evaluate: sometimes}\n"
        "wi_seeds: 9-1\n"
        "recipe:\n"
        "  epochs: three\n"
        "  clipping: hard\n"
    )
    assert [fault.split(": ")[:2] for fault in found] == [
        ["line 1", "study"],
        ["line 1", "do_seeds"],
        ["line 5", "tasks"],
        ["line 7", "tasks[3].wi_seed"],
        ["line 8", "tasks[3].recipe.batch_size"],
        ["line 8", "tasks[3].recipe.evaluate"],
        ["line 9", "wi_seeds"],
        ["line 11", "recipe.epochs"],
        ["line 12", "recipe.clipping"],
    ]
    text = "\n".join(found)
    assert "did you mean `wi_seeds`?" in text
    assert "Did you mean 'cola'?" in text
    assert "found 'three'. Allowed: a whole number from 1." in text
    assert "found 'hard'. Allowed: per-parameter, global or none." in text
    assert "the range 9-1 runs backwards" in text


def test_a_key_given_twice_is_a_fault() -> None:
    assert faults(GOOD + "model: other\n") == ["line 8: `model` is there twice; keep one of them."]


@pytest.mark.parametrize(("twice", "name"), [("rte, rte", "rte"), ("sst2, SST-2", "sst2")])
def test_a_task_given_twice_is_a_fault(twice: str, name: str) -> None:
    text = GOOD.replace("[acceptability,", f"[{twice},")
    assert faults(text) == [f"line 4: tasks: {name} is there twice; keep one of them."]


@pytest.mark.parametrize(
    "data",
    [
        "{text: a}",
        "{train: a.csv, text: a}",
        "{train: a.csv, validation: b.csv, hub: x/y, text: a}",
    ],
)
def test_own_data_comes_from_files_or_from_the_hub(data: str) -> None:
    text = GOOD.replace("[acceptability,", f"[{{task: own, data: {data}}},")
    assert faults(text) == [
        "line 4: tasks[1].data: data takes either `train` and `validation` files, or `hub`. "
        "Allowed: a mapping that describes your own data."
    ]


def test_what_is_not_yaml_is_said_with_its_line() -> None:
    with pytest.raises(SeedbedError, match=r"study.yaml: line 2: is not YAML"):
        parse_study("study: [a\nb: c", "study.yaml")


@pytest.mark.parametrize("text", ["", "just words", "[1, 2]"])
def test_what_is_no_mapping_is_told_how_to_start(text: str) -> None:
    with pytest.raises(SeedbedError, match="finetune init"):
        parse_study(text, "study.yaml")


def test_paths_are_relative_to_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    path = tmp_path / "study.yaml"
    path.write_text(
        "study: mine\nmodel: encoder\ndata_dir: glue\nwi_seeds: 1\ndo_seeds: 1\n"
        "tasks: [{task: own, data: {train: a.csv, validation: b.csv, text: t}}]\n"
    )
    study = read_study(path)
    assert study.model == str(tmp_path / "encoder")
    assert study.data_dir == tmp_path / "glue"
    assert study.tasks[0].data is not None
    assert study.tasks[0].data.train == tmp_path / "a.csv"


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(SeedbedError, match=r"nowhere: there is no such file.*demo"):
        find_study("nowhere")
    (tmp_path / "latin.yaml").write_bytes(b"study: \xff\n")
    with pytest.raises(SeedbedError, match="is not UTF-8"):
        read_study(tmp_path / "latin.yaml")


def test_dodge2020_is_the_paper_exactly() -> None:
    study = find_study("dodge2020")
    assert study.model == "bert-large-uncased"
    seeds = {
        t.task: (t.wi_seeds or study.wi_seeds, t.do_seeds or study.do_seeds) for t in study.tasks
    }
    trials = {task: len(wi) * len(do) for task, (wi, do) in seeds.items()}
    assert trials == {"mrpc": 625, "rte": 625, "cola": 625, "sst2": 225}
    assert sum(trials.values()) == 2100
    assert study.recipe.model_dump(exclude_defaults=True) == {}
    assert study.tasks[3].recipe.evaluate == "every 100 steps"


def test_the_studies_that_ship_open_with_the_command_that_runs_them() -> None:
    for name, path in shipped_studies().items():
        assert path.read_text().startswith(f"# finetune run {name}\n")
        assert read_study(path).study == name


def test_the_template_is_a_study_with_every_field_in_it() -> None:
    from importlib import resources

    from finetune.study import OwnData, Recipe, Study, StudyTask

    template = resources.files("mlruns_config") / "studies" / "template.yaml"
    text = template.read_text(encoding="utf-8")
    assert parse_study(text, "template").recipe.learning_rate == 5e-4
    fields = {*Study.model_fields, *Recipe.model_fields, *StudyTask.model_fields, "hub", "text"}
    assert [field for field in sorted(fields) if f"{field}:" not in text] == []
    assert set(OwnData.model_fields) >= {"hub", "text"}
