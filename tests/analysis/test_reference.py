"""The paper's results are whole, in the contract's words, and as exact as they are said to be."""

from pathlib import Path

import numpy as np
import pytest

from analysis.reference import (
    published_facts,
    published_models,
    published_scores,
    published_tasks,
)
from finetune.contract import TASK_METRICS
from finetune.errors import SeedbedError
from finetune.tasks import find_task
from finetune.tasks.metrics import majority_baseline


def test_all_2100_trials_are_there() -> None:
    assert published_tasks() == ("mrpc", "rte", "cola", "sst2")
    for task in published_tasks():
        scores = published_scores(task)
        size = 15 if task == "sst2" else 25
        ranks = {(wi, do) for wi in range(1, size + 1) for do in range(1, size + 1)}
        assert len(scores) == size**2
        assert set(zip(scores.wi_seed.tolist(), scores.do_seed.tolist(), strict=True)) == ranks
        assert len(set(scores.trial_id)) == size**2


@pytest.mark.parametrize(("task", "examples"), [("rte", 277), ("sst2", 872)])
def test_accuracies_are_multiples_of_one_example(task: str, examples: int) -> None:
    right = published_scores(task).score * examples
    # Five decimals of the score.
    assert np.abs(right - right.round()).max() <= 0.5e-5 * examples * 1.001


@pytest.mark.parametrize(
    ("task", "mean"), [("mrpc", 0.8250), ("rte", 0.6260), ("cola", 0.5877), ("sst2", 0.9422)]
)
def test_means_are_those_the_authors_printed(task: str, mean: float) -> None:
    assert published_scores(task).score.mean() == pytest.approx(mean, abs=5e-4)


@pytest.mark.parametrize(
    ("task", "best"), [("mrpc", 0.914), ("rte", 0.773), ("cola", 0.676), ("sst2", 0.951)]
)
def test_the_best_are_those_of_table_1(task: str, best: float) -> None:
    assert published_scores(task).score.max() == pytest.approx(best, abs=6e-4)


def test_metrics_go_by_the_names_of_the_contract() -> None:
    assert {published_scores(task).metric for task in published_tasks()} <= set(TASK_METRICS)


def test_a_task_that_the_paper_has_not_is_an_error_that_says_which_it_has() -> None:
    with pytest.raises(
        SeedbedError, match=r"no results of the task 'qnli'; it has mrpc, rte, cola"
    ):
        published_scores("qnli")


def test_table_1_is_whole_and_its_best_of_many_seeds_that_of_the_2100_trials() -> None:
    models = published_models()
    assert [model.model for model in models] == ["BERT"] * 3 + [
        "STILTs",
        "XLNet",
        "RoBERTa",
        "ALBERT",
    ]
    (of_many_seeds,) = (model for model in models if "many seeds" in model.source)
    for task in published_tasks():
        # Printed in thousandths; MRPC and CoLA are read off a figure besides.
        best = published_scores(task).score.max()
        assert of_many_seeds.score[task] == pytest.approx(best, abs=6e-4)


@pytest.mark.parametrize("task", published_tasks())
def test_no_published_score_is_below_the_baseline(task: str) -> None:
    assert published_scores(task).score.min() >= published_facts(task).majority_baseline


@pytest.mark.shared
@pytest.mark.parametrize("task", published_tasks())
def test_sizes_and_baselines_are_those_of_the_data(task: str) -> None:
    data_dir = Path(__file__).resolve().parents[3] / "shared" / "glue"
    if not data_dir.is_dir():
        pytest.skip("GLUE's files are not beside the repository")
    known = find_task(task, data_dir=data_dir)
    data = known.source.read()
    facts = published_facts(task)
    assert facts.validation_examples == len(data.validation)
    # Distributions of MRPC differ in one example of the training set.
    assert facts.train_examples == pytest.approx(len(data.train), abs=1 if task == "mrpc" else 0)
    assert facts.labels == known.outputs
    baseline = majority_baseline(known.metric, data.train.labels, data.validation.labels)
    assert baseline == pytest.approx(facts.majority_baseline, abs=0.5e-5)


@pytest.mark.shared
def test_table_1_is_the_papers() -> None:
    paper = Path(__file__).resolve().parents[3] / "shared" / "paper" / "dodge2020.txt"
    if not paper.is_file():
        pytest.skip("the paper is not beside the repository")
    text = paper.read_text(encoding="utf-8").replace("<u>", "").replace("</u>", "")
    for model in published_models():
        printed = "\t".join(f"{100 * model.score[task]:.1f}" for task in published_tasks())
        assert printed in text
