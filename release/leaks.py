"""What must not be published: names of people and machines, paths, addresses, keys.

A release is made of an allow-list of columns, so nothing of the kind should be in it. This is the
second look: every string that would go out is searched all the same, because a model's name may be
a path, a device may bear a host's name, and a title is whatever somebody typed.
"""

import getpass
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PUBLIC_HOSTS = ("huggingface.co", "arxiv.org", "creativecommons.org", "opendatacommons.org")
"""The hosts that a card may link to; an address at any other host is a leak."""

GENERIC_NAMES = frozenset(
    {"admin", "app", "debian", "default", "docker", "ec2-user", "jovyan", "localhost", "nobody",
     "root", "runner", "ubuntu", "user", "vagrant", "vscode"}
)  # fmt: skip
"""Names of users and hosts that say nothing about who or where."""


@dataclass(frozen=True)
class Leak:
    """One thing in a string that must not be published.

    Attributes:
        kind: what it is, with its article: "an e-mail address".
        text: the words found; keys are cut to their first four characters.
    """

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}, “{self.text}”"


@dataclass(frozen=True)
class Identity:
    """Who publishes, on what machine, from which folders: none of it belongs in a release.

    Attributes:
        user: name of the account; empty where there is none.
        host: name of the machine.
        folders: the home folder, the working folder.
    """

    user: str
    host: str
    folders: tuple[Path, ...]

    @classmethod
    def here(cls) -> "Identity":
        """Return the identity of this process; what cannot be found out is left out."""
        try:
            user = getpass.getuser()
        except (OSError, KeyError):  # a container whose user id has no name
            user = ""
        try:
            folders = [Path.home(), Path.cwd()]
        except RuntimeError:  # likewise without a home
            folders = [Path.cwd()]
        return cls(user=user, host=socket.gethostname(), folders=tuple(folders))

    def folder_patterns(self) -> Iterator[tuple[str, re.Pattern[str]]]:
        """Yield what betrays the folders, as kind and pattern; the root is no one's."""
        for folder in self.folders:
            if len(folder.parts) > 1:
                path = re.escape(str(folder))
                yield "a folder of this machine", re.compile(rf"(?<!\w){path}(?!\w)[\w./-]*")

    def name_patterns(self) -> Iterator[tuple[str, re.Pattern[str]]]:
        """Yield what betrays the user and the machine, as kind and pattern.

        Names that fit everybody (`GENERIC_NAMES`) or are shorter than three letters are not
        searched for: they would be found in plain English, and tell nothing.
        """
        names = (
            ("the name of this user", self.user),
            ("the name of this machine", self.host),
            ("the name of this machine", self.host.partition(".")[0]),
        )
        for kind, name in names:
            if len(name) >= 3 and name.lower() not in GENERIC_NAMES:
                word = rf"(?<![^\W_]){re.escape(name)}(?![^\W_])"
                yield kind, re.compile(word, re.IGNORECASE)


_START = r"(?<![\w.:/~])"
"""Where an absolute path may begin: not within a relative one or an address."""

_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"

_SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "a key or token",  # of the Hub, code hosts, clouds and services; JWT; PEM
        re.compile(
            r"hf_[A-Za-z0-9]{16,}"
            r"|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"
            r"|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{30,}"
            r"|sk-[\w-]{16,}|xox[abprs]-[\w-]{10,}|dapi[0-9a-f]{32}|pypi-[\w-]{16,}"
            r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*)?"
            r"|-----BEGIN[ \w]*-----"
        ),
    ),
    (
        "a password",
        re.compile(
            r"(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token)[\"']?\s*[=:]\s*\S+"
            r"|\w+://[^/\s@]+@\S*",
            re.IGNORECASE,
        ),
    ),
)

