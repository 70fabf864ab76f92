"""The words of a release: its card, its licence notice and how to cite it.

They are worked out from the data and the contract alone, so that the same warehouse gives the same
words.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jinja2
import yaml

from analysis.warehouse import Warehouse
from finetune.contract import RECIPE_COLUMNS, TABLES, TRIALS
from release.coverage import Coverage
from release.layout import data_glob, data_path
from release.licences import Licence


@dataclass(frozen=True)
class Facts:
    """What a release is called and who made it: all that its tables do not say.

    Attributes:
        title: what the data set is called.
        version: `1.0.0`; the tag is `v1.0.0`.
        repo: `owner/name` on the Hub; None while there is none.
        licence: the licence of its numbers.
        authors: people as "Family, Given", or names of groups.
    """

    title: str
    version: str
    repo: str | None
    licence: Licence
    authors: tuple[str, ...]

    @property
    def shown_repo(self) -> str:
        """The repository as examples name it: a placeholder while there is none."""
        return self.repo or "OWNER/NAME"

    @property
    def tag(self) -> str:
        """The Hub's name of this version."""
        return f"v{self.version}"


@dataclass(frozen=True)
class Figure:
    """A figure of the card.

    Attributes:
        name: of its file, without suffix: letters, digits, dot, dash and underscore.
        png: the file, with nothing in it but the picture.
        title: a few words.
        caption: what it shows, in a sentence or two.
    """

    name: str
    png: bytes
    title: str
    caption: str

    @property
    def path(self) -> str:
        """Where it stands in the release."""
        return f"figures/{self.name}.png"


PAPER: Mapping[str, Any] = {
    "type": "article",
    "title": "Fine-Tuning Pretrained Language Models: Weight Initializations, Data Orders, "
    "and Early Stopping",
    "authors": [
        {"family-names": family, "given-names": given}
        for family, given in (
            ("Dodge", "Jesse"),
            ("Ilharco", "Gabriel"),
            ("Schwartz", "Roy"),
            ("Farhadi", "Ali"),
            ("Hajishirzi", "Hannaneh"),
            ("Smith", "Noah"),
        )
    ],
    "year": 2020,
    "url": "https://arxiv.org/abs/2002.06305",
}
"""The paper whose study a release repeats or follows, in the form of CITATION.cff."""


_ROW_OF = {
    "trials": "trial",
    "evaluations": "evaluation of a trial on the validation set",
    "train_steps": "optimiser step of a trial",
}


@dataclass(frozen=True)
class _RecipeOf:
    """The settings that some tasks of some studies share: everything but the seeds."""

    tasks: tuple[str, ...]
    settings: tuple[tuple[str, str, str], ...]  # name, value, meaning


def render_card(
    facts: Facts,
    warehouse: Warehouse,
    coverages: Sequence[Coverage],
    missing: Sequence[str],
    rows: Mapping[str, int],
    sizes: Mapping[str, int],
    figures: Sequence[Figure] = (),
) -> str:
    """Return the text of `README.md`: YAML for the Hub, then prose and tables for people.

    Args:
        facts: names and licence.
        warehouse: where the trials stand.
        coverages: of each study's task in it.
        missing: a sentence each, what its user must know is missing or unlike.
        rows: of each table.
        sizes: of each table's files together, in bytes.
        figures: to be shown.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("release"),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(),  # Markdown is not escaped, `cell` sees to it
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "cell": _cell,
        "number": "{:,}".format,
        "score": _score,
        "label": _label,
        "size": _size,
    }
    return environment.get_template("card.md.j2").render(
        front_matter=_front_matter(facts, rows),
        facts=facts,
        overview=list(zip(warehouse.ask("overview").to_pylist(), coverages, strict=True)),
        missing=missing,
        recipes=_recipes(warehouse),
        made_on=_made_on(warehouse),
        rows=rows,
        sizes=sizes,
        figures=figures,
        tables={
            name: [column for column in columns if column.released]
            for name, columns in TABLES.items()
        },
        row_of=_ROW_OF,
        globs={name: data_glob(name) for name in TABLES},
        trials_path=data_path("trials"),
        paper=PAPER,
        year=_last_start(warehouse).year,
    )


def render_citation(facts: Facts) -> str:
    """Return the text of `CITATION.cff` (Citation File Format 1.2.0)."""
    content: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use these trials, please cite them and the paper they follow.",
        "type": "dataset",
        "title": facts.title,
        "version": facts.version,
        "license": facts.licence.spdx,
        "authors": [_person(author) for author in facts.authors],
        "keywords": ["fine-tuning", "random seeds", "learning curves"],
    }
    if facts.repo:
        content["url"] = f"https://huggingface.co/datasets/{facts.repo}"
    content["references"] = [dict(PAPER)]
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))


def render_licence(facts: Facts) -> str:
    """Return the text of `LICENSE`: which licence it is, its gist, and where its text stands."""
    licence = facts.licence
    return (
        f"{facts.title}, version {facts.version}\n"
        f"is published by {_listed(facts.authors)} under the\n"
        f"{licence.title} licence ({licence.spdx}).\n\n"
        f"{textwrap.fill(licence.gist, width=90)}\n"
        f"That is only its gist; what binds is its text:\n{licence.url}\n\n"
        "The licence covers the numbers published here: settings, seeds and measurements of\n"
        "trials. The data sets and the pretrained models that the trials used are not part of\n"
        "this release and have licences of their own.\n"
    )


# ── What the card says ───────────────────────────────────────────────────────────────────────────
def _front_matter(facts: Facts, rows: Mapping[str, int]) -> str:
    """Return the YAML that the Hub reads: without `configs` it would show one table of three."""
    content = {
        "pretty_name": facts.title,
        "license": facts.licence.id,
        "size_categories": [size_category(sum(rows.values()))],
        "task_categories": ["tabular-regression", "other"],
        "tags": [
            "fine-tuning",
            "random-seeds",
            "learning-curves",
            "hyperparameter-optimization",
            "tabular",
            "mlflow",
        ],
        "configs": [
            {
                "config_name": table,
                **({"default": True} if table == "trials" else {}),
                "data_files": [{"split": "train", "path": data_glob(table)}],
            }
            for table in TABLES
        ],
    }
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1_000))


def size_category(rows: int) -> str:
    """Return the Hub's name for a number of rows: `10K<n<100K`."""
    bounds = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    power = max(len(str(rows)) - 3, 0)
    return f"{bounds[power - 1]}<n<{bounds[power]}" if power else f"n<{bounds[0]}"


