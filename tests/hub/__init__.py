"""A Hub on this machine, for the tests: the real client talks to it over HTTP on 127.0.0.1.

What it models, as the client of huggingface_hub 2 and its readers ask for it:

- data sets, private or public, made by a token that may; a first commit with `.gitattributes`;
- commits: NDJSON, the parent named (412 where another came before), large files first through
  Git LFS (batch, PUT, verify), no operation lost or half done; tags, refs, history;
- the tree in pages, paths-info, and files by branch, tag or commit with ETag, `X-Repo-Commit`, byte
  ranges and, for large ones, a redirect to another address, as the Hub sends readers to a CDN;
- the errors that the client knows by header (`X-Error-Code`), 401, 403, 404, 409, 412, and card
  metadata that is no YAML (400);
- faults put in by a test: any status, a wait, a connection cut before, amid or after the work.

What it does not model: what the Hub thinks of a token beyond read or write, rate limits by itself,
pull requests, branches other than main, multipart LFS, gated data sets, organisations, the viewer
and its Parquet conversion, Croissant, webhooks, git's own protocol and TLS. And not Xet, through
which the client sends large files unless it is told not to (`HF_HUB_DISABLE_XET`). Nobody has
compared it with the real Hub request by request: it is made after the client's source code and the
Hub's documentation. What only the real Hub can show is therefore not shown by these tests.
"""

from tests.hub.messages import Fault
from tests.hub.repository import Blob, Commit, Repository, StaleParentError
from tests.hub.server import LocalHub

__all__ = ["Blob", "Commit", "Fault", "LocalHub", "Repository", "StaleParentError"]
