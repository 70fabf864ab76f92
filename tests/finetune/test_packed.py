"""The packed forward pass computes what the module of transformers does, from its parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from finetune.dropout import Dropout, dropping
from finetune.model import EncodedSplit, Model
from finetune.optimizer import build_optimizer, clip_gradients, decay, learning_rate
from finetune.packed import (
    PaddedDropout,
    cut_table,
    forward,
    pack,
    restore_table,
    supports,
    table_cut,
    table_name,
)
from finetune.pretrained import Pretrained
from finetune.seeds import DropoutBits, threshold
from finetune.study import Recipe
from finetune.tasks import Task

WORDS, OUTPUTS = 30, 3
FAMILIES = ("bert", "roberta", "electra")

lengths = st.lists(st.integers(1, 12), min_size=1, max_size=6)
seeds = st.integers(0, 2**32 - 1)


def make_classifier(family: str, dtype: torch.dtype, **changes: Any) -> nn.Module:
    """A random sequence classifier whose every weight matters, as transformers builds it."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    settings: dict[str, Any] = {
        "vocab_size": WORDS,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 16,
        "type_vocab_size": 2,
        "num_labels": OUTPUTS,
        "pad_token_id": 1 if family == "roberta" else 0,
        **({"embedding_size": 8} if family == "electra" else {}),
        **changes,
    }
    config = AutoConfig.for_model(family, **settings)
    generator = torch.Generator().manual_seed(3)
    with torch.random.fork_rng():
        module: nn.Module = AutoModelForSequenceClassification.from_config(
            config, attn_implementation="eager"
        ).to(dtype)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=dtype) / 3)
    return module.eval()


@pytest.fixture(scope="module")
def classifier() -> Callable[[str, torch.dtype], nn.Module]:
    made: dict[tuple[str, torch.dtype], nn.Module] = {}

    def classifier(family: str, dtype: torch.dtype = torch.float64) -> nn.Module:
        if (family, dtype) not in made:
            made[family, dtype] = make_classifier(family, dtype)
        return made[family, dtype]

    return classifier


def sentences(lengths: list[int], seed: int, padding: int = 0) -> EncodedSplit:
    """Random wordpieces and token types in sequences of these lengths."""
    rng = np.random.default_rng(seed)
    return EncodedSplit(
        inputs={
            "input_ids": [rng.integers(2, WORDS, n).tolist() for n in lengths],
            "token_type_ids": [np.sort(rng.integers(0, 2, n)).tolist() for n in lengths],
            "attention_mask": [[1] * n for n in lengths],
        },
        padding={"input_ids": padding, "token_type_ids": 0, "attention_mask": 0},
        padding_side="right",
        labels=torch.from_numpy(rng.integers(0, OUTPUTS, len(lengths))),
    )


