"""How much faster a study is with more workers.

python benchmarks/scaling.py                         prints the table
python benchmarks/scaling.py --markdown scaling.md   writes it as a section of a page as well

The same trials of the built-in encoder are run by one worker and by more, in turn; the speed-up is
taken within a round, and the table shows its median and range over rounds. Loading is left out.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the program of this checkout, whichever is installed

from benchmarks._measuring import machine, run, spread, study, table  # noqa: E402
from finetune.files import replacing_file  # noqa: E402


def main() -> None:
    """Measure and show."""
    arguments = _arguments()
    laid_out = study(arguments.trials, arguments.epochs)
    ways = sorted({1, *arguments.workers})
    rounds = []
    for number in range(arguments.rounds):
        # Which goes first takes turns, too.
        order = ways[::-1] if number % 2 else ways
        rounds.append({count: run(laid_out, count) for count in order})
    rows = [
        [
            str(count),
            spread([found[count] for found in rounds], 1),
            spread([3600 * arguments.trials / found[count] for found in rounds], 0),
            spread([found[1] / found[count] for found in rounds]),
        ]
        for count in ways
    ]
    shown = table(("workers", "seconds", "trials an hour", "speed-up"), rows)
    print(shown)
    if arguments.markdown:
        with replacing_file(arguments.markdown) as beside:
            beside.write_text(_section(shown, arguments), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all ways")
    parser.add_argument("--trials", type=int, default=8, help="in a round")
    parser.add_argument("--epochs", type=int, default=3, help="of each of them")
    parser.add_argument("--workers", type=int, nargs="+", default=[2], help="beside one")
    parser.add_argument("--markdown", type=Path, help="the file to write")
    return parser.parse_args()


def _section(shown: str, arguments: argparse.Namespace) -> str:
    return f"""\
## Workers

{shown}

- **Measured**: {arguments.rounds} rounds of {arguments.trials} trials of the built-in encoder,
  {arguments.epochs} epochs each; each way first in turn. From the first trial's start to the last
  one's end, nothing tracked. Medians over rounds, with the range.
- **Machine**: {machine()}.
"""


if __name__ == "__main__":
    main()
