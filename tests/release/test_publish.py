"""A release is published whole, once, or not at all, whatever goes wrong on the way."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import SeedbedError
from release.bundle import Bundle
from release.errors import CheckFailedError, ConflictError, NotAllowedError, UnreachableError
from release.hub import Hub, Patience
from release.layout import version_of
from release.manifest import Staged, read_staged
from release.publish import Kind, Published, plan, publish
from tests.hub import Blob, LocalHub, Repository

# huggingface_hub 2.4 sends large files in a way that its own HTTP library has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")

REPO = "seedlings/trials"
TAG = "v1.2.3"


@pytest.fixture
def release(bundle: Bundle) -> Staged:
    return read_staged(bundle.folder)


@pytest.fixture
def edited(staged: Path) -> Callable[..., Staged]:
    """`edited(version)`: the release with another card, as that version."""

    def edit(version: str = "1.2.3") -> Staged:
        manifest = json.loads((staged / "manifest.json").read_text())
        manifest["release"]["version"] = version
        (staged / "manifest.json").write_text(json.dumps(manifest))
        with (staged / "README.md").open("a") as card:
            card.write("\nAnd more.\n")
        return read_staged(staged)

    return edit


def released(hub: Hub, release: Staged, *, private: bool = False) -> Published:
    return publish(hub, plan(hub, release), private=private)


def contents(release: Staged) -> dict[str, bytes]:
    return {file.path: (release.folder / file.path).read_bytes() for file in release.files}


def standing(local_hub: LocalHub, revision: str = TAG) -> dict[str, bytes]:
    """Return what the Hub has at a revision, without its own notes."""
    commit = local_hub.repositories[REPO].find(revision)
    assert commit is not None
    return {path: blob.content for path, blob in commit.files.items() if path != ".gitattributes"}


def assert_released_once(local_hub: LocalHub, release: Staged) -> None:
    """The Hub has one commit of the release, and the tag on it."""
    repository = local_hub.repositories[REPO]
    titles = [commit.title for commit in repository.commits.values()]
    assert titles.count(f"Release {release.tag}") == 1
    tagged = repository.commits[repository.tags[release.tag]]
    assert tagged.title == f"Release {release.tag}"
    assert standing(local_hub, release.tag) == contents(release)


def assert_nothing_of_it(local_hub: LocalHub) -> None:
    """Nobody sees anything of the release."""
    for repository in local_hub.repositories.values():
        assert TAG not in repository.tags
        assert "manifest.json" not in repository.commits[repository.head].files


# ── All well ─────────────────────────────────────────────────────────────────────────────────────
def test_a_release_is_one_commit_after_the_named_parent_and_a_tag_on_it(
    hub: Hub, local_hub: LocalHub, release: Staged
) -> None:
    published = released(hub, release)
    repository = local_hub.repositories[REPO]
    assert published == Published(
        url=f"{local_hub.url}/datasets/{REPO}/tree/{TAG}",
        commit=repository.tags[TAG],
        is_private=False,
        is_new=True,
    )
    assert_released_once(local_hub, release)
    assert [commit.title for commit in repository.commits.values()] == [
        "initial commit",
        f"Release {TAG}",
    ]
    writes = [re.sub(r"[0-9a-f]{40}", "COMMIT", path) for path in local_hub.written]
    assert writes == [
        "/api/repos/create",
        f"/api/datasets/{REPO}/commit/main",
        f"/api/datasets/{REPO}/tag/COMMIT",
    ]


def test_what_was_planned_for_no_repository_is_not_done_to_one_that_was_filled(
    hub: Hub, local_hub: LocalHub, release: Staged, edited: Callable[..., Staged]
) -> None:
    early, late = plan(hub, release), plan(hub, edited("2.0.0"))
    publish(hub, early, private=False)
    written = len(local_hub.written)
    with pytest.raises(ConflictError, match="Somebody else has made seedlings/trials meanwhile"):
        publish(hub, late, private=False)
    assert not publish(hub, early, private=False).is_new
    assert all("/repos/create" in path for path in local_hub.written[written:])


@pytest.mark.parametrize("private", [True, False])
def test_a_new_repository_is_private_or_public_as_asked(
    hub: Hub, local_hub: LocalHub, release: Staged, private: bool
) -> None:
    assert released(hub, release, private=private).is_private is private
    assert local_hub.repositories[REPO].is_private is private


def test_a_repository_that_is_there_stays_as_private_as_it_is(
    hub: Hub, local_hub: LocalHub, release: Staged
) -> None:
    local_hub.repositories[REPO] = Repository(REPO, is_private=True)
    assert released(hub, release, private=False).is_private
    assert local_hub.repositories[REPO].is_private


def test_the_second_run_says_so_and_writes_nothing(
    hub: Hub, local_hub: LocalHub, release: Staged
) -> None:
    first = released(hub, release)
    written = list(local_hub.written)
    again = plan(hub, release)
    assert again.is_released
    assert not again.writes
    second = publish(hub, again, private=False)
    assert (second.commit, second.is_new) == (first.commit, False)
    assert local_hub.written == written


def test_a_release_is_known_again_when_others_have_gone_on(
    hub: Hub, local_hub: LocalHub, release: Staged
) -> None:
    first = released(hub, release)
    local_hub.repositories[REPO].commit("by somebody", {"x.txt": Blob(b"x", is_large=False)})
    second = released(hub, release)
    assert (second.commit, second.is_new) == (first.commit, False)


def test_the_next_version_changes_what_differs_and_takes_away_what_is_gone(
    hub: Hub, local_hub: LocalHub, release: Staged, edited: Callable[..., Staged]
) -> None:
    released(hub, release)
    local_hub.repositories[REPO].commit("by somebody", {"x.txt": Blob(b"x", is_large=False)})
    following = edited("1.3.0")
    planned = plan(hub, following)
    assert {change.path: change.kind for change in planned.writes} == {
        "README.md": Kind.CHANGE,
        "manifest.json": Kind.CHANGE,
        "x.txt": Kind.DELETE,
    }
    publish(hub, planned, private=False)
    assert standing(local_hub, "v1.3.0") == contents(following)
    assert standing(local_hub, TAG) == contents(release)
    assert (
        ".gitattributes"
        in local_hub.repositories[REPO].commits[local_hub.repositories[REPO].head].files
    )


# ── The plan ─────────────────────────────────────────────────────────────────────────────────────
def test_a_plan_needs_no_token_and_writes_nothing(local_hub: LocalHub, release: Staged) -> None:
    stranger = Hub(REPO)
    planned = plan(stranger, release)
    assert planned.repository is None
    assert {change.kind for change in planned.changes} == {Kind.ADD}
    assert {c.path: c.bytes for c in planned.changes} == {f.path: f.bytes for f in release.files}
    assert {request.method for request in local_hub.requests} == {"GET"}
    assert local_hub.repositories == {}


def test_another_content_under_a_version_that_is_used_is_a_conflict(
    hub: Hub, local_hub: LocalHub, release: Staged, edited: Callable[..., Staged]
) -> None:
    released(hub, release)
    written = list(local_hub.written)
    with pytest.raises(ConflictError, match=r"has a release v1\.2\.3 already, with another"):
        plan(hub, edited())
    assert local_hub.written == written


def test_a_version_below_the_latest_is_a_conflict(
    hub: Hub, release: Staged, edited: Callable[..., Staged]
) -> None:
    released(hub, release)
    with pytest.raises(ConflictError, match=r"has a later release already, v1\.2\.3"):
        plan(hub, edited("1.2.2"))
    assert plan(hub, edited("1.10.0")).writes


def test_files_that_are_no_release_are_not_replaced(
    hub: Hub, local_hub: LocalHub, release: Staged
) -> None:
    thesis = Repository(REPO, is_private=False)
    thesis.commit("a thesis", {"thesis.tex": Blob(b"years of work", is_large=False)})
    local_hub.repositories[REPO] = thesis
    with pytest.raises(ConflictError, match="holds 2 files that are no release"):
        plan(hub, release)


def test_a_release_goes_where_its_card_says_or_nowhere(
    local_hub: LocalHub, release: Staged
) -> None:
    another = Hub("seedlings/another", token=LocalHub.WRITE)
    with pytest.raises(SeedbedError, match="was staged for seedlings/trials and is not published"):
        plan(another, release)
    assert local_hub.requests == []


@pytest.mark.parametrize(
    ("tag", "version"), [("v1.2.10", (1, 2, 10)), ("1.2.3", None), ("v1.2", None), ("main", None)]
)
def test_a_version_is_read_from_its_tag(tag: str, version: tuple[int, ...] | None) -> None:
    assert version_of(tag) == version


# ── Faults that pass ─────────────────────────────────────────────────────────────────────────────
PASSING: dict[str, dict[str, Any]] = {
    "503": {"status": 503, "body": "busy"},
    "503 twice": {"status": 503, "times": 2},
    "504, and done all the same": {"cut": "after"},
    "429": {"status": 429, "headers": {"Retry-After": "7"}},
    "cut before": {"cut": "before"},
    "cut amid": {"cut": "amid"},
}
WRITES = {"create": "/repos/create", "commit": "/commit/", "tag": "/tag/", "yaml": "/validate-yaml"}


@pytest.mark.parametrize("where", WRITES)
@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_gives_one_whole_release(
    hub: Hub, local_hub: LocalHub, release: Staged, waits: list[float], where: str, fault: str
) -> None:
    local_hub.fail("POST", WRITES[where], **PASSING[fault])
    assert released(hub, release).is_new
    assert_released_once(local_hub, release)
    assert waits
    if fault == "429":
        assert max(waits) == 7.0


@pytest.mark.parametrize("where", ["/api/datasets/seedlings/trials$", "/refs", "/tree/"])
@pytest.mark.parametrize("fault", ["503 twice", "429", "cut before"])
def test_a_fault_in_reading_passes_unseen(
    hub: Hub, local_hub: LocalHub, release: Staged, where: str, fault: str
) -> None:
    local_hub.repositories[REPO] = Repository(REPO, is_private=False)
    local_hub.fail("GET", where, **PASSING[fault])
    released(hub, release)
    assert_released_once(local_hub, release)


@pytest.mark.parametrize("where", ["/preupload/", "/lfs/objects/batch", "/lfs-verify/"])
def test_a_large_file_that_is_cut_off_is_sent_again(
    hub: Hub, local_hub: LocalHub, release: Staged, where: str
) -> None:
    local_hub.fail("POST", where, cut="amid")
    local_hub.fail("PUT", "/lfs/", cut="amid")
    released(hub, release)
    assert_released_once(local_hub, release)


def test_a_hub_that_says_nothing_is_not_waited_for_for_ever(
    local_hub: LocalHub, release: Staged, waits: list[float]
) -> None:
    hub = Hub(
        REPO,
        token=LocalHub.WRITE,
        patience=Patience(tries=2, answering=0.2, sleep=waits.append),
    )
    local_hub.fail("POST", "/commit/", wait=0.6)
    released(hub, release)
    assert waits  # it was asked again
    assert_released_once(local_hub, release)


def test_an_owner_whose_other_repository_is_being_made_is_waited_for(
    hub: Hub, local_hub: LocalHub, release: Staged, waits: list[float]
) -> None:
    busy = json.dumps({"error": "Cannot create repo: another conflicting operation is in progress"})
    local_hub.fail("POST", "/repos/create", status=409, body=busy, times=3)
    released(hub, release)
    assert_released_once(local_hub, release)
    assert len(waits) == 3


# ── Faults that stay ─────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("where", ["create", "commit", "yaml"])
@pytest.mark.parametrize("fault", ["503", "cut before", "cut amid"])
def test_a_fault_that_stays_is_told_and_leaves_nothing_of_the_release(
    hub: Hub, local_hub: LocalHub, release: Staged, where: str, fault: str
) -> None:
    local_hub.fail("POST", WRITES[where], **PASSING[fault] | {"times": 99})
    with pytest.raises(UnreachableError, match="did not answer as it should, 4 times"):
        released(hub, release)
    assert_nothing_of_it(local_hub)


def test_xet_that_cannot_be_reached_is_told_and_leaves_nothing_of_the_release(
    hub: Hub,
    local_hub: LocalHub,
    release: Staged,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    with pytest.raises(UnreachableError, match="xet-write-token"):
        released(hub, release)
    assert_nothing_of_it(local_hub)


def test_a_tag_that_could_not_be_given_is_given_by_the_next_run(
    hub: Hub, local_hub: LocalHub, release: Staged
) -> None:
    local_hub.fail("POST", "/tag/", status=503, times=4)
    with pytest.raises(UnreachableError):
        released(hub, release)
    assert TAG not in local_hub.repositories[REPO].tags
    assert released(hub, release).is_new
    assert_released_once(local_hub, release)


def test_an_owner_who_is_busy_for_ever_is_not_waited_for_for_ever(
    hub: Hub, local_hub: LocalHub, release: Staged
) -> None:
    busy = json.dumps({"error": "Cannot create repo: another conflicting operation is in progress"})
    local_hub.fail("POST", "/repos/create", status=409, body=busy, times=999)
    with pytest.raises(UnreachableError, match="busy with another repository of this owner"):
        released(hub, release)


# ── Somebody else ────────────────────────────────────────────────────────────────────────────────
def foreign_commit(local_hub: LocalHub) -> None:
    local_hub.repositories[REPO].commit("by somebody", {"x.txt": Blob(b"x", is_large=False)})


@pytest.mark.parametrize("fault", [{}, {"status": 503}, {"cut": "before"}], ids=str)
def test_a_foreign_commit_in_between_is_a_conflict_and_nothing_is_written(
    hub: Hub, local_hub: LocalHub, release: Staged, fault: dict[str, Any]
) -> None:
    local_hub.fail("POST", "/commit/", first=lambda: foreign_commit(local_hub), **fault)
    with pytest.raises(ConflictError, match="Somebody else has changed seedlings/trials meanwhile"):
        released(hub, release)
    assert_nothing_of_it(local_hub)


def test_a_foreign_commit_after_a_lost_answer_leaves_the_tag_on_ours(
    hub: Hub, local_hub: LocalHub, release: Staged
) -> None:
    local_hub.fail("POST", "/commit/", cut="after")
    local_hub.fail("GET", "/commits/", first=lambda: foreign_commit(local_hub))
    released(hub, release)
    assert_released_once(local_hub, release)
    assert local_hub.repositories[REPO].head != local_hub.repositories[REPO].tags[TAG]


def test_a_foreign_tag_in_between_is_a_conflict(
    hub: Hub, local_hub: LocalHub, release: Staged
) -> None:
    def foreign_tag() -> None:
        repository = local_hub.repositories[REPO]
        repository.tags[TAG] = next(iter(repository.commits))

    local_hub.fail("POST", "/tag/", first=foreign_tag)
    with pytest.raises(ConflictError, match=r"the tag v1\.2\.3 meanwhile, for another commit"):
        released(hub, release)


def test_a_foreign_repository_in_between_is_a_conflict(
    hub: Hub, local_hub: LocalHub, release: Staged
) -> None:
    def foreign_repository() -> None:
        local_hub.repositories[REPO] = Repository(REPO, is_private=False)
        local_hub.repositories[REPO].commit("a thesis", {"t.tex": Blob(b"t", is_large=False)})

    local_hub.fail("POST", "/repos/create", first=foreign_repository)
    with pytest.raises(ConflictError, match="that are no release"):
        released(hub, release)
    assert "t.tex" in standing(local_hub, "main")


def test_a_tree_that_is_not_what_was_staged_gets_no_tag(
    hub: Hub, local_hub: LocalHub, release: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = LocalHub.entry
    monkeypatch.setattr(
        LocalHub,
        "entry",
        lambda self, path, blob: (
            entry(self, path, blob) | ({"size": 1} if path == "LICENSE" else {})
        ),
    )
    with pytest.raises(CheckFailedError, match="given no tag: it has another LICENSE"):
        released(hub, release)
    assert local_hub.repositories[REPO].tags == {}


# ── Not allowed ──────────────────────────────────────────────────────────────────────────────────
SECRET = "hf_" + "neverToBeShown" * 2


def test_without_a_token_nothing_is_sent(local_hub: LocalHub, release: Staged) -> None:
    with pytest.raises(NotAllowedError, match="run `hf auth login`, or set HF_TOKEN"):
        released(Hub(REPO), release)
    assert local_hub.written == []


@pytest.mark.parametrize("token", [LocalHub.READ, SECRET], ids=["may read", "unknown"])
def test_a_token_that_may_not_is_told_and_not_shown(
    local_hub: LocalHub, release: Staged, token: str
) -> None:
    with pytest.raises(NotAllowedError, match="hf auth whoami") as raised:
        released(Hub(REPO, token=token), release)
    assert token not in str(raised.value)
    assert_nothing_of_it(local_hub)


def test_the_repository_of_others_is_not_written(
    local_hub: LocalHub, tmp_path: Path, bundle: Bundle, staged: Path
) -> None:
    manifest = (staged / "manifest.json").read_text()
    (staged / "manifest.json").write_text(manifest.replace(REPO, "others/trials"))
    others = Hub("others/trials", token=LocalHub.WRITE)
    with pytest.raises(NotAllowedError, match="You may not make a data set under others"):
        released(others, read_staged(staged))


def test_the_token_comes_from_the_environment(
    local_hub: LocalHub, release: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", LocalHub.WRITE)
    released(Hub(REPO), release)
    assert_released_once(local_hub, release)


@pytest.mark.parametrize("said", ["{token}", "Bearer {token} is wrong", "https://u:{token}@h/x"])
def test_a_token_is_not_shown_even_where_the_hub_says_it(
    hub: Hub, local_hub: LocalHub, release: Staged, said: str
) -> None:
    message = said.format(token=LocalHub.WRITE)
    for status in (403, 503, 400):
        local_hub.fail(
            "POST", "/repos/create", status=status, headers={"X-Error-Message": message}, times=4
        )
        with pytest.raises(SeedbedError) as raised:
            released(hub, release)
        assert LocalHub.WRITE not in str(raised.value)


# ── Exit statuses ────────────────────────────────────────────────────────────────────────────────
def test_a_script_can_tell_the_reasons_apart() -> None:
    kinds = [SeedbedError, CheckFailedError, ConflictError, NotAllowedError, UnreachableError]
    assert [kind.exit_status for kind in kinds] == [2, 3, 4, 5, 6]


def test_a_card_that_the_hub_does_not_take_is_a_failed_check(
    hub: Hub, local_hub: LocalHub, staged: Path
) -> None:
    card = staged / "README.md"
    card.write_text(card.read_text().replace("configs:", "configs: ["))
    with pytest.raises(CheckFailedError, match="The Hub does not take the release"):
        released(hub, read_staged(staged))
    assert_nothing_of_it(local_hub)


def test_no_hub_at_all_is_told(release: Staged, waits: list[float]) -> None:
    nowhere = Hub(
        REPO, endpoint="http://127.0.0.1:9", patience=Patience(tries=2, sleep=waits.append)
    )
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9 did not answer"):
        plan(nowhere, release)
