"""Studies put together from options, with or without a file to start from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from finetune.study import Study


def gather_study(
    study: str | None,
    *,
    changes: Mapping[str, Any],
    tasks: Sequence[str],
    recipe: Mapping[str, Any],
) -> "Study":
    """Read a study file and change it, or make a study of the changes alone.

    Args:
        study: a file, or the name of a study that comes with Seedbed; None for no file.
        changes: fields of the study by name; those that are None are left as they are.
        tasks: names of tasks: with a file those of its tasks to keep, else the study's tasks.
        recipe: fields of the recipe by name.

    Raises:
        SeedbedError: with every fault of the file, or of the options.
    """
    from finetune.study_file import find_study, study_from

    given = {name: value for name, value in changes.items() if value is not None}
    if study is None:
        content: dict[str, Any] = {"tasks": list(tasks), "recipe": dict(recipe), **given}
        content.setdefault("study", _default_name(content.get("model")))
        return study_from(content, "the options")
    found = find_study(study)
    if not given and not tasks and not recipe:
        return found
    content = found.model_dump(exclude_unset=True)
    if tasks:
        unknown = set(tasks) - {entry["task"] for entry in content["tasks"]}
        if unknown:
            names = ", ".join(entry["task"] for entry in content["tasks"])
            raise SeedbedError(
                f"study {study}: has no task {', '.join(sorted(unknown))}; its tasks are: {names}."
            )
        content["tasks"] = [entry for entry in content["tasks"] if entry["task"] in tasks]
    content |= given
    content["recipe"] = _changed(content.get("recipe", {}), recipe)
    for entry in content["tasks"]:
        # What is given as an option holds for every task.
        for name in given:
            entry.pop(name, None)
        entry["recipe"] = _changed(entry.get("recipe", {}), recipe)
    return study_from(content, f"study {study}, as the options change it")


def _changed(recipe: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Change some fields of a recipe, or take another whole."""
    return dict(changes) if "preset" in changes else {**recipe, **changes}


def _default_name(model: str | None) -> str:
    """Name a study without a file after its model."""
    name = (model or "study").rstrip("/").rpartition("/")[2]
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name).lstrip("._-") or "study"
