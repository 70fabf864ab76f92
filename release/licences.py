"""The licences under which trials can be published: those made for data, not for programs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """A licence of data.

    Attributes:
        id: as the Hub's cards call it.
        spdx: as CITATION.cff calls it.
        title: its full name.
        url: where its text stands, which alone is binding.
        gist: what it asks for, in a sentence.
    """

    id: str
    spdx: str
    title: str
    url: str
    gist: str


_ALL = (
    Licence(
        "cc-by-4.0",
        "CC-BY-4.0",
        "Creative Commons Attribution 4.0 International",
        "https://creativecommons.org/licenses/by/4.0/",
        "You may use, change and share the data for any purpose, if you say where it comes from "
        "and what you changed.",
    ),
    Licence(
        "odc-by",
        "ODC-By-1.0",
        "Open Data Commons Attribution License 1.0",
        "https://opendatacommons.org/licenses/by/1-0/",
        "You may use, change and share the data for any purpose, if you say where it comes from.",
    ),
    Licence(
        "cc0-1.0",
        "CC0-1.0",
        "Creative Commons Zero 1.0 Universal",
        "https://creativecommons.org/publicdomain/zero/1.0/",
        "You may do with the data what you like; a citation is welcome.",
    ),
)

LICENCES = {licence.id: licence for licence in _ALL}
"""By the Hub's name."""
