"""Study files: YAML in, a checked study out, or one message with every fault of the file."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from finetune.errors import SeedbedError
from finetune.study import OwnData, Recipe, Study, StudyTask
from finetune.tasks import find_task


@dataclass(frozen=True)
class _Fault:
    line: int | None
    message: str

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"


_Path = tuple[str | int, ...]


@dataclass(frozen=True)
class _Document:
    """A YAML document: its content, and the line of each of its parts."""

    content: Any
    lines: Mapping[_Path, int]
    faults: tuple[_Fault, ...]

    def line(self, path: _Path) -> int | None:
        """Return the line of the part at `path`, or of the nearest part around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def _read_document(text: str) -> _Document:
    loader = yaml.SafeLoader(text)
    lines: dict[_Path, int] = {}
    faults: list[_Fault] = []

    def build(node: yaml.Node, path: _Path) -> Any:
        lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            content: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                key = loader.construct_object(key_node, deep=True)
                line = key_node.start_mark.line + 1
                if key in content:
                    faults.append(_Fault(line, f"`{key}` is there twice; keep one of them."))
                lines[(*path, key)] = line
                content[key] = build(value_node, (*path, key))
            return content
        if isinstance(node, yaml.SequenceNode):
            return [build(child, (*path, index)) for index, child in enumerate(node.value)]
        return loader.construct_object(node, deep=True)

    try:
        root = loader.get_single_node()
        content = None if root is None else build(root, ())
    finally:
        loader.dispose()
    return _Document(content, lines, tuple(faults))


