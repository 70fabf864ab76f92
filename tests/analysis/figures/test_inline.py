"""On a page a figure takes the page's colours, keeps its words, and says what its marks are."""

import re

import pytest
from matplotlib.figure import Figure

from analysis.figures import svg
from analysis.figures.inline import inline
from analysis.figures.style import BLUE, house_style, new_figure


@house_style
def drawn(*, dots: int = 3) -> Figure:
    figure = new_figure(2)
    axes = figure.subplots()
    axes.set_title("a < b, 0.12345")
    axes.plot([0, 1, 2], [0.111111, 0.5, 0.3], color=BLUE, gid="line")
    axes.scatter(range(dots), range(dots), gid="dots")
    return figure


FILE = svg(drawn())
WORDS = "a &lt; b, 0.12345"


def test_what_is_only_for_a_file_goes() -> None:
    text = inline(FILE, prefix="p-", label="l")
    assert 'id="ground"' not in text
    assert "<metadata" not in text
    assert "<style" not in text
    assert "xmlns" not in text
    assert not re.search(r'<svg[^>]* (width|height)="', text)
    assert "viewBox" in text


def test_colours_are_the_pages_and_words_stay_as_they_are() -> None:
    text = inline(FILE, prefix="p-", label="l")
    assert BLUE not in text
    assert "var(--blue)" in text
    assert WORDS in text


def test_lengths_have_no_more_decimals_than_can_be_seen() -> None:
    assert re.search(r"\d\.\d{3}", FILE)
    assert not re.search(r"\d\.\d{3}", inline(FILE, prefix="p-", label="l").replace(WORDS, ""))


def test_every_reference_leads_to_an_id_with_the_prefix_and_no_other_id_is_left() -> None:
    text = inline(FILE, prefix="p-", label="l")
    ids = set(re.findall(r' id="([^"]*)"', text))
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]*)', text))
    assert ids == referred != set()
    assert all(name.startswith("p-") for name in ids)


def test_a_label_is_for_those_who_do_not_see_the_figure() -> None:
    assert 'role="img"' in inline(FILE, prefix="p-", label="l")
    assert 'aria-label="x &lt; &quot;y&quot;"' in inline(FILE, prefix="p-", label='x < "y"')


def test_each_mark_of_an_artist_says_what_it_is_in_their_order() -> None:
    texts = ["first <b>", "", "third"]
    text = inline(FILE, prefix="p-", label="l", marks={"dots": texts})
    assert re.findall(r"<title>([^<]*)</title>", text) == ["first &lt;b&gt;", "third"]


@pytest.mark.parametrize("dots", [2, 40])
def test_marks_are_told_apart_however_matplotlib_writes_them(dots: int) -> None:
    texts = [str(number) for number in range(dots)]
    text = inline(svg(drawn(dots=dots)), prefix="p-", label="l", marks={"dots": texts})
    assert re.findall(r"<(?:use|path)[^>]*><title>([^<]*)</title>", text) == texts


def test_one_text_is_for_all_that_an_artist_draws() -> None:
    text = inline(FILE, prefix="p-", label="l", marks={"line": ["the line"]})
    assert "<g><title>the line</title>" in text


def test_more_texts_than_marks_are_refused() -> None:
    with pytest.raises(ValueError, match="dots draws 3 marks, and there are 2 texts"):
        inline(FILE, prefix="p-", label="l", marks={"dots": ["a", "b"]})


def test_texts_for_no_artist_are_refused() -> None:
    with pytest.raises(KeyError, match="stars"):
        inline(FILE, prefix="p-", label="l", marks={"stars": ["a"]})
