"""The files for schedulers: run with the scheduler's part played, each job takes its own shard."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "mlruns_config" / "cluster"
SLURM = FOLDER / "slurm.sh"

FINETUNE = """#!/usr/bin/env bash
echo "$PWD: $*" >> "$LOG"
if [[ -n ${WAITS:-} ]]; then
    trap 'sleep 0.3; echo saved >> "$LOG"; exit 130' TERM
    echo waiting >> "$LOG"
    for _ in $(seq 600); do sleep 0.05; done
fi
exit "${STATUS:-0}"
"""
SCONTROL = """#!/usr/bin/env bash
echo "scontrol $*" >> "$LOG"
"""


class Cluster:
    """A Slurm that is only names: it sets the variables, and its programs note their calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.submitted = folder / "where it's submitted"
        self.submitted.mkdir()
        for name, text in (("finetune", FINETUNE), ("scontrol", SCONTROL)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def start(self, number: int, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "MLFLOW"))}
        environment = inherited | {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "LOG": str(self.log),
            "SLURM_JOB_ID": str(700 + number),
            "SLURM_ARRAY_TASK_ID": str(number),
            "SLURM_ARRAY_TASK_COUNT": "16",
            "SLURM_ARRAY_TASK_MIN": "1",
            "SLURM_ARRAY_TASK_MAX": "16",
            "SLURM_SUBMIT_DIR": str(self.submitted),
            "MLFLOW_TRACKING_URI": "http://tracking:5000",
        }
        return subprocess.Popen(
            ["bash", str(SLURM), *arguments],
            env={k: v for k, v in (environment | variables).items() if v},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def test_each_job_of_the_array_runs_its_own_part(cluster: Cluster) -> None:
    for number in (1, 2, 16):
        job = cluster.start(number, "my study.yaml", "--set", "epochs=1")
        assert job.communicate()[0] == ""
        assert job.returncode == 0
    assert cluster.calls == [
        f"{cluster.submitted}: run my study.yaml --set epochs=1 --shard {number}/16"
        for number in (1, 2, 16)
    ]


def test_a_job_alone_runs_all_of_it_and_may_write_a_file(cluster: Cluster) -> None:
    alone = dict.fromkeys(
        ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN",
         "SLURM_ARRAY_TASK_MAX", "MLFLOW_TRACKING_URI"), "",
    )  # fmt: skip
    job = cluster.start(1, "demo", **alone)
    assert job.communicate()[0] == ""
    assert cluster.calls == [f"{cluster.submitted}: run demo --shard 1/1"]


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ([], {}, "Say which study"),
        (["demo"], {"MLFLOW_TRACKING_URI": ""}, "cannot write one SQLite file"),
        (["demo"], {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}, "cannot write one SQLite"),
        (["demo"], {"SLURM_ARRAY_TASK_MIN": "3"}, "must be 1-N"),
        (["demo"], {"SLURM_ARRAY_TASK_COUNT": "2"}, "must be 1-N"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    cluster: Cluster, arguments: list[str], variables: dict[str, str], message: str
) -> None:
    job = cluster.start(3, *arguments, **variables)
    assert message in job.communicate()[0]
    assert job.returncode == 2
    assert cluster.calls == []


def test_when_the_time_is_up_the_job_is_saved_and_queued_again(cluster: Cluster) -> None:
    job = cluster.start(3, "demo", WAITS="yes")
    deadline = time.monotonic() + 20
    while "waiting" not in cluster.calls and time.monotonic() < deadline:
        time.sleep(0.02)
    job.send_signal(signal.SIGTERM)
    assert job.communicate(timeout=20)[0] == "The time is up: queueing again.\n"
    assert job.returncode == 130
    assert cluster.calls[1:] == ["waiting", "saved", "scontrol requeue 703"]


def test_a_study_that_fails_is_not_queued_again(cluster: Cluster) -> None:
    job = cluster.start(3, "demo", STATUS="1")
    job.communicate()
    assert job.returncode == 1
    assert not [call for call in cluster.calls if call.startswith("scontrol")]


def test_the_script_is_clean() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    checked = subprocess.run(
        ["shellcheck", str(SLURM)], capture_output=True, text=True, check=False
    )
    assert checked.stdout == ""


def test_every_pod_of_the_kubernetes_job_runs_a_part_of_as_many_as_there_are() -> None:
    job, claim = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    shell, option = container["command"]
    (line,) = container["args"]
    shards = set()
    for index in range(spec["completions"]):
        said = subprocess.run(
            [shell, option, line.replace("exec finetune", "echo")],
            env={"JOB_COMPLETION_INDEX": str(index), "PATH": os.environ["PATH"]},
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert said.startswith("run /study/study.yaml --shard ")
        shards.add(said.split()[-1])
    assert shards == {f"{number}/{spec['completions']}" for number in range(1, 17)}
    claims = {
        v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if v["name"] == "work"
    }
    assert claims == {claim["metadata"]["name"]}
