"""The fast forward pass of BERT's architecture on a CPU: no padding anywhere.

The sequences of a batch are packed: their real tokens stand one after another in one tensor
[tokens, hidden], and linear layers, norms and activations see nothing else. Attention goes
sequence by sequence, on views of that tensor: on a CPU the many small products are cheaper than
copying to a padded view and computing the padding too, whose share grows with the square of the
lengths. The last layer is computed for each sequence's first token alone, the one that the head
reads, though that token attends to all others.

It computes what the module of transformers computes, from the module's own parameters: optimiser,
clipping and state do not know which way the gradients came, and the two agree to rounding. Dropout
draws its masks for real tokens and real pairs of tokens only; `PaddedDropout` lays the same masks
out for a padded batch, so that a trial's numbers do not depend on which way its device goes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from finetune.dropout import Dropout


@dataclass(frozen=True)
class PackedBatch:
    """The real tokens of some sequences, one sequence after another.

    Attributes:
        input_ids: the wordpieces, int64[tokens].
        token_type_ids: which text of a pair each belongs to, int64[tokens].
        positions: each token's place in its sequence, from 0, int64[tokens].
        starts: where each sequence begins, int64[sequences].
        lengths: the number of tokens of each sequence.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    positions: Tensor
    starts: Tensor
    lengths: tuple[int, ...]

    def to(self, device: torch.device) -> "PackedBatch":
        """Return the same batch on a device."""
        return PackedBatch(
            self.input_ids.to(device),
            self.token_type_ids.to(device),
            self.positions.to(device),
            self.starts.to(device),
            self.lengths,
        )