def shipped_studies() -> dict[str, Path]:
    """Return the study files that come with the package, by their names."""
    folder = Path(str(resources.files("mlruns_config") / "studies"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml")) if path.stem != "template"}


def find_study(study: str) -> Study:
    """Read a study file, or a study that comes with the package.

    Args:
        study: a path, or the name of a study that comes with the package.

    Raises:
        SeedbedError: where there is neither, or with every fault of the file.
    """
    shipped = shipped_studies()
    if study in shipped and not Path(study).is_file():
        return read_study(shipped[study])
    if not Path(study).is_file():
        raise SeedbedError(
            f"study {study}: there is no such file, and no study of this name comes with Seedbed "
            f"(it has {', '.join(shipped)}). `finetune init` writes a file to start from."
        )
    return read_study(Path(study))


def read_study(path: Path) -> Study:
    """Read and check a study file. Paths in it are relative to its folder.

    Raises:
        SeedbedError: with every fault of the file: its line, what was found, what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SeedbedError(f"{path}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SeedbedError(f"{path}: is not UTF-8 text (byte {error.start}).") from error
    study = parse_study(text, str(path))
    return _anchored(study, path.parent)


def parse_study(text: str, origin: str) -> Study:
    """Check the text of a study file.

    Args:
        text: YAML.
        origin: how to call the text in messages, usually the file's path.

    Raises:
        SeedbedError: with every fault: its line, what was found, what is allowed.
    """
    try:
        document = _read_document(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}:" if mark else ""
        raise SeedbedError(f"{origin}:{where} is not YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise SeedbedError(f"{origin}: is not YAML: {error}.") from error
    if not isinstance(document.content, dict):
        raise SeedbedError(
            f"{origin}: a study file is a mapping with at least `study`, `model`, `tasks`, "
            "`wi_seeds` and `do_seeds`. `finetune init` writes one to start from."
        )
    return _checked(document, origin)


def study_from(content: Mapping[str, Any], origin: str) -> Study:
    """Check a study that is not from a file, such as one put together from options.

    Raises:
        SeedbedError: with every fault: what was found, what is allowed.
    """
    return _checked(_Document(dict(content), {}, ()), origin)


def _checked(document: _Document, origin: str) -> Study:
    faults = list(document.faults)
    study = None
    try:
        study = Study.model_validate(document.content)
    except ValidationError as error:
        faults += [_fault(detail, document) for detail in error.errors(include_url=False)]
    faults += _task_faults(document)
    if not faults and study is not None:
        return study
    faults.sort(key=lambda fault: fault.line or 0)
    one = len(faults) == 1
    raise SeedbedError(
        f"{origin}: {'there is a fault' if one else f'there are {len(faults)} faults'}; "
        "nothing was run.\n" + "\n".join(f"  {fault}" for fault in faults)
    )


def _task_faults(document: _Document) -> list[_Fault]:
    """Find what only the tasks together tell: unknown names, and names given twice."""
    entries = document.content.get("tasks")
    faults: list[_Fault] = []
    seen: set[str] = set()
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        name = entry.get("task") if isinstance(entry, dict) else entry
        if not isinstance(name, str):
            continue
        line = document.line(("tasks", index))
        if not isinstance(entry, dict) or entry.get("data") is None:
            try:
                name = find_task(name).name
            except SeedbedError as error:
                faults.append(_Fault(line, f"tasks: {error}"))
                continue
        if name in seen:
            faults.append(_Fault(line, f"tasks: {name} is there twice; keep one of them."))
        seen.add(name)
    return faults


def _fault(detail: ErrorDetails, document: _Document) -> _Fault:
    """Turn one of pydantic's errors into a sentence for the user."""
    path = detail["loc"]
    name = ".".join(f"[{part + 1}]" if isinstance(part, int) else part for part in path)
    name = name.replace(".[", "[") or "the study"
    field = _field(path)
    if detail["type"] == "extra_forbidden":
        known = list(_model_at(path[:-1]).model_fields)
        close = difflib.get_close_matches(str(path[-1]), known, n=1)
        hint = f"did you mean `{close[0]}`? " if close else ""
        return _Fault(
            document.line(path), f"{name}: unknown field; {hint}Allowed: {', '.join(known)}."
        )
    allowed = f" Allowed: {field}." if field else ""
    if detail["type"] == "missing":
        return _Fault(document.line(path), f"{name}: is missing.{allowed}")
    reason = str(detail["ctx"]["error"]) if detail["type"] == "value_error" else ""
    found = f"found {_shown(detail['input'])}"
    if reason and not isinstance(detail["input"], dict):
        found = reason if _shown(detail["input"]) in reason else f"{found}: {reason}"
    elif reason:
        found = reason
    return _Fault(document.line(path), f"{name}: {found}.{allowed}")


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _model_at(path: Sequence[str | int]) -> type[BaseModel]:
    """Return the section of a study that lies at a path of the file."""
    sections: dict[str, type[BaseModel]] = {"recipe": Recipe, "tasks": StudyTask, "data": OwnData}
    names = [part for part in path if isinstance(part, str)]
    return sections.get(names[-1], Study) if names else Study


def _field(path: Sequence[str | int]) -> str | None:
    """Return what is allowed at a path of the file, as its field's description says it."""
    names = [part for part in path if isinstance(part, str)]
    # Inside a list the path goes on to the item; the field is the innermost one that is declared.
    for end in range(len(names), 0, -1):
        field = _model_at(names[: end - 1]).model_fields.get(names[end - 1])
        if field is not None:
            return field.description
    return None


def _anchored(study: Study, folder: Path) -> Study:
    """Make the study's relative paths relative to the working directory instead of its folder."""

    def at(path: Path | None) -> Path | None:
        return None if path is None else folder / path.expanduser()

    def at_if_there(name: str | None) -> str | None:
        # What may be a folder or a name of the Hub is a folder only where the folder is there.
        path = at(None if name is None else Path(name))
        return str(path) if path is not None and path.is_dir() else name

    tasks = tuple(
        task.model_copy(
            update={
                "data_dir": at(task.data_dir),
                "data": task.data
                and task.data.model_copy(
                    update={
                        "train": at(task.data.train),
                        "validation": at(task.data.validation),
                        "hub": at_if_there(task.data.hub),
                    }
                ),
            }
        )
        for task in study.tasks
    )
    return study.model_copy(
        update={
            "tasks": tasks,
            "data_dir": at(study.data_dir),
            "model": at_if_there(study.model),
        }
    )
