"""The changelog grows by a section a version, and is the same whenever it is written."""

from release.changelog import render_changelog
from release.coverage import Coverage

HELD = (Coverage("demo", "rte", 2, 2, {"finished": 4}, ()),)


def test_the_first_version_says_what_it_holds() -> None:
    text = render_changelog("1.0.0", [], HELD, None)
    assert text.startswith("# Changelog\n")
    assert text.endswith("\n## 1.0.0\n\n- demo, rte: 4 trials.\n")


def test_earlier_versions_are_kept_as_they_were_below_the_new_one() -> None:
    first = render_changelog("1.0.0", ["By hand."], HELD, None)
    second = render_changelog("1.10.0", ["More.", "And more."], HELD, first)
    assert second.partition("## 1.10.0\n")[2] == (
        "\n- More.\n- And more.\n- demo, rte: 4 trials.\n"
        "\n## 1.0.0\n\n- By hand.\n- demo, rte: 4 trials.\n"
    )
    third = render_changelog("1.9.0", [], HELD, first)
    assert [line for line in third.splitlines() if line[:2] == "##"] == ["## 1.9.0", "## 1.0.0"]


def test_a_version_staged_again_is_the_same_whatever_came_since() -> None:
    first = render_changelog("1.0.0", ["By hand."], HELD, None)
    second = render_changelog("1.1.0", [], HELD, first)
    assert render_changelog("1.1.0", [], HELD, second) == second
    assert render_changelog("1.0.0", ["By hand."], HELD, second) == first


def test_what_is_no_section_of_a_version_is_dropped() -> None:
    text = render_changelog("2.0.0", [], HELD, "# Mine\n\nhello\n\n## Unreleased\n\n- x\n")
    assert "hello" not in text
    assert "Unreleased" not in text