def gradients(module: nn.Module, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    module.zero_grad()
    cross_entropy(logits, labels).backward()
    return {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}


def seeded(probability: float, seed: int = 1, step: int = 1) -> Dropout:
    return Dropout(probability, DropoutBits(seed, step))


class TestAgreementWithTransformers:
    @pytest.mark.parametrize("family", FAMILIES)
    @settings(max_examples=25, deadline=None)
    @given(lengths=lengths, seed=seeds)
    def test_logits_and_gradients_agree_to_rounding_in_float64(
        self,
        classifier: Callable[..., nn.Module],
        family: str,
        lengths: list[int],
        seed: int,
    ) -> None:
        module = classifier(family)
        split = sentences(lengths, seed, module.config.pad_token_id)  # type: ignore[union-attr, arg-type]
        everything = np.arange(len(split))
        expected = module(**split.batch(everything)).logits
        logits = forward(module, pack(split.inputs, everything))
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
        ours, theirs = (gradients(module, x, split.labels) for x in (logits, expected))
        assert ours.keys() == theirs.keys()
        for name, gradient in theirs.items():
            assert (ours[name] - gradient).norm() <= 1e-12 * (1 + gradient.norm()), name

    @settings(max_examples=25, deadline=None)
    @given(lengths=lengths, seed=seeds)
    def test_logits_agree_to_1e_6_and_gradients_to_1e_5_in_float32(
        self, classifier: Callable[..., nn.Module], lengths: list[int], seed: int
    ) -> None:
        module = classifier("bert", torch.float32)
        split = sentences(lengths, seed)
        everything = np.arange(len(split))
        expected = module(**split.batch(everything)).logits
        logits = forward(module, pack(split.inputs, everything))
        assert (logits - expected).norm() <= 1e-6 * (1 + expected.norm())
        ours, theirs = (gradients(module, x, split.labels) for x in (logits, expected))
        largest = max(gradient.norm() for gradient in theirs.values())
        for name, gradient in theirs.items():
            assert (ours[name] - gradient).norm() <= 1e-5 * largest, name

    @pytest.mark.parametrize("lengths", [[1], [7], [5, 5, 5], [12, 1, 12]])
    def test_one_sequence_equal_lengths_and_lone_tokens_agree(
        self, classifier: Callable[..., nn.Module], lengths: list[int]
    ) -> None:
        module, split = classifier("bert"), sentences(lengths, 5)
        everything = np.arange(len(split))
        with torch.inference_mode():
            torch.testing.assert_close(
                forward(module, pack(split.inputs, everything)),
                module(**split.batch(everything)).logits,
            )

    def test_an_encoder_of_one_layer_agrees(self) -> None:
        module = make_classifier("bert", torch.float64, num_hidden_layers=1)
        split = sentences([3, 9, 2], 5)
        torch.testing.assert_close(
            forward(module, pack(split.inputs, [2, 0])),
            module(**split.batch(np.array([2, 0]))).logits,
        )

    def test_without_token_types_all_tokens_are_of_the_first(
        self, classifier: Callable[..., nn.Module]
    ) -> None:
        module, split = classifier("bert"), sentences([3, 9, 2], 5)
        words = {"input_ids": split.inputs["input_ids"]}
        types = {"token_type_ids": [[0] * n for n in (3, 9, 2)]}
        assert torch.equal(
            forward(module, pack(words, [0, 1])), forward(module, pack({**words, **types}, [0, 1]))
        )

    def test_a_padding_token_in_the_text_has_the_position_that_roberta_gives_it(
        self, classifier: Callable[..., nn.Module]
    ) -> None:
        words = [[5, 1, 6, 7], [8, 9, 1, 1, 4]]
        expected = [
            classifier("roberta")(torch.tensor([w]), attention_mask=torch.ones(1, len(w))).logits[0]
            for w in words
        ]
        logits = forward(classifier("roberta"), pack({"input_ids": words}, [0, 1]))
        torch.testing.assert_close(logits, torch.stack(expected))

    def test_pairs_as_the_tokenizer_makes_them_agree(
        self, tiny_pretrained: Pretrained, reviews: Task
    ) -> None:
        model = Model(tiny_pretrained, 2, torch.device("cpu"))
        model.reset(1)
        model.module.eval()
        encoded = model.encode(reviews.source.read().train, 16)
        examples = np.array([7, 0, 31, 4])
        torch.testing.assert_close(
            forward(model.module, pack(encoded.inputs, examples)),
            model.padded(encoded.batch(examples)),
        )

    @settings(max_examples=10, deadline=None)
    @given(seed=seeds, others=lengths)
    def test_the_sequences_beside_it_do_not_change_an_examples_logits(
        self, classifier: Callable[..., nn.Module], seed: int, others: list[int]
    ) -> None:
        module, split = classifier("bert"), sentences([6, *others], seed)
        alone = forward(module, pack(split.inputs, [0]))
        beside = forward(module, pack(split.inputs, np.arange(len(split))[::-1]))[-1:]
        torch.testing.assert_close(alone, beside)

    def test_the_same_batch_gives_the_same_bits(self, classifier: Callable[..., nn.Module]) -> None:
        module, split = classifier("bert", torch.float32), sentences([3, 12, 7, 9], 5)

        def once() -> dict[str, Tensor]:
            logits = forward(module, pack(split.inputs, np.arange(4)), seeded(0.1))
            return {"logits": logits.detach(), **gradients(module, logits, split.labels)}

        first, second = once(), once()
        assert all(torch.equal(first[name], second[name]) for name in first)

    def test_the_modules_mode_has_no_part_in_it(self, classifier: Callable[..., nn.Module]) -> None:
        module, batch = classifier("bert"), pack(sentences([3, 4], 5).inputs, [0, 1])
        evaluated = forward(module, batch)
        try:
            assert torch.equal(forward(module.train(), batch), evaluated)
            assert module.training
        finally:
            module.eval()


class TestWhatIsSupported:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_encoders_of_its_families_are(
        self, classifier: Callable[..., nn.Module], family: str
    ) -> None:
        assert supports(classifier(family))

    def test_another_architecture_is_not(self) -> None:
        from transformers import DistilBertConfig, DistilBertForSequenceClassification

        config = DistilBertConfig(vocab_size=9, dim=8, n_heads=2, n_layers=1, hidden_dim=8)
        with torch.random.fork_rng():
            assert not supports(DistilBertForSequenceClassification(config))
        assert not supports(nn.Linear(2, 2))

    def test_a_decoder_is_not(self) -> None:
        assert not supports(make_classifier("bert", torch.float32, is_decoder=True))

    def test_a_subclass_that_may_compute_something_else_is_not(
        self, classifier: Callable[..., nn.Module]
    ) -> None:
        module = make_classifier("bert", torch.float32)
        module.__class__ = type("Own", (type(module),), {})
        assert not supports(module)


class Recording(DropoutBits):
    """Bits that remember what was asked of them."""

    def __init__(self, seed: int, step: int) -> None:
        super().__init__(seed, step)
        self.masks: list[np.ndarray] = []

    def kept(self, size: int, probability: float) -> np.ndarray:
        self.masks.append(super().kept(size, probability))
        return self.masks[-1]


class TestDropout:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_with_the_same_masks_transformers_computes_the_same(
        self,
        classifier: Callable[..., nn.Module],
        family: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """For one sequence there is no padding, so transformers can be given the very masks."""
        module = classifier(family)
        split = sentences([7], 5, module.config.pad_token_id)  # type: ignore[union-attr, arg-type]
        bits = Recording(3, 4)
        logits = forward(module, pack(split.inputs, [0]), Dropout(0.3, bits))
        masks = iter(bits.masks)
        scale = 2**16 / (2**16 - int(threshold(0.3)))

        def replayed(values: Tensor, p: float = 0.5, training: bool = True, *_: Any) -> Tensor:
            if not training:
                return values
            drawn = torch.from_numpy(next(masks)).to(values) * scale
            if drawn.numel() == values.numel():
                return values * drawn.view(values.shape)
            # In the last layer only the first token's are drawn; the others have no effect.
            whole = torch.ones_like(values)
            if values.ndim == 4:
                whole[:, :, :1] = drawn.view(1, values.shape[1], 1, -1)
            else:
                whole[:, :1] = drawn.view(1, 1, -1)
            return values * whole

        monkeypatch.setattr(nn.functional, "dropout", replayed)
        module.train()
        try:
            expected = module(**split.batch(np.array([0]))).logits
        finally:
            module.eval()
        assert next(masks, None) is None
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
        ours, theirs = (gradients(module, x, split.labels) for x in (logits, expected))
        for name, gradient in theirs.items():
            torch.testing.assert_close(ours[name], gradient, rtol=0, atol=1e-12, msg=name)

    def test_masks_are_drawn_for_real_tokens_in_the_order_that_is_documented(
        self, classifier: Callable[..., nn.Module]
    ) -> None:
        bits = Recording(1, 1)
        lengths, heads, hidden = [3, 5], 2, 16
        forward(classifier("bert"), pack(sentences(lengths, 5).inputs, [0, 1]), Dropout(0.1, bits))
        embeddings, pairs = 8 * hidden, heads * (3 * 3 + 5 * 5)
        assert [len(mask) for mask in bits.masks] == [
            embeddings,
            *(pairs, 8 * hidden, 8 * hidden),
            *(heads * 8, 2 * hidden, 2 * hidden),
            2 * hidden,
        ]

    def test_gradients_under_dropout_are_those_of_finite_differences(self) -> None:
        module = make_classifier("bert", torch.float64)
        split = sentences([2, 5, 1], 5)
        batch = pack(split.inputs, [0, 1, 2])

        def loss() -> Tensor:
            return cross_entropy(forward(module, batch, seeded(0.2)), split.labels)

        exact = gradients(module, forward(module, batch, seeded(0.2)), split.labels)
        generator = torch.Generator().manual_seed(7)
        for name, parameter in module.named_parameters():
            direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            with torch.no_grad():
                parameter.add_(direction, alpha=1e-6)
                above = loss()
                parameter.sub_(direction, alpha=2e-6)
                slope = (above - loss()) / 2e-6
                parameter.add_(direction, alpha=1e-6)
            expected = (exact[name] * direction).sum()
            assert slope.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-7), name

    def test_seed_and_step_govern_it_and_the_global_seed_has_no_part_in_it(
        self, classifier: Callable[..., nn.Module]
    ) -> None:
        module, batch = classifier("bert"), pack(sentences([3, 9, 2], 5).inputs, [0, 1, 2])
        before = torch.random.get_rng_state()
        first = forward(module, batch, seeded(0.3))
        assert torch.equal(before, torch.random.get_rng_state())
        assert torch.equal(first, forward(module, batch, seeded(0.3)))
        assert not torch.equal(first, forward(module, batch, seeded(0.3, step=2)))
        assert not torch.equal(first, forward(module, batch, seeded(0.3, seed=2)))

    def test_what_is_kept_is_scaled_so_that_the_mean_stays(self) -> None:
        mask = seeded(0.1).mask(10**6, torch.empty(0, dtype=torch.float64))
        assert mask.mean().item() == pytest.approx(1.0, abs=2e-3)
        assert (mask == 0).double().mean().item() == pytest.approx(0.1, abs=2e-3)

    def test_dropping_nothing_is_no_dropout(self, classifier: Callable[..., nn.Module]) -> None:
        module, batch = classifier("bert"), pack(sentences([3, 9], 5).inputs, [0, 1])
        assert torch.equal(forward(module, batch, seeded(0.0)), forward(module, batch))


class TestPaddedDropout:
    """The same masks on the padded way, so that a device's way does not change a trial."""

    @pytest.mark.parametrize("family", FAMILIES)
    def test_a_padded_step_drops_out_what_a_packed_step_does(self, family: str) -> None:
        module = make_classifier(family, torch.float64)
        split = sentences([2, 7, 1, 4], 5, module.config.pad_token_id)  # type: ignore[union-attr, arg-type]
        examples = np.arange(4)
        packed = gradients(
            module, forward(module, pack(split.inputs, examples), seeded(0.3)), split.labels
        )
        batch = split.batch(examples)
        dropout = PaddedDropout(seeded(0.3), batch["attention_mask"].bool(), 2)
        with dropping(module, dropout):
            padded = gradients(module, module(**batch).logits, split.labels)
        without = gradients(module, forward(module, pack(split.inputs, examples)), split.labels)
        for name, gradient in packed.items():
            torch.testing.assert_close(padded[name], gradient, rtol=1e-9, atol=1e-12, msg=name)
        assert any(not torch.allclose(without[name], packed[name], rtol=0.1) for name in packed)


class TestCutTable:
    """The table of wordpieces cut to those in use."""

    RECIPE = Recipe(learning_rate=0.05, weight_decay=0.5, clip_norm=0.1, epochs=5)

    def train(self, module: nn.Module, split: EncodedSplit) -> None:
        batch = pack(split.inputs, np.arange(len(split)))
        optimizer = build_optimizer(module, self.RECIPE)
        for step in range(5):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(self.RECIPE, step, 1)
            optimizer.zero_grad()
            cross_entropy(forward(module, batch, seeded(0.1)), split.labels).backward()
            clip_gradients(module.parameters(), self.RECIPE)
            optimizer.step()

    @pytest.mark.parametrize("family", FAMILIES)
    def test_training_it_is_training_the_whole_table(self, family: str) -> None:
        whole, cut = (make_classifier(family, torch.float64) for _ in range(2))
        before = {name: value.clone() for name, value in whole.state_dict().items()}
        split = sentences([4, 7, 3], 5, whole.config.pad_token_id)  # type: ignore[union-attr, arg-type]
        used = np.concatenate(split.inputs["input_ids"])
        assert len(np.unique(used)) < WORDS - 5
        self.train(whole, split)
        cut_table(cut, used)
        self.train(cut, split)
        name, table = table_name(cut), table_cut(cut)
        assert table is not None
        trained = cut.state_dict()
        trained[name] = table.whole(trained[name], decay(self.RECIPE, 5, 1))
        for parameter, value in whole.state_dict().items():
            torch.testing.assert_close(
                trained[parameter], value, rtol=1e-9, atol=1e-12, msg=parameter
            )
        unused = np.setdiff1d(np.arange(WORDS), used)
        assert not torch.allclose(trained[name][unused], before[name][unused], rtol=0.02)

    def test_it_is_looked_up_as_the_whole_table_is(self) -> None:
        module, split = make_classifier("bert", torch.float64), sentences([3, 9, 2], 5)
        batch = pack(split.inputs, [0, 1, 2])
        logits = forward(module, batch)
        cut_table(module, np.concatenate(split.inputs["input_ids"]))
        assert torch.equal(forward(module, batch), logits)

    def test_what_is_not_in_use_cannot_be_looked_up(self) -> None:
        module = make_classifier("bert", torch.float64)
        cut_table(module, np.array([5, 7]))
        with pytest.raises(IndexError):
            forward(module, pack({"input_ids": [[5, 6, 7]]}, [0]))

    def test_restoring_gives_the_module_back_the_table_it_had(self) -> None:
        module = make_classifier("bert", torch.float64)
        before = dict(module.named_parameters())
        values = {name: parameter.clone() for name, parameter in before.items()}
        for wordpieces in ([5, 7], [1, 2, 3]):
            cut_table(module, np.array(wordpieces))
            with torch.no_grad():
                module.get_parameter(table_name(module)).fill_(7.0)
        restore_table(module)
        assert table_cut(module) is None
        for name, parameter in module.named_parameters():
            assert parameter is before[name]
            assert torch.equal(parameter, values[name])
