"""GLUE in miniature: all nine tasks as files and as a Hub repository, with their quirks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from finetune.tasks.task import Split, TaskData


@dataclass(frozen=True)
class Miniature:
    """A few lines of a task, as GLUE distributes them, and the examples they hold.

    Attributes:
        folder: its folder.
        files: the content of each file.
        config: its configuration on the Hub.
        columns: the columns of its texts there.
        names: its classes there, in order; empty for regression.
        train: its training examples: texts and label.
        validation: its validation examples.
        hub_validation: the split of the Hub that they are.
    """

    folder: str
    files: dict[str, str]
    config: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    train: list[tuple[tuple[str, ...], float]]
    validation: list[tuple[tuple[str, ...], float]]
    hub_validation: str = "validation"


ENTAILMENT = ("entailment", "not_entailment")
MNLI = ("entailment", "neutral", "contradiction")
MNLI_HEADER = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse"
    "\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1"
)
MNLI_FILES = {
    "train.tsv": f"{MNLI_HEADER}\tgold_label\n"
    "0\t31193\t31193n\tgovernment\t( a )\t( b )\t(ROOT a)\t(ROOT b)"
    "\tCream skims.\tMilk is white.\tneutral\tneutral\n"
    "1\t101457\t101457e\ttelephone\t( a )\t( b )\t(ROOT a)\t(ROOT b)"
    "\tYou know.\tYou are told.\tentailment\tentailment\n",
    "dev_matched.tsv": f"{MNLI_HEADER}\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n"
    "0\t63735\t63735n\tslate\t( a )\t( b )\t(ROOT a)\t(ROOT b)\tIt is new.\tIt is old."
    "\tcontradiction\tneutral\tneutral\tcontradiction\tneutral\tcontradiction\n",
    "dev_mismatched.tsv": f"{MNLI_HEADER}\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n"
    "0\t75290\t75290c\tletters\t( a )\t( b )\t(ROOT a)\t(ROOT b)\tWe thank you.\tThanks."
    "\tentailment\tneutral\tentailment\tentailment\tentailment\tentailment\n",
}
MNLI_TRAIN: list[tuple[tuple[str, ...], float]] = [
    (("Cream skims.", "Milk is white."), 1),
    (("You know.", "You are told."), 0),
]

MINIATURES = {
    "cola": Miniature(
        "CoLA",
        {
            "train.tsv": "gj04\t1\t\tOur friends won't buy this.\ngj04\t0\t*\tThe more you want.\n",
            "dev.tsv": 'w_80\t0\t*\tJohn "talked to.\nw_80\t1\t\tWhat all did you get?',
        },
        "cola",
        ("sentence",),
        ("unacceptable", "acceptable"),
        [(("Our friends won't buy this.",), 1), (("The more you want.",), 0)],
        [(('John "talked to.',), 0), (("What all did you get?",), 1)],
    ),
    "sst2": Miniature(
        "SST-2",
        {
            "train.tsv": "sentence\tlabel\nhide new secretions \t0\nthat loves its clichés \t1\n",
            "dev.tsv": "sentence\tlabel\nit 's a charming journey . \t1\n",
        },
        "sst2",
        ("sentence",),
        ("negative", "positive"),
        [(("hide new secretions",), 0), (("that loves its clichés",), 1)],
        [(("it 's a charming journey .",), 1)],
    ),
    "mrpc": Miniature(
        "MRPC",
        {
            "train.tsv": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
            '1\t702876\t702977\tHe called " the witness " .\t" Only the witness " .\n'
            '0\t2108705\t2108831\tYucaipa owned it .\tHe paid $ 2.5 billion " .\n',
            "dev.tsv": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
            "1\t1355540\t1355592\tIt doesn 't fit .\t\" It does not fit .\n",
        },
        "mrpc",
        ("sentence1", "sentence2"),
        ("not_equivalent", "equivalent"),
        [
            (('He called " the witness " .', '" Only the witness " .'), 1),
            (("Yucaipa owned it .", 'He paid $ 2.5 billion " .'), 0),
        ],
        [(("It doesn 't fit .", '" It does not fit .'), 1)],
    ),
    "stsb": Miniature(
        "STS-B",
        {
            "train.tsv": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2"
            "\tsentence1\tsentence2\tscore\n"
            "0\tmain-captions\tMSRvid\t2012test\t0001\tnone\tnone\tA plane.\tAn air plane.\t5.000\n"
            "1\tmain-captions\tMSRvid\t2012test\t0004\tnone\tnone\tA man.\tA woman.\t0.750\n",
            "dev.tsv": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2"
            "\tsentence1\tsentence2\tscore\n"
            "0\tmain-forums\tdeft\t2013\t0002\tnone\tnone\tA hat.\tA hard hat.\t3.8\n",
        },
        "stsb",
        ("sentence1", "sentence2"),
        (),
        [(("A plane.", "An air plane."), 5.0), (("A man.", "A woman."), 0.75)],
        [(("A hat.", "A hard hat."), 3.8)],
    ),
    "qqp": Miniature(
        "QQP",
        {
            # Lines 3 and 4 are one question with a line break: GLUE's own blemish.
            "train.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
            "133273\t213221\t213222\tHow is it?\tWhat is it?\t0\n"
            "402555\t536040\t536041\tWho was he?\n"
            "\tWas he real?\t0\n"
            "360472\t364011\t490273\tWhat causes it?\t\t1\n",
            "dev.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
            "201359\t303345\t303346\tWhy?\tWhy so?\t1\n",
        },
        "qqp",
        ("question1", "question2"),
        ("not_duplicate", "duplicate"),
        [(("How is it?", "What is it?"), 0), (("What causes it?", ""), 1)],
        [(("Why?", "Why so?"), 1)],
    ),
    "mnli": Miniature(
        "MNLI",
        MNLI_FILES,
        "mnli",
        ("premise", "hypothesis"),
        MNLI,
        MNLI_TRAIN,
        [(("It is new.", "It is old."), 2)],
        hub_validation="validation_matched",
    ),
    "mnli_mismatched": Miniature(
        "MNLI",
        MNLI_FILES,
        "mnli",
        ("premise", "hypothesis"),
        MNLI,
        MNLI_TRAIN,
        [(("We thank you.", "Thanks."), 0)],
        hub_validation="validation_mismatched",
    ),
    "qnli": Miniature(
        "QNLI",
        {
            "train.tsv": "index\tquestion\tsentence\tlabel\n"
            "0\tWhen did it begin?\tIn 1937.\tentailment\n"
            "1\tWhich one?\tNobody knows.\tnot_entailment\n",
            "dev.tsv": "index\tquestion\tsentence\tlabel\n"
            "0\tWhat came in?\tAs of that day, it did.\tnot_entailment\n",
        },
        "qnli",
        ("question", "sentence"),
        ENTAILMENT,
        [(("When did it begin?", "In 1937."), 0), (("Which one?", "Nobody knows."), 1)],
        [(("What came in?", "As of that day, it did."), 1)],
    ),
    "rte": Miniature(
        "RTE",
        {
            "train.tsv": "index\tsentence1\tsentence2\tlabel\n"
            "0\tNo weapons found.\tWeapons found.\tnot_entailment\n"
            "1\tA place of joy.\tBenedict leads.\tentailment\n",
            "dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tShe died.\tHe fell.\tentailment\n",
        },
        "rte",
        ("sentence1", "sentence2"),
        ENTAILMENT,
        [(("No weapons found.", "Weapons found."), 1), (("A place of joy.", "Benedict leads."), 0)],
        [(("She died.", "He fell."), 0)],
    ),
    "wnli": Miniature(
        "WNLI",
        {
            "train.tsv": "index\tsentence1\tsentence2\tlabel\n"
            "0\tI stuck a pin in it.\tThe carrot had a hole.\t1\n"
            "1\tJohn couldn't see it.\tBilly couldn't.\t0\n",
            "dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tThe drain is clogged.\tClean.\t0\n",
        },
        "wnli",
        ("sentence1", "sentence2"),
        ("not_entailment", "entailment"),
        [
            (("I stuck a pin in it.", "The carrot had a hole."), 1),
            (("John couldn't see it.", "Billy couldn't."), 0),
        ],
        [(("The drain is clogged.", "Clean."), 0)],
    ),
}


@pytest.fixture(params=sorted(MINIATURES))
def task_name(request: pytest.FixtureRequest) -> str:
    """Each of GLUE's tasks in turn."""
    return str(request.param)