_PLACES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("an e-mail address", re.compile(r"[\w.+-]+@(?:[\w-]+\.)+[A-Za-z]{2,}\b")),
    (
        "a network address",
        re.compile(
            rf"(?<![\d.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\d.])"
            r"|(?<![\w:])(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}(?![\w:])"
            r"|(?<![\w:])(?:[0-9a-f]{1,4}:)+:(?:[0-9a-f]{1,4}:)*[0-9a-f]{1,4}(?![\w:])",
            re.IGNORECASE,
        ),
    ),
    (
        "an absolute path",
        re.compile(
            # Two folders deep anywhere, or a folder that every Unix has.
            rf"{_START}/(?:[\w.+@~-]+/)+[\w.+@~-]*"
            rf"|{_START}/(?:home|Users|root|tmp|mnt|var|opt|srv|media)\b"
            r"|~\w*/[\w.]+"
            r"|\b[A-Za-z]:[\\/]+\w[\w.\\/-]*"
            r"|\\\\\w+\\\w+"
        ),
    ),
)

_ADDRESS = re.compile(
    rf"\b(?!hf:|https://(?:{'|'.join(map(re.escape, PUBLIC_HOSTS))})(?![\w.:@-]))"
    r"[a-z][a-z0-9+.-]+:/[^\s\"'`<>)]*",
    re.IGNORECASE,
)
"""An address, unless it is a path on the Hub (`hf://`) or a page at one of `PUBLIC_HOSTS`."""


def leaks(text: str, identity: Identity, reviewed: Sequence[str] = ()) -> list[Leak]:
    """Return what in a string must not be published, each thing once.

    Args:
        text: a value of a table, or a whole text file.
        identity: the user and machine whose names are searched for.
        reviewed: strings that a person has looked at and that may go out (the name of the
            repository, of an author); they are taken out of the text before it is searched.
    """
    for words in sorted(filter(None, reviewed), key=len, reverse=True):
        text = text.replace(words, _GONE)
    found: list[Leak] = []
    kinds = (*_SECRETS, *identity.folder_patterns(), ("an address", _ADDRESS), *_PLACES)
    for kind, pattern in (*kinds, *identity.name_patterns()):
        # What one kind has found is taken out, so that the next does not name it again; and no
        # key is ever shown as part of a path or an address.
        secret = kind in dict(_SECRETS)
        found += [
            Leak(kind, f"{match.group()[:4]}…" if secret else match.group())
            for match in pattern.finditer(text)
        ]
        text = pattern.sub(_GONE, text)
    return list(dict.fromkeys(found))


def leaks_in_bytes(content: bytes, identity: Identity, reviewed: Sequence[str] = ()) -> list[Leak]:
    """Return what in the bytes of a file that is no text must not be published, each thing once.

    Compressed bytes hold any few letters by chance. So everything is searched for in runs of 16
    and more printable characters, of which there are some eighty in a gigabyte of random bytes;
    elsewhere only this machine's folders and names of six letters and more.

    Args:
        content: the whole file.
        identity: as for `leaks`.
        reviewed: as for `leaks`.
    """
    runs = "\n".join(run.decode() for run in _PRINTABLE_RUN.findall(content))
    found = leaks(runs, identity, reviewed)
    words = {
        **{str(folder): "a folder of this machine" for folder in identity.folders},
        identity.user: "the name of this user",
        identity.host: "the name of this machine",
    }
    allowed = " ".join(reviewed).lower()
    found += [
        Leak(kind, word)
        for word, kind in words.items()
        if len(word) >= 6
        and word.lower() not in GENERIC_NAMES
        and word.lower() not in allowed
        and re.search(re.escape(word.encode()), content, re.IGNORECASE)
    ]
    return list(dict.fromkeys(found))


_PRINTABLE_RUN = re.compile(rb"[\x20-\x7e]{16,}")


def without_keys(text: str) -> str:
    """Return a text with an ellipsis in place of each key, token and password in it."""
    for _, pattern in _SECRETS:
        text = pattern.sub(_GONE, text)
    return text


_GONE = "\N{HORIZONTAL ELLIPSIS}"
