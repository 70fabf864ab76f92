"""Publishing a staged release: a plan, one commit, one tag, and a look at what then stands there.

The files of a release become visible all at once, with the one commit that names them; the version
with its tag, which comes last, after the Hub's tree has been compared with the manifest. So nobody
ever sees half a release. And none is made twice: where an answer is lost, the repository is looked
at before anything is sent again, and a commit that names its parent cannot follow another one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from finetune.errors import SeedbedError
from release.answers import UnansweredError
from release.errors import CheckFailedError, ConflictError
from release.hub import Hub, Repository, Tree
from release.layout import CARD, CHECKSUMS, MANIFEST, data_path, version_of
from release.manifest import Staged


class Kind(StrEnum):
    """What becomes of a file of the repository."""

    ADD = "add"
    CHANGE = "change"
    DELETE = "delete"
    SAME = "same"


@dataclass(frozen=True)
class Change:
    """What becomes of one file.

    Attributes:
        path: where it stands.
        kind: what becomes of it.
        bytes: its size afterwards; of one that goes, before.
    """

    path: str
    kind: Kind
    bytes: int


@dataclass(frozen=True)
class Plan:
    """What publishing a release would do to the repository as it stands.

    Attributes:
        release: what would be published.
        repository: how the repository stands; None where there is none that this user may see.
        changes: of each file of the release or the repository, by path.
        is_released: whether this very release is there already, tag and all.
    """

    release: Staged
    repository: Repository | None
    changes: tuple[Change, ...]
    is_released: bool = False

    @cached_property
    def writes(self) -> tuple[Change, ...]:
        """The changes that are any."""
        return tuple(change for change in self.changes if change.kind is not Kind.SAME)


@dataclass(frozen=True)
class Published:
    """A release as it stands on the Hub.

    Attributes:
        url: the page of this version.
        commit: what its tag names, 40 hex digits.
        is_private: whether only its owners see it.
        is_new: whether anything was written.
    """

    url: str
    commit: str
    is_private: bool
    is_new: bool


# ── The plan ─────────────────────────────────────────────────────────────────────────────────────
def plan(hub: Hub, release: Staged) -> Plan:
    """Return what publishing would do; nothing is written, and no token is needed.

    Raises:
        SeedbedError: where the release was staged for another repository than the Hub's, or none.
        ConflictError: where its version is released with another content or a later one is, or
            where the repository holds something else than releases.
        NotAllowedError: where the Hub refuses the token that it was given.
        UnreachableError: where the Hub does not answer.
    """
    if release.repo != hub.repo:
        where = f"for {release.repo}" if release.repo else "without a repository"
        raise SeedbedError(
            f"{release.folder} was staged {where} and is not published to {hub.repo}: a release "
            "goes where its card says, or nowhere. Stage your own trials with --repo."
        )
    with hub.connected():
        return _plan_for(hub, release, hub.read())


def plan_for_nowhere(release: Staged) -> Plan:
    """Return what publishing to a new repository would do, without asking the Hub."""
    return Plan(release, None, _changes(release, {}))


def _plan_for(hub: Hub, release: Staged, repository: Repository | None) -> Plan:
    if repository is None:
        return plan_for_nowhere(release)
    tagged = repository.tags.get(release.tag)
    if tagged is None:
        _check_holds_releases(hub, repository)
        _check_is_latest(hub, release, repository)
        return Plan(release, repository, _changes(release, repository.tree))

    there = Plan(release, repository, _changes(release, hub.tree(tagged)), is_released=True)
    if there.writes:
        raise ConflictError(
            f"{hub.repo} has a release {release.tag} already, with another content: "
            f"{_named(there.writes)}. A version is published once: give this one a higher "
            "--version."
        )
    return there


def _changes(release: Staged, tree: Tree) -> tuple[Change, ...]:
    return tuple(sorted(_each_change(release, tree), key=lambda change: change.path))


def _each_change(release: Staged, tree: Tree) -> Iterator[Change]:
    for file in release.files:
        there = tree.get(file.path)
        if there is None:
            kind = Kind.ADD
        else:
            kind = Kind.SAME if there.is_same(file, release.folder) else Kind.CHANGE
        yield Change(file.path, kind, file.bytes)
    ours = {file.path for file in release.files} | {_HUBS_OWN}
    yield from (
        Change(path, Kind.DELETE, there.bytes) for path, there in tree.items() if path not in ours
    )


_HUBS_OWN = ".gitattributes"
"""The Hub's note to itself of which files are large; it is never touched."""


def _check_holds_releases(hub: Hub, repository: Repository) -> None:
    """Refuse to replace files that are no release: the repository's name may be mistyped."""
    is_new = set(repository.tree) <= {_HUBS_OWN, CARD}
    if not is_new and not {MANIFEST, CHECKSUMS, data_path("trials")} <= set(repository.tree):
        raise ConflictError(
            f"{hub.repo} holds {len(repository.tree)} files that are no release, so nothing there "
            "is replaced: name another repository, or a new one."
        )


def _check_is_latest(hub: Hub, release: Staged, repository: Repository) -> None:
    latest = max(filter(None, map(version_of, repository.tags)), default=None)
    if latest and latest > (version_of(release.tag) or latest):
        number = ".".join(map(str, latest))
        raise ConflictError(
            f"{hub.repo} has a later release already, v{number}: give this one a higher --version."
        )


