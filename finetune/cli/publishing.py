"""Publishing the trials: `release`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune.cli import options
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.warehouse import Warehouse
    from release.card import Figure
    from release.counts import Recorded
    from release.hub import Hub
    from release.manifest import Staged
    from release.publish import Plan


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(release)


def release(
    repo: Annotated[
        str | None,
        typer.Option("--repo", metavar="USER/NAME", help="Data set on the Hub to release to."),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(
            "--version",
            metavar="X.Y.Z",
            help="Version of the release; 1.0.0 if left out.",
            show_default=False,
        ),
    ] = None,
    public: Annotated[
        bool,
        typer.Option("--public/--private", help="Who sees a repository that has to be made."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Stage, and show what would change on the Hub; write nothing there.",
        ),
    ] = False,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="Title of the data set.")
    ] = None,
    author: Annotated[
        list[str] | None,
        typer.Option("--author", metavar="NAME", help="As Family, Given; may be repeated."),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            metavar="ID",
            help="Licence of the numbers; cc-by-4.0 if left out.",
            show_default=False,
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--changes", metavar="TEXT", help="What is new in this version; may be repeated."
        ),
    ] = None,
    reviewed: Annotated[
        list[str] | None,
        typer.Option(
            "--reviewed",
            metavar="TEXT",
            help="A text that the leak scan found and you have looked at; may be repeated.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to stage in.")
    ] = Path("bundle"),
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WHERE",
            help="Publish this folder, staged before, as it is; or see that hf:USER/NAME@vX.Y.Z is "
            "published.",
            show_default=False,
        ),
    ] = None,
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
    store: options.Store = options.DEFAULT_STORE,
    without_store: Annotated[
        bool,
        typer.Option(
            "--without-store", help="Do not count the trials in the tracking store: it is not here."
        ),
    ] = False,
) -> None:
    """Publish the trials as a data set on the Hugging Face Hub: checked, whole, and once.

    The data set is staged in a folder: Parquet, card, manifest, licence. Nothing
    is published before every check has passed; then it is one commit and one tag,
    and the same command again finds it released. The token is that of `hf auth
    login` or HF_TOKEN.

    Exit status: 3, a check failed; 4, the Hub has something else there; 5, it
    does not allow it; 6, it does not answer.

    Example: finetune release --dry-run

    Example: finetune release --repo alice/trials --version 1.0.0
    """
    from finetune.cli import display

    if source is not None:
        given = {"--version": version, "--title": title, "--author": author,
                 "--licence": licence, "--changes": changes}  # fmt: skip
        _check_left_out(source, given)
    if repo is None and source is None and not dry_run:
        raise SeedbedError(
            "release: name the data set with --repo USER/NAME, or look first with --dry-run."
        )
    hub = None if repo is None else _hub(repo)
    with display.console(err=True).status("Staging"):
        if source is None:
            staged = _stage(
                warehouse,
                output,
                hub,
                recorded=None if without_store else store,
                version=version or "1.0.0",
                title=title,
                authors=author or (),
                licence=licence or "cc-by-4.0",
                changes=changes or (),
                reviewed=reviewed or (),
            )
        else:
            staged = _staged_before(source, reviewed or ())
    if hub is None and staged.repo is not None:
        hub = _hub(staged.repo)
    _publish(hub, staged, public=public, dry_run=dry_run)


# ── Staging ──────────────────────────────────────────────────────────────────────────────────────
def _hub(repo: str) -> "Hub":
    from release.hub import Hub
    from release.layout import is_repo

    if not is_repo(repo):
        raise SeedbedError(f"--repo {repo}: name it as owner/name.")
    return Hub(repo)


def _check_left_out(source: str, given: "Mapping[str, object]") -> None:
    """Refuse options that would change what was staged before."""
    wrong = [option for option, value in given.items() if value]
    if wrong:
        raise SeedbedError(
            f"{', '.join(wrong)}: what --from {source} names is published as it is, or not at all; "
            "stage it anew to change it."
        )


def _stage(
    folder: Path,
    output: Path,
    hub: "Hub | None",
    *,
    recorded: str | None,
    version: str,
    title: str | None,
    authors: "Sequence[str]",
    licence: str,
    changes: "Sequence[str]",
    reviewed: "Sequence[str]",
) -> "Staged":
    """Stage a warehouse and say what is missing in it."""
    from analysis.warehouse import Warehouse
    from finetune.cli import display
    from release.bundle import build
    from release.layout import CHANGELOG
    from release.manifest import read_staged

    warehouse = Warehouse(folder)
    bundle = build(
        warehouse,
        output,
        repo=hub.repo if hub else None,
        version=version,
        title=title,
        authors=authors,
        licence=licence,
        draw=card_figures,
        changes=changes,
        earlier_changelog=hub.text("main", CHANGELOG) if hub else None,
        recorded=() if recorded is None else _recorded(recorded, warehouse.studies()),
        reviewed=reviewed,
    )
    screen = display.console()
    for sentence in bundle.missing:
        screen.print(f"Note: {sentence}", markup=False)
    return read_staged(bundle.folder)


def card_figures(warehouse: "Warehouse") -> list["Figure"]:
    """Return the figures of a card: what a budget buys, and every pair of seeds, by task."""
    import re

    from analysis.exhibits.exhibit import Exhibit, Subject
    from analysis.exhibits.files import content
    from analysis.exhibits.story import find_artefact
    from release.card import Figure

    figures: list[Figure] = []
    for name in _CARD_FIGURES:
        subjects = [Subject(warehouse, study) for study in warehouse.studies()]
        for exhibit in find_artefact(name).of_each(subjects, None):
            if isinstance(exhibit, Exhibit):
                of = f"{exhibit.subject.study}, {exhibit.task}"
                figures.append(
                    Figure(
                        name=f"{len(figures) + 1}-{re.sub(r'[^A-Za-z0-9]+', '-', of)}-{name}",
                        png=content(exhibit, "png"),
                        title=f"{exhibit.artefact.title}: {of}",
                        caption=f"{exhibit.finding.says} Uncertainty: {exhibit.finding.over}.",
                    )
                )
    return figures


_CARD_FIGURES = ("fig1", "fig2")


def _recorded(store: str, studies: "Sequence[str]") -> list["Recorded"]:
    """Return what the tracking store has of some studies.

    Raises:
        SeedbedError: where it is not there, or has not all of them.
    """
    from finetune.tracking import Tracker, sqlite_file
    from release.counts import Recorded

    file = sqlite_file(store)
    if file is not None and not file.exists():
        raise SeedbedError(
            f"There is no tracking store at {store} to count the trials in: name it with --store, "
            "or say --without-store."
        )
    tracker = Tracker(store)
    return [
        Recorded(
            study=study,
            runs={
                trial_id: (trial.run_id, trial.status)
                for trial_id, trial in tracker.trials(study).items()
            },
            grids={grid.task: (grid.wi_seeds, grid.do_seeds) for grid in tracker.grids(study)},
        )
        for study in studies
    ]


def _staged_before(source: str, reviewed: "Sequence[str]") -> "Staged":
    """Return the release that a folder or the Hub holds; one in a folder is checked again."""
    from release.checks import check
    from release.leaks import Identity
    from release.loader import load
    from release.manifest import read_staged

    if source.startswith("hf:"):
        return load(source).staged()
    staged = read_staged(Path(source))
    if staged.repo is None:
        raise SeedbedError(
            f"{source} was staged without a repository, and its card names none: stage it anew "
            "with --repo."
        )
    check(staged.folder, Identity.here(), (staged.repo, *staged.authors, *reviewed))
    return staged


# ── Publishing ───────────────────────────────────────────────────────────────────────────────────
def _publish(hub: "Hub | None", staged: "Staged", *, public: bool, dry_run: bool) -> None:
    """Show what publishing changes, do it unless it is a dry run, and say what came of it."""
    from finetune.cli import display
    from release.publish import plan, plan_for_nowhere, publish

    screen = display.console()
    with display.console(err=True).status("Asking the Hub"):
        planned = plan_for_nowhere(staged) if hub is None else plan(hub, staged)
    if planned.is_released:
        screen.print(f"{staged.repo} {staged.tag} is already released; nothing was written.")
        return
    screen.print(display.changes_table(planned.changes))
    screen.print(f"\n{_summary(planned, public=public)}", markup=False)
    if dry_run or hub is None:
        screen.print(f"Staged in {staged.folder}. Nothing was published.", markup=False)
        return
    with display.console(err=True).status("Publishing"):
        published = publish(hub, planned, private=not public)
    screen.print(f"Released: {published.url}", markup=False)
    if published.is_private:
        screen.print(
            "The repository is private: only its owners see it. Its settings on the Hub make it "
            "public."
        )


def _summary(planned: "Plan", *, public: bool) -> str:
    """Return in a sentence what publishing would change, and where."""
    from collections import Counter

    from finetune.cli import display
    from release.publish import Kind

    count = Counter(change.kind for change in planned.changes)
    sent = sum(c.bytes for c in planned.writes if c.kind is not Kind.DELETE)
    release, repository = planned.release, planned.repository
    if release.repo is None:
        where = "a data set of the Hub (name it with --repo)"
    elif repository is None:
        where = f"{release.repo}, which will be made, {'public' if public else 'private'},"
    else:
        where = f"{release.repo}, which is {'private' if repository.is_private else 'public'},"
    return (
        f"To {where} as {release.tag}: {count[Kind.ADD]} to add, {count[Kind.CHANGE]} to change, "
        f"{count[Kind.DELETE]} to delete, {count[Kind.SAME]} the same; {display.size(sent)} to "
        "send."
    )
