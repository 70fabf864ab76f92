"""A data set's repository on the Hub, as a release needs it.

What reads is tried again by itself. What writes is sent once: where its answer is lost, nobody
knows whether it was done, and `UnansweredError` asks the caller to look before it is sent again.
"""

import hashlib
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import ERROR
from pathlib import Path
from typing import TypeVar

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    get_token,
    set_client_factory,
)
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OIDCError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import httpx, logging  # type: ignore[attr-defined] # made on demand
from huggingface_hub.utils._http import default_client_factory
from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from finetune.errors import SeedbedError
from release.answers import CLIENTS_ERRORS, UnansweredError, shown, told
from release.errors import CheckFailedError, NotAllowedError, UnreachableError
from release.layout import version_of
from release.manifest import ReleasedFile

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class RemoteFile:
    """A file as the Hub lists it.

    Attributes:
        path: where it stands in the repository.
        bytes: its size.
        sha256: of its content, 64 hex digits; None where the Hub keeps it in git itself.
        blob_id: git's name of its content, 40 hex digits; of its pointer where `sha256` is known.
    """

    path: str
    bytes: int
    sha256: str | None
    blob_id: str

    def is_same(self, file: ReleasedFile, folder: Path) -> bool:
        """Whether it has the content of a release's file, which stands in `folder`."""
        if self.bytes != file.bytes:
            return False
        if self.sha256 is not None:
            return self.sha256 == file.sha256
        return self.blob_id == git_blob_id((folder / file.path).read_bytes())


def git_blob_id(content: bytes) -> str:
    """Return git's name of a file's content: 40 hex digits."""
    # A name by which git finds contents, which is no matter of security.
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


Tree = Mapping[str, RemoteFile]
"""The files of a commit, by path."""


@dataclass(frozen=True)
class Repository:
    """How a repository stands.

    Attributes:
        head: the last commit of its main branch, 40 hex digits.
        is_private: whether only its owners see it.
        tree: the files at `head`.
        tags: the commit of each tag.
    """

    head: str
    is_private: bool
    tree: Tree
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Patience:
    """How long the Hub is waited for.

    Attributes:
        tries: of each request, the first included.
        first_pause: seconds before the second try; each further pause is twice as long.
        longest_pause: seconds; what the Hub asks for is cut to it too.
        connecting: seconds that a connection may take.
        answering: seconds without a byte; the Hub itself gives up a commit after 60.
        sleep: what waits so many seconds.
    """

    tries: int = 6
    first_pause: float = 1.0
    longest_pause: float = 60.0
    connecting: float = 10.0
    answering: float = 120.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def pause(self, tried: int, asked: float | None = None) -> None:
        """Wait before the next try; after the last there is none.

        Args:
            tried: how many tries came before the one that failed, from 0.
            asked: seconds that the Hub asks for.
        """
        if tried < self.tries - 1:
            own = self.first_pause * 2**tried
            self.sleep(min(max(own, asked or 0.0), self.longest_pause))


