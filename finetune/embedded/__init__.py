"""What Seedbed carries with it: a tiny pretrained encoder and two tasks of a made-up language.

With them a whole study runs in a minute, with no network and no data. They are a stand-in, good for
trying the platform and for tests: the encoder is no language model of English, and no result on it
says anything about a real model or a real task.
"""

from pathlib import Path

ENCODER = Path(__file__).parent / "encoder"
"""The Hugging Face folder of the encoder; `python -m finetune.embedded.pretrain` makes it."""
