"""The local Hub's HTTP: routes, who may what, and the faults that tests put in."""

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import yaml

from tests.hub.messages import Answer, Asked, Fault, RefusalError, Request, as_json
from tests.hub.repository import Blob, Commit, Repository, StaleParentError

PAGE = 5
"""Entries of a page of the tree: few, so that every listing has more than one."""


class LocalHub:
    """A Hub with two users' tokens, run in a thread of this process.

    Attributes:
        url: where it listens.
        storage_url: where large files are, to which readers are sent on.
        owner: the user of `WRITE` and `READ`, whose data sets can be made and written.
        repositories: by name.
        requests: all that was asked, in order.
    """

    WRITE = "hf_" + "localWriteToken" * 2
    READ = "hf_" + "localReadToken" * 2
    owner = "seedlings"

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.large: dict[str, bytes] = {}
        self._faults: list[Fault] = []
        self._lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self))
        # At another port, since clients take what is at another address for no part of the Hub.
        self._storage = _Server(("127.0.0.1", 0), partial(_Handler, self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.storage_url = f"http://127.0.0.1:{self._storage.server_port}"

    @contextmanager
    def running(self) -> Iterator["LocalHub"]:
        """Listen while the block runs."""
        servers = (self._server, self._storage)
        threads = [
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            for server in servers
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            for server, thread in zip(servers, threads, strict=True):
                server.shutdown()
                server.server_close()
                thread.join()

    def fail(self, method: str, pattern: str, **fault: Any) -> None:
        """Put in a `Fault`."""
        self._faults.append(Fault(method, pattern, **fault))

    @property
    def written(self) -> list[str]:
        """The paths of the requests that would change what others see, refused ones included."""
        return [request.path for request in self.requests if request.writes]

    def fault_for(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times and fault.method == method and re.search(fault.pattern, path):
                    fault.times -= 1
                    return fault
        return None

    # ── Routes ───────────────────────────────────────────────────────────────────────────────────
    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return the answer to a request; `target` is its path and query."""
        parts = urlsplit(target)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        asked = Asked(method, unquote(parts.path), query, headers, body)
        for route_method, pattern, function in _ROUTES:
            match = re.fullmatch(pattern, parts.path)
            if match and method in route_method.split():
                try:
                    with self._lock:
                        return function(self, asked, *map(unquote, match.groups(default="")))
                except RefusalError as refusal:
                    return refusal.answer
        return as_json({"error": f"the local Hub has no {method} {parts.path}"}, 404)

    def may_write(self, asked: Asked) -> None:
        if asked.token is None:
            raise RefusalError(401, "Invalid username or password.")
        if asked.token not in (self.WRITE, self.READ):
            raise RefusalError(401, "Invalid credentials in Authorization header")
        if asked.token == self.READ:
            raise RefusalError(403, "Forbidden: your token may read only")

    def repository(self, asked: Asked, name: str) -> Repository:
        known = asked.token in (self.WRITE, self.READ)
        if asked.token and not known:
            raise RefusalError(401, "Invalid credentials in Authorization header")
        found = self.repositories.get(name)
        if found is None or (found.is_private and not known):
            raise RefusalError(404 if known else 401, "Repository not found", "RepoNotFound")
        return found

    def commit_of(self, asked: Asked, name: str, revision: str) -> Commit:
        commit = self.repository(asked, name).find(revision)
        if commit is None:
            raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    def whoami(self, asked: Asked) -> Answer:
        if asked.token not in (self.WRITE, self.READ):
            raise RefusalError(401, "Invalid user token.")
        role = "write" if asked.token == self.WRITE else "read"
        auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": role}}
        return as_json({"type": "user", "name": self.owner, "orgs": [], "auth": auth})

    def create(self, asked: Asked) -> Answer:
        self.may_write(asked)
        wanted = asked.json
        owner = wanted.get("organization") or self.owner
        name = f"{owner}/{wanted['name']}"
        if owner != self.owner:
            raise RefusalError(403, f"You may not make a data set under {owner}")
        url = f"{self.url}/datasets/{name}"
        if name in self.repositories:
            raise RefusalError(409, "You already created this dataset repo", url=url)
        self.repositories[name] = Repository(name, wanted.get("visibility") == "private")
        return as_json({"url": url, "name": name})

    def validate_yaml(self, asked: Asked) -> Answer:
        match = re.match(r"---\n(.*?)\n---\n", asked.json["content"], re.DOTALL)
        try:
            metadata = yaml.safe_load(match[1]) if match else {}
            wrong = [] if isinstance(metadata, dict) else ["it is no mapping"]
        except yaml.YAMLError as error:
            wrong = [str(error)]
        errors = [{"message": message} for message in wrong]
        return as_json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def info(self, asked: Asked, name: str, revision: str) -> Answer:
        repository = self.repository(asked, name)
        commit = self.commit_of(asked, name, revision or "main")
        return as_json(
            {
                "_id": "0" * 24,
                "id": name,
                "author": self.owner,
                "sha": commit.id,
                "private": repository.is_private,
                "gated": False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "lastModified": commit.date,
                "createdAt": commit.date,
                "siblings": [{"rfilename": path} for path in sorted(commit.files)],
            }
        )

    def refs(self, asked: Asked, name: str) -> Answer:
        repository = self.repository(asked, name)
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repository.head}
        tags = [
            {"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": commit}
            for tag, commit in repository.tags.items()
        ]
        return as_json({"branches": [main], "converts": [], "tags": tags})

    def history(self, asked: Asked, name: str, revision: str) -> Answer:
        commits = self.repository(asked, name).history(self.commit_of(asked, name, revision))
        author = {"user": self.owner}
        return as_json(
            [
                {"id": commit.id, "title": commit.title, "message": "", "authors": [author],
                 "date": commit.date}
                for commit in commits
            ]
        )  # fmt: skip

    def tree(self, asked: Asked, name: str, revision: str, path: str) -> Answer:
        commit = self.commit_of(asked, name, revision)
        is_deep = asked.query.get("recursive", "").lower() == "true"
        entries = [entry for entry in self.entries(commit, path) if is_deep or entry["is_direct"]]
        if path and not entries:
            raise RefusalError(404, f"{path} does not exist on {revision}", "EntryNotFound")
        start = int(asked.query.get("cursor", 0))
        headers = {}
        if start + PAGE < len(entries):
            here = f"{self.url}{quote(asked.path, safe='/=')}?recursive={str(is_deep).lower()}"
            headers = {"Link": f'<{here}&cursor={start + PAGE}>; rel="next"'}
        return as_json(entries[start : start + PAGE], headers=headers)

    def paths_info(self, asked: Asked, name: str, revision: str) -> Answer:
        commit = self.commit_of(asked, name, revision)
        wanted = asked.fields("paths")
        return as_json([entry for entry in self.entries(commit, "") if entry["path"] in wanted])

    def entries(self, commit: Commit, folder: str) -> list[dict[str, Any]]:
        """Return what lies in a folder of a commit, at any depth, as the Hub lists it."""
        last = {"id": commit.id, "title": commit.title, "date": commit.date}
        start = f"{folder}/" if folder else ""
        found: dict[str, dict[str, Any]] = {}
        for path, blob in sorted(commit.files.items()):
            if not path.startswith(start):
                continue
            parents = path[len(start) :].split("/")[:-1]
            for depth in range(1, len(parents) + 1):
                above = start + "/".join(parents[:depth])
                found[above] = {"type": "directory", "oid": "0" * 40, "size": 0, "path": above}
            found[path] = self.entry(path, blob)
        for path, entry in found.items():
            entry |= {"is_direct": "/" not in path[len(start) :], "lastCommit": last}
        return [found[path] for path in sorted(found)]

    def entry(self, path: str, blob: Blob) -> dict[str, Any]:
        size = len(blob.content)
        entry: dict[str, Any] = {"type": "file", "path": path, "oid": blob.git_id, "size": size}
        if blob.is_large:
            entry["lfs"] = {"oid": blob.sha256, "size": size, "pointerSize": len(blob.pointer)}
        return entry

    # ── Writing ──────────────────────────────────────────────────────────────────────────────────
    def preupload(self, asked: Asked, name: str, revision: str) -> Answer:
        self.may_write(asked)
        there = self.commit_of(asked, name, revision).files
        files = []
        for file in asked.json["files"]:
            path = file["path"]
            is_large = path.endswith((".parquet", ".png")) or file["size"] > 10_000_000
            said = {"path": path, "uploadMode": "lfs" if is_large else "regular"}
            if blob := there.get(path):
                said["oid"] = blob.sha256 if blob.is_large else blob.git_id
            files.append(said | {"shouldIgnore": False})
        return as_json({"files": files})

    def lfs_batch(self, asked: Asked, name: str) -> Answer:
        self.may_write(asked)
        self.repository(asked, name)
        objects = []
        for wanted in asked.json["objects"]:
            oid = wanted["oid"]
            actions = {
                "upload": {"href": f"{self.url}/lfs/{oid}"},
                "verify": {"href": f"{self.url}/lfs-verify/{oid}"},
            }
            objects.append(wanted | ({} if oid in self.large else {"actions": actions}))
        return as_json({"transfer": "basic", "objects": objects})

    def lfs_put(self, asked: Asked, oid: str) -> Answer:
        if Blob(asked.body, is_large=True).sha256 != oid:
            raise RefusalError(400, "the content is not that of its name")
        self.large[oid] = asked.body
        return Answer(200)

    def lfs_verify(self, asked: Asked, oid: str) -> Answer:
        if len(self.large.get(oid, b"")) != asked.json["size"]:
            raise RefusalError(404, "the object was not uploaded")
        return Answer(200)

    def commit(self, asked: Asked, name: str, revision: str) -> Answer:
        self.may_write(asked)
        repository = self.repository(asked, name)
        lines = [json.loads(line) for line in asked.body.splitlines()]
        assert revision == "main"
        header: dict[str, Any] = lines[0]["value"]
        add: dict[str, Blob] = {}
        delete: list[str] = []
        for line in lines[1:]:
            kind, value = line["key"], line["value"]
            if kind == "file":
                add[value["path"]] = Blob(base64.b64decode(value["content"]), is_large=False)
            elif kind == "lfsFile":
                add[value["path"]] = Blob(self.uploaded(value["oid"]), is_large=True)
            else:
                assert kind == "deletedFile"
                delete.append(value["path"])
        try:
            parent = header.get("parentCommit")
            made = repository.commit(header["summary"], add, tuple(delete), parent)
        except StaleParentError:
            raise RefusalError(
                412, "A commit has happened since. Please refresh and try again."
            ) from None
        except KeyError as absent:
            raise RefusalError(404, f"{absent} does not exist", "EntryNotFound") from None
        url = f"{self.url}/datasets/{name}/commit/{made.id}"
        return as_json({"success": True, "commitOid": made.id, "commitUrl": url})

    def uploaded(self, oid: str) -> bytes:
        if oid not in self.large:
            raise RefusalError(400, f"LFS pointer pointed to a file that does not exist: {oid}")
        return self.large[oid]

    def tag(self, asked: Asked, name: str, revision: str) -> Answer:
        self.may_write(asked)
        commit = self.commit_of(asked, name, revision)
        tags = self.repositories[name].tags
        if asked.json["tag"] in tags:
            raise RefusalError(409, "Tag reference exists already")
        tags[asked.json["tag"]] = commit.id
        return Answer(201)

    # ── Files ────────────────────────────────────────────────────────────────────────────────────
    def resolve(self, asked: Asked, name: str, revision: str, path: str) -> Answer:
        commit = self.commit_of(asked, name, revision)
        headers = {"X-Repo-Commit": commit.id, "Accept-Ranges": "bytes"}
        blob = commit.files.get(path)
        if blob is None:
            refusal = RefusalError(404, "Entry not found", "EntryNotFound").answer
            return Answer(404, headers | dict(refusal.headers), refusal.body)
        if not blob.is_large:
            return asked.part(blob.content, headers | {"ETag": f'"{blob.git_id}"'})
        headers |= {
            "X-Linked-Etag": f'"{blob.sha256}"',
            "X-Linked-Size": str(len(blob.content)),
            "Location": f"{self.storage_url}/stored/{blob.sha256}",
        }
        return Answer(302, headers)

    def stored(self, asked: Asked, oid: str) -> Answer:
        return asked.part(self.large[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})


_NAME = "([^/]+/[^/]+)"
_ROUTES: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
    ("GET", "/api/whoami-v2", LocalHub.whoami),
    ("POST", "/api/repos/create", LocalHub.create),
    ("POST", "/api/validate-yaml", LocalHub.validate_yaml),
    ("GET", f"/api/datasets/{_NAME}/refs", LocalHub.refs),
    ("GET", f"/api/datasets/{_NAME}/commits/([^/]+)", LocalHub.history),
    ("GET", f"/api/datasets/{_NAME}/tree/([^/]+)(?:/(.+))?", LocalHub.tree),
    ("POST", f"/api/datasets/{_NAME}/paths-info/([^/]+)", LocalHub.paths_info),
    ("POST", f"/api/datasets/{_NAME}/preupload/([^/]+)", LocalHub.preupload),
    ("POST", f"/api/datasets/{_NAME}/commit/([^/]+)", LocalHub.commit),
    ("POST", f"/api/datasets/{_NAME}/tag/([^/]+)", LocalHub.tag),
    ("GET", f"/api/datasets/{_NAME}(?:/revision/([^/]+))?", LocalHub.info),
    ("POST", rf"/datasets/{_NAME}\.git/info/lfs/objects/batch", LocalHub.lfs_batch),
    ("PUT", "/lfs/([0-9a-f]{64})", LocalHub.lfs_put),
    ("POST", "/lfs-verify/([0-9a-f]{64})", LocalHub.lfs_verify),
    ("GET HEAD", f"/datasets/{_NAME}/resolve/([^/]+)/(.+)", LocalHub.resolve),
    ("GET HEAD", "/stored/([0-9a-f]{64})", LocalHub.stored),
)


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────
class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up is no fault here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, hub: LocalHub, *arguments: Any) -> None:
        self.hub = hub
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - their names

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name
        """Keep quiet; `LocalHub.requests` has it all."""

    def _serve(self) -> None:
        fault = self.hub.fault_for(self.command, self.path)
        if fault:
            time.sleep(fault.wait)
            if fault.first:
                fault.first()
        length = int(self.headers.get("Content-Length") or 0)
        if fault and fault.cut in ("before", "amid"):
            if fault.cut == "amid":
                self.rfile.read(length // 2)
            self._hang_up()
            return
        body = self._chunks() if "chunked" in self.headers.get("Transfer-Encoding", "") else None
        body = self.rfile.read(length) if body is None else body
        if fault and fault.status is not None:
            answer = Answer(fault.status, fault.headers, fault.body.encode())
        else:
            lower = {key.lower(): value for key, value in self.headers.items()}
            answer = self.hub.answer(self.command, self.path, lower, body)
        if fault and fault.cut == "after":
            self._hang_up()
            return
        self._log(answer.status)
        self.send_response(answer.status, HTTPStatus(answer.status).phrase)
        for key, value in answer.headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _hang_up(self) -> None:
        self._log(0)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _log(self, status: int) -> None:
        token = self.headers.get("Authorization")
        self.hub.requests.append(Request(self.command, self.path, status, token))
