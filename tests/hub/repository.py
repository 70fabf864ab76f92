"""A repository as the Hub keeps it: commits of whole trees, one branch, tags. No HTTP in here."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


class StaleParentError(Exception):
    """The commit named as parent is not the head."""


@dataclass(frozen=True)
class Blob:
    """The content of a file, kept in git or, where it is large, beside it."""

    content: bytes
    is_large: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        """What git keeps of a large file."""
        version = "https://git-lfs.github.com/spec/v1"
        return (f"version {version}\noid sha256:{self.sha256}\nsize {len(self.content)}\n").encode()

    @property
    def git_id(self) -> str:
        kept = self.pointer if self.is_large else self.content
        return hashlib.sha1(b"blob %d\0" % len(kept) + kept).hexdigest()


@dataclass(frozen=True)
class Commit:
    id: str
    parent: str | None
    title: str
    when: datetime
    files: Mapping[str, Blob]

    @property
    def date(self) -> str:
        """When it was made, as the Hub writes it."""
        return self.when.strftime("%Y-%m-%dT%H:%M:%S.000Z")


_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_ATTRIBUTES = Blob(b"*.parquet filter=lfs diff=lfs merge=lfs -text\n", is_large=False)


@dataclass
class Repository:
    name: str
    is_private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    head: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit("initial commit", {".gitattributes": _ATTRIBUTES})

    def commit(
        self,
        title: str,
        add: Mapping[str, Blob],
        delete: tuple[str, ...] = (),
        parent: str | None = None,
    ) -> Commit:
        """Make a commit on the main branch.

        Raises:
            StaleParentError: where `parent` is given and is not the head.
            KeyError: where there is no file to delete.
        """
        if parent is not None and parent != self.head:
            raise StaleParentError
        files = dict(self.commits[self.head].files) if self.head else {}
        for path in delete:
            del files[path]
        files |= add
        when = _FIRST + timedelta(minutes=len(self.commits))
        names = "".join(f"{path}\0{blob.git_id}\0" for path, blob in sorted(files.items()))
        id_ = hashlib.sha1(f"{self.head}\0{title}\0{when}\0{names}".encode()).hexdigest()
        made = Commit(id_, self.head or None, title, when, files)
        self.commits[id_] = made
        self.head = id_
        return made

    def find(self, revision: str) -> Commit | None:
        """Return the commit that a branch, a tag or an id names."""
        if revision in ("main", "refs/heads/main"):
            return self.commits[self.head]
        return self.commits.get(self.tags.get(revision.removeprefix("refs/tags/"), revision))

    def history(self, commit: Commit) -> Iterator[Commit]:
        """Yield a commit and those before it, the latest first."""
        here: Commit | None = commit
        while here is not None:
            yield here
            here = self.commits[here.parent] if here.parent else None