class Hub:
    """The repository of a data set on the Hub.

    Args:
        repo: `owner/name`.
        endpoint: address of another Hub than `HF_ENDPOINT` or the public one.
        token: to be used in place of the environment's or the login's.
        patience: how long is waited.
    """

    def __init__(
        self,
        repo: str,
        *,
        endpoint: str | None = None,
        token: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.repo = repo
        self.patience = patience or Patience()
        self._token = token
        self._api = HfApi(endpoint=endpoint, token=token, library_name="seedbed")
        self._is_connected = False

    @property
    def url(self) -> str:
        """The page of the data set."""
        return f"{self._api.endpoint}/datasets/{self.repo}"

    def require_login(self) -> None:
        """Do nothing where there is a token to write with.

        Raises:
            NotAllowedError: where there is none.
        """
        try:
            token = self._token or get_token()
        except OIDCError as error:
            raise NotAllowedError(f"The Hub gave this job no token: {error}") from error
        if not token:
            raise NotAllowedError(
                "There is no token for the Hub: run `hf auth login`, or set HF_TOKEN to one that "
                f"may write to {self.repo}."
            )

    # ── Reading ──────────────────────────────────────────────────────────────────────────────────
    def read(self) -> Repository | None:
        """Return how the repository stands; None where there is none that this user may see.

        Raises:
            NotAllowedError: where the token is refused.
            UnreachableError: where the Hub does not answer.
        """

        def ask() -> Repository | None:
            try:
                info = self._api.dataset_info(self.repo)
                refs = self._api.list_repo_refs(self.repo, repo_type="dataset")
            except (RepositoryNotFoundError, GatedRepoError):
                return None
            assert info.sha is not None
            return Repository(
                head=info.sha,
                is_private=bool(info.private),
                tree=self._list(info.sha),
                tags={tag.name: tag.target_commit for tag in refs.tags},
            )

        return self._patiently(ask)

    def latest_version(self) -> str:
        """Return the tag of the latest release.

        Raises:
            SeedbedError: where there is none that this user may see.
        """

        def ask() -> list[str]:
            try:
                refs = self._api.list_repo_refs(self.repo, repo_type="dataset")
            except RepositoryNotFoundError as error:
                raise self._absent() from error
            return [tag.name for tag in refs.tags]

        versions = {version_of(tag): tag for tag in self._patiently(ask)}
        latest = max(filter(None, versions), default=None)
        if latest is None:
            raise SeedbedError(f"{self.repo} has no release: none of its tags is like v1.0.0.")
        return versions[latest]

    def tree(self, revision: str) -> Tree:
        """Return the files of a commit, a tag or a branch."""
        return self._patiently(lambda: self._list(revision))

    def commits_after(self, commit: str) -> list[str]:
        """Return the commits of the main branch that came after one, the first of them first."""

        def ask() -> list[str]:
            history = self._api.list_repo_commits(self.repo, repo_type="dataset")
            ids = [each.commit_id for each in history]
            return list(reversed(ids[: ids.index(commit)] if commit in ids else ids))

        return self._patiently(ask)

    def text(self, revision: str, path: str) -> str | None:
        """Return the text of a file; None where there is none that this user may see.

        Nothing is left in any cache.
        """

        def ask() -> str | None:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    file = self._api.hf_hub_download(
                        self.repo, path, repo_type="dataset", revision=revision, local_dir=folder
                    )
                except (
                    RemoteEntryNotFoundError,
                    RepositoryNotFoundError,
                    RevisionNotFoundError,
                ):
                    return None
                return Path(file).read_text(encoding="utf-8")

        return self._patiently(ask)

    def download(self, revision: str, paths: Iterable[str] | None = None) -> Path:
        """Return a folder of the Hub's cache with the files of a revision.

        Args:
            revision: a tag or a commit.
            paths: patterns of the files wanted; all by default.

        Raises:
            SeedbedError: where there is no such repository or revision.
        """

        def ask() -> Path:
            try:
                return Path(
                    self._api.snapshot_download(
                        self.repo,
                        repo_type="dataset",
                        revision=revision,
                        allow_patterns=None if paths is None else list(paths),
                    )
                )
            except RevisionNotFoundError as error:
                raise SeedbedError(
                    f"{self.repo} has no {revision}: {self.url}/tree/main lists its versions."
                ) from error
            except RepositoryNotFoundError as error:
                raise self._absent() from error

        return self._patiently(ask)

    def _list(self, revision: str) -> Tree:
        entries = self._api.list_repo_tree(
            self.repo, recursive=True, revision=revision, repo_type="dataset"
        )
        return {
            entry.path: RemoteFile(
                entry.path, entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id
            )
            for entry in entries
            if isinstance(entry, RepoFile)
        }

    def _patiently(self, ask: Callable[[], _Answer]) -> _Answer:
        """Return the answer to what only reads, asked again while the Hub is busy."""
        for tried in range(self.patience.tries):
            try:
                with self._session():
                    return ask()
            except UnansweredError as fault:
                unanswered = fault
                self.patience.pause(tried, fault.wait)
        raise self.unreachable(unanswered)

    # ── Writing ──────────────────────────────────────────────────────────────────────────────────
    def create(self, *, private: bool) -> None:
        """Make the repository; one that is there already stays as it is.

        Raises:
            UnansweredError: where it is unknown whether it was made.
        """
        with self._session():
            try:
                self._api.create_repo(self.repo, private=private, repo_type="dataset")
            except HfHubHTTPError as error:
                if error.response.status_code != httpx.codes.CONFLICT:
                    raise

    def commit(
        self, parent: str, add: Mapping[str, Path], delete: Iterable[str], title: str
    ) -> str:
        """Make one commit on the main branch and return its id.

        Args:
            parent: the commit that it must follow, 40 hex digits.
            add: the local file of each path that is new or other.
            delete: the paths that go.
            title: of the commit.

        Raises:
            UnansweredError: where it is unknown whether it was made, or another came before it.
        """
        # Made anew for each try: the client writes into them what it has done already.
        operations: list[CommitOperationAdd | CommitOperationDelete | CommitOperationCopy] = [
            *(CommitOperationAdd(path, file) for path, file in sorted(add.items())),
            *(CommitOperationDelete(path) for path in sorted(delete)),
        ]
        with self._session():
            try:
                made = self._api.create_commit(
                    self.repo,
                    operations,
                    commit_message=title,
                    repo_type="dataset",
                    revision="main",
                    parent_commit=parent,
                )
            except HfHubHTTPError:  # some are ValueErrors too
                raise
            except json.JSONDecodeError as error:
                raise UnansweredError("what it sent back is no answer") from error
            except ValueError as error:
                raise CheckFailedError(
                    f"The Hub does not take the release: {shown(str(error), self._token)}."
                ) from error
        return str(made.oid)

    def tag(self, name: str, commit: str) -> None:
        """Give a commit a tag.

        Raises:
            UnansweredError: where it is unknown whether it has it now, or the tag is taken.
        """
        with self._session():
            self._api.create_tag(self.repo, tag=name, revision=commit, repo_type="dataset")

    # ── Faults ───────────────────────────────────────────────────────────────────────────────────
    def _absent(self) -> SeedbedError:
        return SeedbedError(
            f"There is no data set {self.repo} on the Hub that you may see: check its name, and "
            "`hf auth login` if it is private."
        )

    def unreachable(self, fault: UnansweredError) -> UnreachableError:
        """Return the error that says that patience is at its end."""
        return UnreachableError(
            f"{self._api.endpoint} did not answer as it should, {self.patience.tries} times: "
            f"{fault}. Try again later; the same command goes on where this one stopped."
        )

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Keep one connection while the block runs; each call by itself opens one of its own.

        The connection has time-outs, of which the client has none. It is the client's own, and so
        the whole process's.
        """
        if self._is_connected:
            yield
            return
        set_client_factory(self._client)
        self._is_connected = True
        try:
            with _quiet():
                yield
        finally:
            self._is_connected = False
            set_client_factory(default_client_factory)

    @contextmanager
    def _session(self) -> Iterator[None]:
        """Be connected, and tell the client's errors in our words."""
        with self.connected():
            try:
                yield
            except CLIENTS_ERRORS as error:
                raise told(error, self.repo, self._token) from error

    def _client(self) -> httpx.Client:
        client: httpx.Client = default_client_factory()
        client.timeout = httpx.Timeout(self.patience.answering, connect=self.patience.connecting)
        client.event_hooks = client.event_hooks | {"response": [self._end_of_conflicts()]}
        return client

    def _end_of_conflicts(self) -> Callable[[httpx.Response], None]:
        """Return a hook that ends a loop of the client's.

        While the Hub is busy with another repository of the same owner, `create_repo` asks again
        at once and for ever.
        """
        conflicts = itertools.count()

        def look(response: httpx.Response) -> None:
            if response.status_code != httpx.codes.CONFLICT:
                return
            response.read()
            if "another conflicting operation is in progress" in response.text:
                tried = next(conflicts)
                if tried >= self.patience.tries - 1:
                    raise httpx.ReadTimeout("it is busy with another repository of this owner")
                self.patience.pause(tried)

        return look


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client from showing bars, and warnings with addresses that bear signatures."""
    verbosity, had_bars = logging.get_verbosity(), not are_progress_bars_disabled()
    logging.set_verbosity(ERROR)
    disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bars:
            enable_progress_bars()