# ── Publishing ───────────────────────────────────────────────────────────────────────────────────
def publish(hub: Hub, planned: Plan, *, private: bool) -> Published:
    """Do what was planned; where the release is there already, do nothing.

    Args:
        hub: where to.
        planned: by `plan`; what it says is what is done, or a conflict.
        private: whether a repository that has to be made is shown to its owners only. One that is
            there stays as it is.

    Raises:
        ConflictError: where somebody else has changed the repository since it was planned.
        CheckFailedError: where the Hub refuses a file, or what stands there is not what was staged;
            it then has no tag.
        NotAllowedError: where there is no token, or it may not write there.
        UnreachableError: where the Hub does not answer; the same again goes on from there.
    """
    with hub.connected():
        if planned.repository is None and not planned.is_released:
            hub.require_login()
            planned = _as_planned(planned, _plan_for(hub, planned.release, _created(hub, private)))
        assert planned.repository is not None
        if planned.is_released:
            commit = planned.repository.tags[planned.release.tag]
        else:
            hub.require_login()
            commit = _committed(hub, planned)
            _verify(hub, planned.release, commit)
            _give_tag(hub, planned.release.tag, commit)
    return Published(
        url=f"{hub.url}/tree/{planned.release.tag}",
        commit=commit,
        is_private=planned.repository.is_private,
        is_new=not planned.is_released,
    )


def _as_planned(before: Plan, now: Plan) -> Plan:
    """Return the plan for the repository that has been made, where it is what was planned.

    Raises:
        ConflictError: where somebody else has filled it meanwhile.
    """
    if not now.is_released and now.writes != before.writes:
        raise ConflictError(
            f"Somebody else has made {now.release.repo} meanwhile, and nothing of this release was "
            "written: run the same command again to see what it would change there."
        )
    return now


def _created(hub: Hub, private: bool) -> Repository:
    """Make the repository and return it as it stands."""
    fault = UnansweredError("the new repository is not there")
    for tried in range(hub.patience.tries):
        try:
            hub.create(private=private)
        except UnansweredError as unanswered:
            fault = unanswered
            hub.patience.pause(tried, fault.wait)
        if (repository := hub.read()) is not None:
            return repository
    raise hub.unreachable(fault)


def _committed(hub: Hub, planned: Plan) -> str:
    """Make the commit and return it; where nothing is left to commit, return the head."""
    assert planned.repository is not None
    parent, release = planned.repository.head, planned.release
    if not planned.writes:
        return parent
    delete = [change.path for change in planned.writes if change.kind is Kind.DELETE]
    add = {
        change.path: release.folder / change.path
        for change in planned.writes
        if change.kind is not Kind.DELETE
    }
    for tried in range(hub.patience.tries):
        try:
            return hub.commit(parent, add, delete, f"Release {release.tag}")
        except UnansweredError as unanswered:
            fault = unanswered
        hub.patience.pause(tried, fault.wait)
        if (landed := _landed(hub, release, parent)) is not None:
            return landed
    raise hub.unreachable(fault)


def _landed(hub: Hub, release: Staged, parent: str) -> str | None:
    """Return the commit after `parent` that holds the release; None while none came after it.

    Raises:
        ConflictError: where others did, and this one did not.
    """
    after = hub.commits_after(parent)
    for commit in after:
        if not _unlike(release, hub.tree(commit)):
            return commit
    if after:
        raise ConflictError(
            f"Somebody else has changed {hub.repo} meanwhile, and nothing of this release was "
            f"written: see {hub.url}/commits/main, and run the same command again."
        )
    return None


def _unlike(release: Staged, tree: Tree) -> list[Change]:
    return [change for change in _changes(release, tree) if change.kind is not Kind.SAME]


def _verify(hub: Hub, release: Staged, commit: str) -> None:
    """Compare what stands at a commit with what was staged, file by file.

    Raises:
        CheckFailedError: where they differ.
    """
    if unlike := _unlike(release, hub.tree(commit)):
        raise CheckFailedError(
            f"What stands at {hub.url}/tree/{commit} is not what was staged, and was given no tag: "
            f"{_named(tuple(unlike))}."
        )


def _give_tag(hub: Hub, tag: str, commit: str) -> None:
    """Give the commit its tag, and see that it has it."""
    fault = UnansweredError("the new tag is not there")
    for tried in range(hub.patience.tries):
        try:
            hub.tag(tag, commit)
        except UnansweredError as unanswered:
            fault = unanswered
            hub.patience.pause(tried, fault.wait)
        repository = hub.read()
        tagged = repository and repository.tags.get(tag)
        if tagged == commit:
            return
        if tagged:
            raise ConflictError(
                f"Somebody else has given {hub.repo} the tag {tag} meanwhile, for another commit: "
                f"see {hub.url}/commits/main, and choose a higher --version."
            )
    raise hub.unreachable(fault)


_FILES_NAMED = 3


def _named(changes: tuple[Change, ...]) -> str:
    """Return what differs, in words: the first files, and how many more."""
    words = {Kind.ADD: "lacks", Kind.CHANGE: "has another", Kind.DELETE: "also has"}
    first = ", ".join(f"{words[change.kind]} {change.path}" for change in changes[:_FILES_NAMED])
    more = len(changes) - _FILES_NAMED
    return f"it {first}{f', and {more} more' if more > 0 else ''}"
