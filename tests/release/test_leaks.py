"""Nothing that names a person, a machine, a path, an address or a key goes unseen."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.leaks import Identity, leaks

ALICE = Identity(
    user="alice", host="gpubox.lab.example", folders=(Path("/home/alice"), Path("/data"))
)

KEYS = [
    "hf_" + "aB3" * 8,
    "ghp_" + "aB3" * 8,
    "github_pat_" + "aB3_" * 8,
    "glpat-" + "aB3-" * 6,
    "AKIA" + "A1B2" * 4,
    "AIza" + "aB3-" * 9,
    "sk-" + "aB3-" * 8,
    "xoxb-" + "123-" * 4,
    "dapi" + "0f" * 16,
    "pypi-" + "aB3" * 8,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "-----BEGIN OPENSSH PRIVATE KEY-----",
]
PASSWORDS = [
    "password=hunter2",
    "API_KEY: 12345",
    '"secret": "x"',
    "postgresql+psycopg2://mlflow:hunter2@db:5432/mlflow",
    "https://token@huggingface.co/datasets/a/b",
]
PLACES = {
    "an e-mail address": ["jane.doe+hub@example.org", "git@example.org:group/code"],
    "a network address": ["10.0.12.7", "fe80::1f", "2001:db8:0:0:0:0:0:1", "00:1b:44:11:3a:b7"],
    "an absolute path": [
        "/scratch/bob/run7/model.bin",
        "/tmp",
        "/root",
        "~/models/bert",
        "~bob/models",
        r"C:\Users\bob\models",
        "D:/models/bert",
        r"\\server\share",
    ],
    "an address": [
        "sqlite:////scratch/mlflow.db",
        "file:/scratch/x",
        "http://tracking:5000",
        "s3://bucket/x",
        "https://intranet.example/wiki",
        "https://huggingface.co.example.org/x",
        "http://huggingface.co/x",
    ],
    "a folder of this machine": ["/home/alice/cache", "/data", "in /data/glue"],
    "the name of this user": ["alice", "run by Alice", "alice_test", "(alice)"],
    "the name of this machine": ["gpubox.lab.example", "on gpubox", "GPUBOX-1"],
}  # fmt: skip

HARMLESS = [
    "",
    "malice and alicee",
    "bert-large-uncased",
    "google/bert_uncased_L-2_H-128_A-2",
    "NVIDIA H100 80GB HBM3",
    "AMD EPYC 7B13 64-Core Processor",
    "2.13.0+cpu",
    "3.11.7",
    "12:30:45",
    "2026-01-01T12:30:45Z",
    "WI/DO seeds, and/or both",
    "data/train_steps/*/*.parquet",
    "../shared/glue",
    "</details>",
    "https://arxiv.org/abs/2002.06305",
    "hf://datasets/owner/name@v1.0.0/data/trials/*.parquet",
    "Longest sequence; the rest is cut off (tokens).",
    "0123456789abcdef0123456789abcdef01234567",
]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("a key or token", key) for key in KEYS),
        *(("a password", text) for text in PASSWORDS),
        *((kind, text) for kind, texts in PLACES.items() for text in texts),
    ],
)
def test_each_kind_is_found_and_named_once(kind: str, text: str) -> None:
    assert [leak.kind for leak in leaks(text, ALICE)] == [kind]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_a_release_rightly_says_is_no_leak(text: str) -> None:
    assert leaks(text, ALICE) == []


@given(before=st.text(), after=st.text(), secret=st.sampled_from([*KEYS, *PASSWORDS[:1]]))
def test_a_secret_is_found_amid_any_text(before: str, after: str, secret: str) -> None:
    kinds = {leak.kind for leak in leaks(f"{before} {secret} {after}", ALICE)}
    assert kinds & {"a key or token", "a password"}


@given(
    before=st.text(),
    after=st.text(),
    place=st.sampled_from(["/home/alice/x", "10.0.12.7", "gpubox", "jane@example.org"]),
)
def test_a_place_or_name_is_found_amid_any_text(before: str, after: str, place: str) -> None:
    assert leaks(f"{before} {place} {after}", ALICE)


@pytest.mark.parametrize("secret", [*KEYS, *PASSWORDS])
def test_a_secret_is_never_shown_whole(secret: str) -> None:
    for text in (secret, f"/scratch/{secret}/x", f"s3://bucket/{secret}"):
        for leak in leaks(text, ALICE):
            assert secret not in str(leak)
            assert "hunter2" not in str(leak)


def test_what_a_person_has_reviewed_may_go_out() -> None:
    text = "Trials by Alice Liddell at alice/trials"
    assert leaks(text, ALICE)
    assert leaks(text, ALICE, reviewed=("alice/trials", "Alice Liddell")) == []


def test_reviewing_one_thing_hides_no_other() -> None:
    [leak] = leaks("alice/trials by alice", ALICE, reviewed=("alice/trials",))
    assert leak.kind == "the name of this user"


def test_a_reviewed_word_within_a_longer_one_leaves_that_whole() -> None:
    reviewed = ("gpubox", "/mnt/gpubox/models")
    assert leaks("gpubox: /mnt/gpubox/models", ALICE, reviewed) == []


def test_a_leak_is_named_once_however_often_it_stands_there() -> None:
    assert len(leaks("alice alice alice", ALICE)) == 1


def test_names_that_fit_everybody_are_not_searched_for() -> None:
    nobody = Identity(user="root", host="localhost", folders=(Path("/"),))
    assert leaks("the root of localhost, data/trials", nobody) == []
    anonymous = Identity(user="", host="vm", folders=())
    assert leaks("vm runs without a name", anonymous) == []


def test_this_process_knows_its_own_home_and_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "zelda"))
    monkeypatch.setenv("LOGNAME", "zelda")
    monkeypatch.chdir(tmp_path)
    here = Identity.here()
    assert here.user == "zelda"
    assert here.host
    assert here.folders == (tmp_path / "zelda", tmp_path)


def test_a_process_without_a_user_or_a_home_is_searched_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nameless() -> str:
        raise OSError("no such user")

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr("getpass.getuser", nameless)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.chdir(tmp_path)
    assert leaks(f"in {tmp_path}/x", Identity.here())
