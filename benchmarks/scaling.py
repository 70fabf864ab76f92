"""How much faster a study is with more workers.

python benchmarks/scaling.py                             prints the table
python benchmarks/scaling.py --page docs/benchmarks.md   renews the section of the page as well

The same trials of the built-in encoder are run by one worker and by more, in turn; the speed-up is
taken within a round, and the table shows its median and range over rounds. Loading is left out.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the program of this checkout, whichever is installed

from benchmarks._measuring import add_page, machine, run, show, spread, study, table  # noqa: E402


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
    show(arguments.page, _section(shown, arguments))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all ways")
    parser.add_argument("--trials", type=int, default=8, help="in a round")
    parser.add_argument("--epochs", type=int, default=3, help="of each of them")
    parser.add_argument("--workers", type=int, nargs="+", default=[2], help="beside one")
    add_page(parser)
    return parser.parse_args()


def _section(shown: str, arguments: argparse.Namespace) -> str:
    return f"""\
## Workers

{shown}

- **Measured**: {arguments.rounds} rounds of {arguments.trials} trials of the built-in encoder,
  {arguments.epochs} epochs each; each way first in turn. From the first trial's start to the last
  one's end, nothing tracked. Medians over rounds, with the range.
- **Script**: `benchmarks/scaling.py`.
- **Machine**: {machine("torch", "transformers")}.
"""


if __name__ == "__main__":
    main()