@pytest.fixture
def expected(task_name: str) -> TaskData:
    """The examples that the task's few lines hold."""
    miniature = MINIATURES[task_name]

    def split(examples: list[tuple[tuple[str, ...], float]]) -> Split:
        values = np.array([label for _, label in examples], dtype=np.float64)
        labels = values.astype(np.int64) if miniature.names else values
        return Split(tuple(texts for texts, _ in examples), labels)

    return TaskData(split(miniature.train), split(miniature.validation))


@pytest.fixture
def glue(tmp_path: Path) -> Path:
    """A folder of GLUE's files in miniature, under a name with a space."""
    root = tmp_path / "glue data"
    for miniature in MINIATURES.values():
        write(root / miniature.folder, miniature.files)
    return root


@pytest.fixture
def write_files() -> Callable[[Path, dict[str, str]], Path]:
    """A function that writes files of these contents into a folder, and returns the folder."""
    return write


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files of these contents into a folder, every line end as it is; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode())
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which `owner/name` is looked for first; the Hub itself is out of reach."""
    import datasets
    import huggingface_hub

    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return folder


@pytest.fixture
def glue_on_hub(hub: Path, task_name: str, expected: TaskData) -> Path:
    """The task's configuration of `nyu-mll/glue`, with the columns and classes of the Hub's."""
    import datasets

    miniature = MINIATURES[task_name]
    names = list(miniature.names)
    features = datasets.Features(
        {column: datasets.Value("string") for column in miniature.columns}
        | {"label": datasets.ClassLabel(names=names) if names else datasets.Value("float32")}
        | {"idx": datasets.Value("int32")}
    )
    repository = hub / "nyu-mll" / "glue"
    splits = {"train": expected.train, miniature.hub_validation: expected.validation}
    card = ["---", "configs:", f"- config_name: {miniature.config}", "  data_files:"]
    for name, split in splits.items():
        columns = dict(zip(miniature.columns, zip(*split.texts, strict=True), strict=True))
        rows = columns | {"label": split.labels.tolist(), "idx": range(len(split))}
        path = f"{miniature.config}/{name}-00000-of-00001.parquet"
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict(rows, features=features).to_parquet(repository / path)
        card += [f"  - split: {name}", f"    path: {path}"]
    (repository / "README.md").write_text("\n".join([*card, "---", ""]))
    return repository
