"""Trials on a real Ray cluster of several nodes, one of which is lost on the way."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.driver import run
from finetune.errors import SeedbedError
from finetune.events import Ended, Lost, SavedState, Started
from finetune.executors import InlineExecutor, Supplies
from finetune.executors.ray import RayExecutor, connect, room
from finetune.grid import Plan, plan
from finetune.study_file import parse_study
from finetune.tracking import Tracker
from tests.drivers import contents

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [
    pytest.mark.slow,
    # Ray's own processes and sockets outlive the objects that it keeps of them.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

STUDY = """
study: tiny
model: "{model}"
tasks: [entailment]
wi_seeds: 1-2
do_seeds: 1-2
train_examples: 48
validation_examples: 16
recipe: {{epochs: 200, batch_size: 8, max_length: 32, evaluate: 1 per epoch, learning_rate: 1.0e-3}}
"""


class Nodes:
    """A cluster on this machine: a head that runs nothing, and nodes of a core each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        head = {"num_cpus": 0, "include_dashboard": False}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self.nodes = [self._cluster.add_node(num_cpus=1) for _ in range(2)]
        self.address: str = self._cluster.address

    def kill(self) -> None:
        """Lose a node, as if its power had gone."""
        self._cluster.remove_node(self.nodes.pop(), allow_graceful=False)

    def shutdown(self) -> None:
        ray.shutdown()
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    if ray.is_initialized():
        ray.shutdown()
    nodes = Nodes()
    connect(nodes.address)
    yield nodes
    nodes.shutdown()


@pytest.fixture
def laid_out(tiny_encoder: Path) -> Plan:
    return plan(parse_study(STUDY.format(model=tiny_encoder), "study.yaml"))


def test_the_cluster_has_room_for_a_worker_on_each_core(cluster: Nodes) -> None:
    assert room(0.0) == 2
    with pytest.raises(SeedbedError, match=r"2 cores and 0 GPUs: no room for a worker"):
        room(0.5)


def test_a_study_outlives_a_node_and_has_the_numbers_of_an_undisturbed_one(
    cluster: Nodes, laid_out: Plan, tmp_path: Path
) -> None:
    supplies = Supplies(laid_out.pretrained, laid_out.tasks)
    undisturbed = Tracker(f"sqlite:///{tmp_path}/undisturbed.db")
    list(run(laid_out, laid_out.trials(), InlineExecutor(supplies), undisturbed))

    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db")
    executor = RayExecutor(supplies, address=cluster.address)
    is_whole = True
    under_way: dict[str, int] = {}
    course: list[tuple[str, Any]] = []
    for report in run(laid_out, laid_out.trials(), executor, tracker, save_every=0.0):
        name, event = report.trial.name, report.event
        if isinstance(event, Started | Lost | Ended):
            course.append((name, event))
            under_way[name] = 0
        if isinstance(event, SavedState):
            under_way[name] = event.step
        if isinstance(event, Ended):
            del under_way[name]
        if is_whole and len(under_way) == 2 and all(under_way.values()):
            # Each node is at a trial that has a state to go on from.
            cluster.kill()
            is_whole = False
    assert not is_whole
    lost = {name for name, event in course if isinstance(event, Lost)}
    taken_up = {name for name, event in course if isinstance(event, Started) and event.step}
    assert len(lost) == 1, course
    assert taken_up == lost, course
    assert not [event for _, event in course if isinstance(event, Ended) and event.error]
    assert contents(tracker.store, "tiny") == contents(undisturbed.store, "tiny")
    kept = [trial for trial in tracker.trials("tiny").values() if trial.model_step is not None]
    assert len(kept) == 1
    tracker.fetch_model(kept[0].run_id, tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_a_cluster_that_is_not_there_is_said_to_be_missing() -> None:
    if ray.is_initialized():
        ray.shutdown()
    with pytest.raises(SeedbedError, match=r"Ray: .*ray start"):
        connect("127.0.0.1:1")
