"""What changed from version to version of a release: `CHANGELOG.md`.

A version's section is worked out from its data and from what its author says; those of the versions
before it are taken over as they were published. No date is written, so that the same release has
the same bytes whenever it is staged.
"""

import re
from collections.abc import Sequence

from release.coverage import Coverage
from release.layout import version_of

_HEAD = """\
# Changelog

What changed from version to version: a new first number for other columns, a new second one for
more trials, a new third one for another card.
"""

_SECTION = re.compile(r"^## (\d+\.\d+\.\d+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def render_changelog(
    version: str, changes: Sequence[str], coverages: Sequence[Coverage], earlier: str | None
) -> str:
    """Return the text of `CHANGELOG.md`.

    Args:
        version: of the release, `1.0.0`.
        changes: what its author says has changed, a sentence each.
        coverages: the trials that it holds.
        earlier: the text as it was published last; None where nothing was. Of its sections those of
            versions below this one are kept.
    """
    held = [f"{each.title}: {each.trials:,} trials." for each in coverages]
    sections = {version: "\n" + "".join(f"- {line}\n" for line in (*changes, *held))}
    for number, text in _SECTION.findall(earlier or ""):
        if _order(number) < _order(version):
            sections[number] = f"\n{text.strip()}\n"
    ordered = sorted(sections.items(), key=lambda section: _order(section[0]), reverse=True)
    return "\n".join([_HEAD, *(f"## {number}\n{text}" for number, text in ordered)])


def _order(number: str) -> tuple[int, ...]:
    return version_of(f"v{number}") or ()
