"""A figure as part of a page: its colours are the page's, and its marks say what they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from analysis.figures import style

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

COLOUR_VARIABLES: Final = {
    style.INK: "ink",
    style.MUTED: "muted",
    style.RULE: "rule",
    style.BLUE: "blue",
    style.VERMILION: "vermilion",
    style.GREEN: "green",
    style.ORANGE: "orange",
    style.SKY: "sky",
    style.PURPLE: "purple",
}
"""The colours of figures that follow the page's, so that they can be read on a dark one too."""

_DRAWN: Final = ("path", "use", "rect", "circle", "line", "polyline", "polygon", "image")
"""The elements that leave a mark."""


def inline(
    svg: str, *, prefix: str, label: str, marks: Mapping[str, Sequence[str]] | None = None
) -> str:
    """Return a figure's SVG for a page.

    What is only for a file of its own goes: the ground, the size, the description of the file. Ids
    that something refers to get the prefix, for a page may have each once only; the others go.

    Args:
        svg: the file, as `style.svg` gives it.
        prefix: of ids, another one for each figure of a page.
        label: what the figure is, for those who do not see it.
        marks: by the gid of an artist what it is, or what each of its marks is; browsers show it to
            whoever points there. A mark whose text is empty gets none.

    Raises:
        KeyError: where no artist has one of the gids.
        ValueError: where an artist has another number of marks than it has texts.
    """
    root = _as_html_has_it(ET.fromstring(svg.encode()))  # noqa: S314 — drawn here
    _clean(root)
    _name_marks(root, marks or {})
    _prefix_ids(root, prefix)
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    root.attrib |= {"role": "img", "aria-label": label}

    text = ET.tostring(root, encoding="unicode")
    for colour, variable in COLOUR_VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return text


_LONG_NUMBER: Final = re.compile(r"(?<![\w.])-?\d+\.\d{3,}")
"""A length of more decimals than anyone can see."""


def _shorter(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}"


def _as_html_has_it(root: ET.Element) -> ET.Element:
    """Return a tree as HTML has it: names without prefixes; lengths no longer than need be."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for name in [name for name in element.attrib if name.startswith("{")]:
            element.attrib[name.rpartition("}")[2]] = element.attrib.pop(name)
        for name, value in element.attrib.items():
            element.attrib[name] = _LONG_NUMBER.sub(_shorter, value)
        if element.tag not in ("text", "tspan"):
            element.text = None
        element.tail = None
    return root


def _clean(root: ET.Element) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            is_empty = child.tag in ("defs", "g") and not len(child)
            if child.tag in ("metadata", "style") or child.get("id") == style.GROUND or is_empty:
                parent.remove(child)


def _name_marks(root: ET.Element, marks: Mapping[str, Sequence[str]]) -> None:
    groups = {element.get("id"): element for element in root.iter("g")}
    for gid, texts in marks.items():
        group = groups[gid]
        drawn = [group] if len(texts) == 1 else list(_drawn(group))
        if len(drawn) != len(texts):
            raise ValueError(f"{gid} draws {len(drawn)} marks, and there are {len(texts)} texts")
        for element, text in zip(drawn, texts, strict=True):
            if text:
                title = ET.Element("title")
                title.text = text
                element.insert(0, title)


def _drawn(element: ET.Element) -> Iterator[ET.Element]:
    for child in element:
        if child.tag in _DRAWN:
            yield child
        elif child.tag != "defs":
            yield from _drawn(child)


def _prefix_ids(root: ET.Element, prefix: str) -> None:
    reference = re.compile(r"url\(#([^)]+)\)|^#(.+)$")
    referred = {
        match[1] or match[2]
        for element in root.iter()
        for value in element.attrib.values()
        for match in reference.finditer(value)
    }
    for element in root.iter():
        if "id" in element.attrib and element.attrib["id"] not in referred:
            del element.attrib["id"]
        for name, value in element.attrib.items():
            if name == "id" or (name == "href" and value.startswith("#")):
                mark = "#" if name == "href" else ""
                element.set(name, mark + prefix + value.removeprefix("#"))
            elif "url(#" in value:
                element.set(name, value.replace("url(#", f"url(#{prefix}"))