_SETTINGS = (*(column for column in TRIALS if column.name == "model"), *RECIPE_COLUMNS)
"""The columns in which trials of one study and task do not differ."""


def _recipes(warehouse: Warehouse) -> list[_RecipeOf]:
    """Return the recipes, each once, with the studies' tasks that share it."""
    names = [column.name for column in _SETTINGS]
    sql = f"select distinct study, task, {', '.join(names)} from trials order by all"  # noqa: S608
    tasks: dict[tuple[object, ...], list[str]] = {}
    for row in warehouse.query(sql).to_pylist():
        recipe = tuple(row[name] for name in names)
        tasks.setdefault(recipe, []).append(f"{row['study']}, {row['task']}")
    return [
        _RecipeOf(
            tasks=tuple(sharing),
            settings=tuple(
                (column.name, _value(value), column.meaning)
                for column, value in zip(_SETTINGS, recipe, strict=True)
                if value is not None
            ),
        )
        for recipe, sharing in tasks.items()
    ]


def _made_on(warehouse: Warehouse) -> dict[str, str]:
    """Return what the trials were computed with and on, each with all values that occur."""
    columns = {
        "Seedbed": "seedbed_version",
        "PyTorch": "torch_version",
        "transformers": "transformers_version",
        "Python": "python_version",
        "device": "device",
    }
    made_on = {}
    for title, column in columns.items():
        # Trials that failed before they started have none of these.
        sql = f"select distinct {column} as x from trials where x is not null order by x"  # noqa: S608
        made_on[title] = ", ".join(warehouse.query(sql)["x"].to_pylist()) or "unknown"
    return made_on


def _last_start(warehouse: Warehouse) -> datetime:
    [when] = warehouse.query("select max(started_at) as x from trials")["x"].to_pylist()
    assert isinstance(when, datetime)  # the caller has seen that there are trials
    return when


# ── Words ────────────────────────────────────────────────────────────────────────────────────────
def _cell(text: object) -> str:
    """Return a text as it can stand in a cell of a Markdown table; nothing for None."""
    if text is None:
        return ""
    return " ".join(str(text).split()).replace("|", r"\|")


def _label(text: str) -> str:
    """Return a text as it can stand in the brackets of a Markdown link."""
    return re.sub(r"([\[\]\\])", r"\\\1", " ".join(text.split()))


def _size(count: int) -> str:
    """Return a number of bytes as people write it, to two digits: 12,345 is 12 kB."""
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if count >= 10**power:
            amount = count / 10**power
            return f"{amount:.0f} {unit}" if amount >= 9.95 else f"{amount:.1f} {unit}"
    return f"{count} B"


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.3f}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _person(author: str) -> dict[str, str]:
    family, comma, given = (part.strip() for part in author.partition(","))
    return {"family-names": family, "given-names": given} if comma else {"name": author}


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{'; '.join(others)} and {last}" if others else last
