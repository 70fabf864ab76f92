"""The three named streams of random numbers, and nothing else that is random.

A trial draws from a stream for its head's weights, one for the order of its data and one for its
dropout masks. Each is a bit generator of numpy keyed by the stream's name, a seed and a position,
so a stream needs no state: any part of it can be drawn at any time, in any process.

Only raw bits are drawn. NumPy promises that the bits of a bit generator and of a `SeedSequence`
never change; it promises no such thing for `Generator.permutation` or `standard_normal`, nor does
PyTorch for its generators. What is made of the bits here is therefore the same on every device and
under every version. Global generators are neither read nor set.
"""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

HEAD_DEVIATION = 0.02
"""Standard deviation of a fresh head's weights (paper, section 2.2)."""


def _key(stream: str, *position: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([int.from_bytes(stream.encode(), "big"), *position])


def head_weights(wi_seed: int, index: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw the weights of one tensor of a fresh head from N(0, 0.02²).

    Args:
        wi_seed: the seed of the weight initialisation, at least 0.
        index: which of the head's weight tensors, in the order of the model's parameters, from 0.
        shape: the tensor's shape. Together with the seed it is all the weights depend on, so the
            same seed gives the same head on every task with as many classes.
    """
    size = int(np.prod(shape))
    bits = np.random.PCG64(_key("head weights", wi_seed, index)).random_raw(size)
    # The midpoints of 2^52 equal cells of (0, 1): never 0 or 1, where the normal's inverse is ±∞.
    uniform = ((bits >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0**52
    quantile = NormalDist(0.0, HEAD_DEVIATION).inv_cdf
    weights = np.fromiter(map(quantile, uniform.tolist()), dtype=np.float64, count=size)
    return weights.astype(np.float32).reshape(shape)


def data_order(do_seed: int, epoch: int, examples: int) -> NDArray[np.int64]:
    """Return the order of the training examples in an epoch: a uniformly random permutation.

    Args:
        do_seed: the seed of the data order, at least 0.
        epoch: which epoch, from 0; each has an order of its own.
        examples: how many examples there are.
    """
    keys = np.random.PCG64(_key("data order", do_seed, epoch)).random_raw(examples)
    return np.argsort(keys, kind="stable")


def subset(examples: int, size: int) -> NDArray[np.int64]:
    """Choose `size` of `examples` at random, the same ones for every trial, in ascending order.

    For studies of a part of a data set; the choice is no factor of a study, hence no seed.
    """
    keys = np.random.PCG64(_key("subset", examples)).random_raw(examples)
    return np.sort(np.argsort(keys, kind="stable")[:size])


class DropoutBits:
    """The random bits of the dropout masks of one optimiser step.

    A model asks for one mask after another; each takes the next bits of the step's stream.
    """

    def __init__(self, dropout_seed: int, step: int) -> None:
        # SFC64 is numpy's fastest; masks need more bits than all else in a step together.
        self._bits = np.random.SFC64(_key("dropout", dropout_seed, step))

    def kept(self, size: int, probability: float) -> NDArray[np.bool_]:
        """Say for each of `size` elements whether it is kept.

        Args:
            size: how many elements.
            probability: of dropping an element, in [0, 1); taken to the nearest of 2^16 steps.
        """
        raw = self._bits.random_raw(-(-size // 4))
        # Little-endian whatever the machine, so that the bits fall to the elements in one order.
        words = raw.astype("<u8", copy=False).view("<u2")[:size]
        return words >= threshold(probability)


def threshold(probability: float) -> np.uint16:
    """Return how many of the 2^16 values of a 16-bit word mean "dropped"."""
    return np.uint16(round(probability * 2**16))