def pack(
    inputs: Mapping[str, Sequence[Sequence[int]]], examples: Sequence[int] | NDArray[np.int64]
) -> PackedBatch:
    """Pack some examples, in the order given.

    Args:
        inputs: `input_ids`, and `token_type_ids` where there are any (else all are 0), a sequence
            of numbers per example without padding, as in `finetune.model.EncodedSplit`.
        examples: which of them, at least one.
    """
    words = [inputs["input_ids"][i] for i in examples]
    lengths = np.array([len(sequence) for sequence in words], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    tokens = int(lengths.sum())
    if "token_type_ids" in inputs:
        types = np.concatenate([inputs["token_type_ids"][i] for i in examples]).astype(np.int64)
    else:
        types = np.zeros(tokens, dtype=np.int64)
    return PackedBatch(
        input_ids=torch.from_numpy(np.concatenate(words).astype(np.int64)),
        token_type_ids=torch.from_numpy(types),
        positions=torch.from_numpy(np.arange(tokens) - np.repeat(starts, lengths)),
        starts=torch.from_numpy(starts),
        lengths=tuple(lengths.tolist()),
    )


def supports(module: nn.Module) -> bool:
    """Say whether `forward` computes what a module of transformers does.

    It does for the sequence classifiers of BERT, RoBERTa and ELECTRA, where they are encoders.
    """
    from transformers import (
        BertForSequenceClassification,
        ElectraForSequenceClassification,
        RobertaForSequenceClassification,
    )

    # Not isinstance: a subclass may compute something else.
    if type(module) not in (
        BertForSequenceClassification,
        ElectraForSequenceClassification,
        RobertaForSequenceClassification,
    ):
        return False
    config: Any = module.config
    return not (config.is_decoder or config.add_cross_attention)


def forward(module: nn.Module, batch: PackedBatch, dropout: Dropout | None = None) -> Tensor:
    """Compute the logits of a batch.

    Args:
        module: one that `supports` is true of. Whether it is in training or evaluation mode has
            no part in it.
        batch: the sequences.
        dropout: the step's dropout; None for none, as in evaluation. Its masks are drawn in this
            order, each for real tokens only and in the order of the packing: the embeddings
            [tokens, embedding size]; for each layer the attention [sequence by sequence: heads,
            queries, keys], its output [tokens, hidden] and the feed-forward output [tokens,
            hidden], where the last layer has one query and one token per sequence; then, before
            each linear layer of the head that the module of transformers drops out before,
            [sequences, hidden].

    Returns:
        float[sequences, outputs], in the order of the batch.
    """
    body: Any = module.base_model
    batch = batch.to(body.device)
    hidden = _embed(body, batch, dropout)
    *layers, last = body.encoder.layer
    for layer in layers:
        hidden = _layer(layer, hidden, hidden, batch.lengths, batch.lengths, dropout)
    first = hidden.index_select(0, batch.starts)
    ones = (1,) * len(batch.lengths)
    return _head(module, _layer(last, first, hidden, ones, batch.lengths, dropout), dropout)


def _embed(body: Any, batch: PackedBatch, dropout: Dropout | None) -> Tensor:
    tables = body.embeddings
    embedded: Tensor = tables.word_embeddings(batch.input_ids)
    embedded = embedded + tables.token_type_embeddings(batch.token_type_ids)
    embedded = embedded + tables.position_embeddings(_positions(tables, batch))
    embedded = _drop(tables.LayerNorm(embedded), dropout)
    if hasattr(body, "embeddings_project"):
        embedded = body.embeddings_project(embedded)
    return embedded


def _positions(tables: Any, batch: PackedBatch) -> Tensor:
    """Return the row of the position table that each token has."""
    padding = tables.position_embeddings.padding_idx
    if padding is None:
        return batch.positions
    # RoBERTa counts from the row after that of the padding, and leaves out a padding token that
    # stands in the text itself.
    real = (batch.input_ids != tables.padding_idx).long()
    counted = real.cumsum(0)
    before = (counted - real)[batch.starts]
    lengths = torch.tensor(batch.lengths, device=counted.device)
    places: Tensor = (counted - before.repeat_interleave(lengths)) * real + padding
    return places


def _layer(
    layer: Any,
    queried: Tensor,
    hidden: Tensor,
    queries: tuple[int, ...],
    keys: tuple[int, ...],
    dropout: Dropout | None,
) -> Tensor:
    """Compute a layer's output for some of the tokens.

    Args:
        layer: the module of transformers.
        queried: the tokens computed, float[sum of queries, hidden].
        hidden: the tokens they attend to, float[sum of keys, hidden].
        queries: how many tokens of each sequence are computed.
        keys: how many tokens each sequence has.
        dropout: the step's dropout.
    """
    attention = layer.attention.self
    query = attention.query(queried) * attention.scaling
    heads = attention.num_attention_heads
    masks = None
    if dropout is not None:
        sizes = [heads * q * k for q, k in zip(queries, keys, strict=True)]
        masks = dropout.mask(sum(sizes), query).split(sizes)
    context = _Attention.apply(  # type: ignore[no-untyped-call]
        query, attention.key(hidden), attention.value(hidden), queries, keys, heads, masks
    )
    output = layer.attention.output
    attended = output.LayerNorm(_drop(output.dense(context), dropout) + queried)
    inner = layer.intermediate.intermediate_act_fn(layer.intermediate.dense(attended))
    output = layer.output
    result: Tensor = output.LayerNorm(_drop(output.dense(inner), dropout) + attended)
    return result


def _head(module: Any, first: Tensor, dropout: Dropout | None) -> Tensor:
    """Compute the logits from the first token of each sequence."""
    logits: Tensor
    if getattr(module.base_model, "pooler", None) is not None:
        logits = module.classifier(_drop(module.base_model.pooler(first[:, None]), dropout))
        return logits
    head = module.classifier
    activation = getattr(head, "activation", torch.tanh)
    logits = head.out_proj(_drop(activation(head.dense(_drop(first, dropout))), dropout))
    return logits


def _drop(values: Tensor, dropout: Dropout | None) -> Tensor:
    return values if dropout is None else values * dropout.factors(values)


class _Attention(torch.autograd.Function):
    """softmax(q kᵀ) v for each sequence and head, with dropout of the probabilities.

    One node of the graph for all sequences, its gradient written out, because a node for each
    product of each sequence would cost as much as the products.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        queries: tuple[int, ...],
        keys: tuple[int, ...],
        heads: int,
        masks: tuple[Tensor, ...] | None,
    ) -> Tensor:
        """Attend.

        Args:
            ctx: what `backward` needs.
            query: already scaled, float[sum of queries, heads × width].
            key: float[sum of keys, heads × width].
            value: float[sum of keys, heads × width].
            queries: how many queries each sequence has.
            keys: how many keys each sequence has.
            heads: how many heads.
            masks: per sequence the factors of the probabilities, float[heads × queries × keys].
        """
        context = torch.empty_like(query)
        views = (
            _by_head(query, queries, heads),
            _by_head(key, keys, heads),
            _by_head(value, keys, heads),
            _by_head(context, queries, heads),
        )
        probabilities = []
        for i, (q, k, v, out) in enumerate(zip(*views, strict=True)):
            p = torch.bmm(q, k.transpose(1, 2)).softmax(-1)
            out.copy_(torch.bmm(p if masks is None else p * masks[i].view(p.shape), v))
            probabilities.append(p)
        ctx.save_for_backward(query, key, value, *probabilities)
        ctx.queries, ctx.keys, ctx.heads, ctx.masks = queries, keys, heads, masks
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of query, key and value."""
        query, key, value, *probabilities = ctx.saved_tensors
        gradients = tuple(torch.empty_like(tensor) for tensor in (query, key, value))
        views = (
            _by_head(query, ctx.queries, ctx.heads),
            _by_head(key, ctx.keys, ctx.heads),
            _by_head(value, ctx.keys, ctx.heads),
            _by_head(gradient, ctx.queries, ctx.heads),
            _by_head(gradients[0], ctx.queries, ctx.heads),
            _by_head(gradients[1], ctx.keys, ctx.heads),
            _by_head(gradients[2], ctx.keys, ctx.heads),
            probabilities,
        )
        for i, (q, k, v, g, dq, dk, dv, p) in enumerate(zip(*views, strict=True)):
            mask = None if ctx.masks is None else ctx.masks[i].view(p.shape)
            dp = torch.bmm(g, v.transpose(1, 2))
            dropped = p
            if mask is not None:
                dropped = p * mask
                dp.mul_(mask)
            dv.copy_(torch.bmm(dropped.transpose(1, 2), g))
            # The softmax's own gradient, p (dp - Σ p dp).
            ds = torch._softmax_backward_data(dp, p, -1, p.dtype)  # noqa: SLF001 — one pass, not three
            dq.copy_(torch.bmm(ds, k))
            dk.copy_(torch.bmm(ds.transpose(1, 2), q))
        return (*gradients, None, None, None, None)


def _by_head(packed: Tensor, lengths: tuple[int, ...], heads: int) -> Sequence[Tensor]:
    """Return views of each sequence, [heads, length, width]."""
    by_head = packed.view(len(packed), heads, -1).transpose(0, 1)
    return torch.split(by_head, list(lengths), dim=1)


class CutTable(nn.Module):
    """The rows of a table of wordpieces that a task uses, in the place of the whole table.

    A task uses a part of the vocabulary, but gradient, clipping and optimiser go through the whole
    table at every step: in a small encoder, half of all parameters. A row that is never looked up
    has no gradient, so all that happens to it is weight decay, which can be made up for at the end.

    Attributes:
        weight: the rows in use, float[wordpieces in use, width].
    """

    def __init__(self, table: nn.Embedding, wordpieces: NDArray[np.int64]) -> None:
        super().__init__()
        used = torch.from_numpy(np.unique(wordpieces)).to(table.weight.device)
        rows = torch.full((table.num_embeddings,), -1, device=used.device)
        rows[used] = torch.arange(len(used), device=used.device)
        self.weight = nn.Parameter(table.weight.detach()[used])
        self._table, self._used, self._rows = [table], used, rows  # in a list: no submodule
        padding = -1 if table.padding_idx is None else int(rows[table.padding_idx])
        self._padding = padding if padding >= 0 else None

    def forward(self, wordpieces: Tensor) -> Tensor:
        """Look wordpieces up by their numbers in the whole table.

        Raises:
            IndexError: where one is not in use.
        """
        return nn.functional.embedding(self._rows[wordpieces], self.weight, self._padding)

    @property
    def table(self) -> nn.Embedding:
        """The whole table, as it was when it was cut."""
        return self._table[0]

    def whole(self, weight: Tensor, decay: float) -> Tensor:
        """Return the whole table as training it would have left it.

        Args:
            weight: the rows in use as training has left them, float[wordpieces in use, width].
            decay: what weight decay alone has made of every other weight, as a factor.

        Returns:
            float[vocabulary, width], on the device of `weight`.
        """
        whole = self.table.weight.detach().to(weight.device) * decay
        whole[self._used.to(weight.device)] = weight
        return whole


def cut_table(module: nn.Module, wordpieces: NDArray[np.int64]) -> None:
    """Put a table of only the wordpieces in use in the place of a module's whole one.

    Args:
        module: one that `supports` is true of; its optimiser is built after.
        wordpieces: the numbers of all that may be looked up until `restore_table`, in any order,
            repeated or not.
    """
    restore_table(module)
    embeddings: Any = module.base_model.embeddings  # type: ignore[union-attr]
    embeddings.word_embeddings = CutTable(embeddings.word_embeddings, wordpieces)


def restore_table(module: nn.Module) -> None:
    """Give a module back the table that it had before it was cut, if it was."""
    cut = table_cut(module)
    if cut is not None:
        embeddings: Any = module.base_model.embeddings  # type: ignore[union-attr]
        embeddings.word_embeddings = cut.table


def table_cut(module: nn.Module) -> CutTable | None:
    """Return the cut table that stands in a module; None where its table is whole."""
    table = module.base_model.embeddings.word_embeddings  # type: ignore[union-attr]
    return table if isinstance(table, CutTable) else None


def table_name(module: nn.Module) -> str:
    """Return the name of the table's weights, cut or whole, among the module's parameters."""
    table = module.base_model.embeddings.word_embeddings.weight  # type: ignore[union-attr]
    return next(name for name, parameter in module.named_parameters() if parameter is table)


class PaddedDropout(Dropout):
    """The masks of the packed way, laid out for a padded batch of the same sequences.

    Where a device takes the padded way, a trial drops out what it would drop out packed: the masks
    are drawn for real tokens only and in the order of the packing (see `forward`), and filled up
    with ones where the padded batch has more.
    """

    def __init__(self, dropout: Dropout, real: Tensor, layers: int) -> None:
        """Lay out the dropout of a step.

        Args:
            dropout: the step's dropout.
            real: which places of the batch hold a token, bool[sequences, longest].
            layers: how many layers the encoder has.
        """
        super().__init__(dropout.probability, dropout.bits)
        self._real = real
        # The head reads the first token alone, and so the last layer is computed for no other.
        self._first = real & (real.cumsum(1) == 1)
        self._layers_left = layers

    def factors(self, values: Tensor) -> Tensor:
        """Draw the factors of a tensor of the module's: the head's, a layer's or an attention's.

        Args:
            values: float[sequences, hidden], [sequences, longest, hidden], or [sequences, heads,
                longest, longest].
        """
        if values.ndim == 4:
            self._layers_left -= 1
        queries = self._real if self._layers_left else self._first
        if values.ndim == 2:
            return super().factors(values)
        if values.ndim == 3:
            drawn = queries[:, :, None].expand(values.shape)
        else:
            pairs = queries[:, None, :, None] & self._real[:, None, None, :]
            drawn = pairs.expand(values.shape)
        factors = torch.ones_like(values)
        factors[drawn] = self.mask(int(drawn.sum()), values)
        return factors
