"""From the rows of a table to the examples of a split."""

from collections.abc import Sequence

from finetune.tasks.faults import Faults
from finetune.tasks.labels import Labels
from finetune.tasks.tables import MISSING, Table
from finetune.tasks.task import Split, Texts


def examples_of(
    table: Table, text: Sequence[str], label: str, labels: Labels, faults: Faults
) -> Split:
    """Check the rows of a table and return them as examples.

    Blanks around a text are left out: some of GLUE's files have them, and tokenizers that work on
    bytes would see them. One text of a pair may be empty, as in QQP; all of them may not.

    Args:
        table: the rows.
        text: the columns of the one or two texts.
        label: the column of the label.
        labels: what a label may be.
        faults: takes what is wrong with the rows; is checked before the return.

    Raises:
        SeedbedError: with all of `faults`.
    """
    texts: list[Texts] = []
    numbers: list[float] = []
    for number, (written, *cells) in table.select([label, *text], faults):
        wrong_text = _wrong_text(cells, text)
        if wrong_text:
            faults.add(wrong_text, number=number)
        value = labels.read(written)
        if value is None:
            faults.add(_wrong_label(written, label, labels), number=number)
        if value is not None and not wrong_text:
            texts.append(tuple(str(cell).strip() for cell in cells))
            numbers.append(value)
    faults.check()
    return Split(tuple(texts), labels.array(numbers))


def is_missing(value: object) -> bool:
    """Return whether a cell says nothing: it is not there, null, or blank."""
    return value is MISSING or value is None or (isinstance(value, str) and not value.strip())


def _wrong_text(cells: Sequence[object], columns: Sequence[str]) -> str:
    """Say what is wrong with the texts of an example; nothing where all is well."""
    for cell, column in zip(cells, columns, strict=True):
        if cell is MISSING or cell is None:
            return f"no '{column}'"
        if not isinstance(cell, str):
            return f"'{column}' is not text but {cell!r:.40}"
    if all(is_missing(cell) for cell in cells):
        return " and ".join(f"'{column}'" for column in columns) + " without text"
    return ""


def _wrong_label(written: object, column: str, labels: Labels) -> str:
    if is_missing(written):
        return f"no '{column}'; allowed are {labels.allowed}"
    return f"'{column}' is {str(written).strip()!r:.60}; allowed are {labels.allowed}"
