"""The losses of a trial of the embedded encoder are what they were when this was written.

To rounding, since processors differ in it: a change of the streams, the data, the weights, the
optimiser or the loop shows here far above that.
"""

import pytest
import torch

from finetune.events import Step
from finetune.executors.base import Assignment, Supplies
from finetune.executors.worker import Worker
from finetune.grid import plan
from finetune.study_file import parse_study

STUDY = """
study: golden
model: embedded
tasks: [acceptability, entailment]
wi_seeds: 12
do_seeds: 3
train_examples: 80
validation_examples: 40
recipe: {preset: PRESET, epochs: 2, learning_rate: 1.0e-3}
"""

GOLDEN: dict[tuple[str, str], list[float]] = {
    ("paper", "acceptability"): [
        0.7267,
        0.689241,
        0.672785,
        0.639284,
        0.715436,
        0.617901,
        0.768516,
        0.647574,
        0.537413,
        0.776913,
    ],
    ("paper", "entailment"): [
        0.681838,
        0.686832,
        0.656663,
        0.746012,
        0.595006,
        0.567704,
        0.662488,
        0.653562,
        0.570686,
        0.644468,
    ],
    ("released-code", "acceptability"): [
        0.7267,
        0.687358,
        0.678874,
        0.648092,
        0.688008,
        0.624042,
        0.68104,
        0.62714,
        0.558836,
        0.710216,
    ],
    ("released-code", "entailment"): [
        0.681838,
        0.701589,
        0.675952,
        0.643267,
        0.576919,
        0.538457,
        0.565509,
        0.550618,
        0.520101,
        0.503583,
    ],
    ("modern", "acceptability"): [
        0.7267,
        0.689241,
        0.659493,
        0.652945,
        0.703658,
        0.658803,
        0.651652,
        0.679816,
        0.651564,
        0.704858,
    ],
    ("modern", "entailment"): [
        0.681838,
        0.686832,
        0.695646,
        0.716741,
        0.627746,
        0.594798,
        0.662084,
        0.629435,
        0.648211,
        0.616618,
    ],
}


@pytest.mark.parametrize("preset", ["paper", "released-code", "modern"])
def test_the_losses_of_a_trial_are_pinned(preset: str) -> None:
    laid_out = plan(parse_study(STUDY.replace("PRESET", preset), "study.yaml"))
    threads = torch.get_num_threads()
    worker = Worker(Supplies(laid_out.pretrained, laid_out.tasks))
    try:
        for trial in laid_out.trials():
            events = worker.run(Assignment(trial))
            losses = [event.loss for event in events if isinstance(event, Step)]
            assert losses == pytest.approx(GOLDEN[preset, trial.task], rel=1e-4)
    finally:
        torch.set_num_threads(threads)
