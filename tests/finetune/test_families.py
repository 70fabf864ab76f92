"""Encoders of other families train as BERT does: fresh head, own streams, any batch, any length."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from finetune.dropout import Dropout, dropping
from finetune.errors import SeedbedError
from finetune.events import Step
from finetune.model import Model
from finetune.pretrained import Pretrained
from finetune.seeds import DropoutBits, head_weights
from finetune.study import Trial
from finetune.tasks import Split, Task
from finetune.training import begin, train

CPU = torch.device("cpu")
WORDS = ("good", "bad", "fine", "poor", "film", "book", "a", "the", "very", "not")
PAIRS = Split(
    (
        ("good film", "bad book"),
        ("a very good book not a poor film", "the fine film"),
        ("a", "bad"),
    ),
    np.array([1, 0, 1]),
)
LONGEST = 32

BERT_LIKE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": LONGEST,
}
# Position 0 stands for nothing, 1 for the padding.
OFFSET = {**BERT_LIKE, "max_position_embeddings": LONGEST + 2}
DISENTANGLED = {
    **BERT_LIKE,
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "type_vocab_size": 0,
}
XLNET = {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32}


@dataclass(frozen=True)
class Family:
    """A family of encoders, at its smallest.

    Attributes:
        name: the type of its configuration in transformers.
        settings: of its configuration.
        tokenizer: makes its tokenizer for `WORDS`.
        drawn: the weights of its head that are drawn, in the order of the stream.
        constant: the biases and norms of its head.
        segments: whether it tells the first text of a pair from the second by token types.
        longest: how many tokens it has positions for; None for any number.
    """

    name: str
    settings: dict[str, Any]
    tokenizer: Callable[[], Any]
    drawn: tuple[str, ...]
    constant: tuple[str, ...] = field(kw_only=True)
    segments: bool = field(kw_only=True)
    longest: int | None = LONGEST

    def save(self, folder: Path) -> Path:
        """Save an untrained encoder, without a head, and its tokenizer."""
        from transformers import CONFIG_MAPPING, AutoModel

        tokenizer = self.tokenizer()
        tokenizer.save_pretrained(folder)
        config = CONFIG_MAPPING[self.name](
            **{"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id} | self.settings
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            encoder = AutoModel.from_config(config)
        with torch.no_grad():
            # So small an encoder, as it is drawn, gives hardly anything of a text through.
            for parameter in encoder.parameters():
                if parameter.ndim >= 2:
                    parameter.mul_(10)
        encoder.save_pretrained(folder)
        return folder


def word_pieces(kind: str, *specials: str) -> Callable[[], Any]:
    def make() -> Any:
        import transformers

        vocabulary = {token: index for index, token in enumerate([*specials, *WORDS])}
        return getattr(transformers, kind)(vocabulary)

    return make


def byte_pairs(kind: str, *specials: str) -> Callable[[], Any]:
    """Every word is merged letter by letter, from its first, alone and behind a space."""

    def make() -> Any:
        import transformers

        forms = [space + word for word in WORDS for space in ("", "Ġ")]
        starts = [form[:end] for form in forms for end in range(1, len(form) + 1)]
        tokens = dict.fromkeys([*specials, *sorted({c for form in forms for c in form}), *starts])
        merges = dict.fromkeys((start[:-1], start[-1]) for start in starts if len(start) > 1)
        vocabulary = {token: index for index, token in enumerate(tokens)}
        return getattr(transformers, kind)(vocabulary, list(merges))

    return make


def unigrams(kind: str, *specials: str, **settings: Any) -> Callable[[], Any]:
    def make() -> Any:
        import transformers

        vocabulary = [(token, 0.0) for token in specials] + [(f"▁{word}", -1.0) for word in WORDS]
        return getattr(transformers, kind)(vocabulary, **settings)

    return make


def whole_words(*specials: str, **settings: Any) -> Callable[[], Any]:
    """A tokenizer of no family: padding, unknown, first and last token, in that order."""

    def make() -> Any:
        from tokenizers import Tokenizer, models, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        pad, unknown, first, last = specials
        vocabulary = {token: index for index, token in enumerate([*specials, *WORDS])}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{first} $A {last}",
            pair=f"{first} $A {last} $B:1 {last}:1",
            special_tokens=[(first, 2), (last, 3)],
        )
        named = {"pad_token": pad, "unk_token": unknown, "cls_token": first, "sep_token": last}
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **(named | settings))

    return make


BRACKETED = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ANGLED = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
TWO_LAYERS = ("classifier.dense.weight", "classifier.out_proj.weight")
TWO_BIASES = ("classifier.dense.bias", "classifier.out_proj.bias")

FAMILIES = (
    Family(
        "bert",
        BERT_LIKE,
        word_pieces("BertTokenizer", *BRACKETED),
        ("classifier.weight",),
        constant=("classifier.bias",),
        segments=True,
    ),
    Family(
        "roberta",
        OFFSET | {"type_vocab_size": 1},
        byte_pairs("RobertaTokenizer", *ANGLED),
        TWO_LAYERS,
        constant=TWO_BIASES,
        segments=False,
    ),
    Family(
        "distilbert",
        {
            "dim": 16,
            "n_layers": 2,
            "n_heads": 2,
            "hidden_dim": 32,
            "max_position_embeddings": LONGEST,
        },
        word_pieces("DistilBertTokenizer", *BRACKETED),
        ("pre_classifier.weight", "classifier.weight"),
        constant=("pre_classifier.bias", "classifier.bias"),
        segments=False,
    ),
    Family(
        "electra",
        BERT_LIKE | {"embedding_size": 8},
        word_pieces("ElectraTokenizer", *BRACKETED),
        TWO_LAYERS,
        constant=TWO_BIASES,
        segments=True,
    ),
    Family(
        "albert",
        BERT_LIKE | {"embedding_size": 8},
        unigrams("AlbertTokenizer", "<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"),
        ("classifier.weight",),
        constant=("classifier.bias",),
        segments=True,
    ),
    Family(
        "deberta",
        DISENTANGLED,
        byte_pairs("DebertaTokenizer", "[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"),
        ("pooler.dense.weight", "classifier.weight"),
        constant=("pooler.dense.bias", "classifier.bias"),
        segments=False,
    ),
    Family(
        "deberta-v2",
        # As DeBERTa v3 has it.
        DISENTANGLED
        | {
            "position_biased_input": False,
            "position_buckets": 8,
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
        },
        unigrams("DebertaV2Tokenizer", *BRACKETED),
        ("pooler.dense.weight", "classifier.weight"),
        constant=("pooler.dense.bias", "classifier.bias"),
        segments=False,
    ),
    Family(
        "xlnet",
        XLNET,
        unigrams(
            "XLNetTokenizer",
            *("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"),
        ),
        ("sequence_summary.summary.weight", "logits_proj.weight"),
        constant=("sequence_summary.summary.bias", "logits_proj.bias"),
        segments=True,
        longest=None,
    ),
    Family(
        "mpnet",
        OFFSET,
        word_pieces("MPNetTokenizer", *ANGLED, "[UNK]"),
        TWO_LAYERS,
        constant=TWO_BIASES,
        segments=False,
    ),
    Family(
        "modernbert",
        BERT_LIKE | {"local_attention": 8, "cls_token_id": 2, "sep_token_id": 3},
        # It gives token types, which this encoder has no use for.
        whole_words(
            *BRACKETED[:4], model_input_names=["input_ids", "token_type_ids", "attention_mask"]
        ),
        ("head.dense.weight", "classifier.weight"),
        constant=("head.norm.weight", "classifier.bias"),
        segments=False,
    ),
)


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


@pytest.fixture(scope="module")
def folder(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family.save(tmp_path_factory.mktemp("families") / family.name)


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[Model]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield load(folder)
    torch.set_num_threads(threads)


def load(folder: Path, outputs: int = 2) -> Model:
    return Model(Pretrained(folder.name, str(folder)), outputs, CPU)


def weights(model: Model) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.module.state_dict().items()}


def train_some(model: Model, trial: Trial, task: Task, steps: int | None) -> list[float]:
    """Return the losses of a trial's first steps; of all for None."""
    model.reset(trial.wi_seed)
    data = model.encode(task.source.read().train, LONGEST)
    validation = model.encode(task.source.read().validation.limited(4), LONGEST)
    events = train(
        trial, model, begin(trial, model, data, validation), data, validation, "accuracy"
    )
    return list(islice((e.loss for e in events if isinstance(e, Step)), steps))


class TestTheHead:
    def test_is_all_that_the_wi_seed_changes(self, family: Family, model: Model) -> None:
        model.reset(1)
        first = weights(model)
        model.reset(2)
        second = weights(model)
        assert {n for n in first if not torch.equal(first[n], second[n])} == set(family.drawn)

    def test_is_the_streams_with_biases_of_zero_and_norms_of_one(
        self, family: Family, model: Model
    ) -> None:
        model.reset(5)
        state = weights(model)
        for index, name in enumerate(family.drawn):
            expected = head_weights(5, index, tuple(state[name].shape))
            np.testing.assert_array_equal(state[name].numpy(), expected)
        # ModernBERT's classifier has a bias only where its configuration says so.
        for name in state.keys() & set(family.constant):
            assert (state[name] == (0.0 if name.endswith("bias") else 1.0)).all()
        head = {name for name in state if not name.startswith(f"{model.module.base_model_prefix}.")}
        assert head <= {*family.drawn, *family.constant}

    def test_is_all_that_is_not_pretrained(self, folder: Path, model: Model) -> None:
        model.reset(1)
        body = {
            n: p for n, p in model.module.base_model.state_dict().items() if n != "position_ids"
        }
        checkpoint = load_file(folder / "model.safetensors")
        # Some classifiers leave a pretrained pooler aside.
        assert {name for name in checkpoint if not name.startswith("pooler")} <= body.keys()
        for name, value in body.items():
            assert torch.equal(value, checkpoint[name]), name


class TestDropout:
    def test_comes_from_the_trials_own_stream_and_nothing_else(
        self, model: Model, make_trial: Any, reviews: Task
    ) -> None:
        before = torch.random.get_rng_state()
        first = train_some(model, make_trial(), reviews, 3)
        with torch.random.fork_rng():
            torch.manual_seed(99)
            second = train_some(model, make_trial(), reviews, 3)
        assert torch.equal(before, torch.random.get_rng_state())
        assert first == second
        other = train_some(model, make_trial(dropout_seed=77), reviews, 3)
        assert all(a != b for a, b in zip(first, other, strict=True))

    def test_of_none_makes_training_what_evaluation_is(self, model: Model) -> None:
        model.reset(1)
        batch = model.encode(PAIRS, LONGEST).batch(np.arange(3))
        with torch.no_grad():
            with dropping(model.module, Dropout(0.0, DropoutBits(1, 1))):
                trained = model.padded(batch)
            model.module.eval()
            torch.testing.assert_close(trained, model.padded(batch))

    def test_reaches_the_attention_of_every_layer(self, model: Model) -> None:
        sizes: list[int] = []

        class Recording(DropoutBits):
            def kept(self, size: int, probability: float) -> np.ndarray:
                sizes.append(size)
                return super().kept(size, probability)

        model.reset(1)
        encoded = model.encode(PAIRS, LONGEST).batch(np.arange(3))
        examples, longest = encoded["input_ids"].shape
        with torch.no_grad(), dropping(model.module, Dropout(0.1, Recording(1, 1))):
            model.padded(encoded)
        layers, heads = 2, 2
        assert sizes.count(examples * heads * longest * longest) == layers


class TestBatches:
    def test_filling_up_does_not_change_the_outputs(self, model: Model) -> None:
        model.reset(1)
        model.module.eval()
        encoded = model.encode(PAIRS, LONGEST)
        assert len(set(encoded.lengths)) == 3
        with torch.inference_mode():
            alone = torch.cat([model.padded(encoded.batch(np.array([i]))) for i in range(3)])
            beside = model.padded(encoded.batch(np.arange(3)))
        torch.testing.assert_close(alone, beside, rtol=1e-5, atol=1e-6)
        assert alone.std(dim=0).max() > 1e-4

    def test_a_text_of_the_longest_length_is_taken_and_a_longer_length_refused(
        self, family: Family, model: Model
    ) -> None:
        longest = family.longest or 200
        long = Split((("good " * 300,), ("bad",)), np.array([1, 0]))
        encoded = model.encode(long, longest)
        assert encoded.lengths.tolist()[0] == longest
        model.reset(1)
        with torch.inference_mode():
            assert model.padded(encoded.batch(np.arange(2))).isfinite().all()
        if family.longest is not None:
            with pytest.raises(SeedbedError, match=f"takes at most {longest} tokens"):
                model.encode(long, longest + 1)

    def test_token_types_are_given_to_those_that_have_a_use_for_them(
        self, family: Family, model: Model
    ) -> None:
        encoded = model.encode(PAIRS, LONGEST)
        assert ("token_type_ids" in encoded.inputs) == family.segments
        if not family.segments:
            return
        batch = encoded.batch(np.arange(3))
        assert {0, 1} <= set(encoded.inputs["token_type_ids"][0])
        model.reset(1)
        model.module.eval()
        with torch.inference_mode():
            told = model.padded(batch)
            untold = model.padded(
                {**batch, "token_type_ids": torch.zeros_like(batch["token_type_ids"])}
            )
        assert not torch.allclose(told, untold, rtol=0, atol=1e-6)


class TestTraining:
    def test_learns(self, model: Model, make_trial: Any, reviews: Task) -> None:
        trial = make_trial(
            learning_rate=5e-3, epochs=12, dropout=0.0, bias_correction=True, clipping="global"
        )
        losses = train_some(model, trial, reviews, None)
        assert len(losses) == 12 * 5
        assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])

    def test_ends_in_a_folder_that_transformers_loads_to_the_same_outputs(
        self, model: Model, make_trial: Any, reviews: Task, tmp_path: Path
    ) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        train_some(model, make_trial(), reviews, 3)
        trained = model.weights()
        model.save(tmp_path, trained, 1.0, ("no", "yes"))
        # Its attention is the one that transformers chooses, not the one trained with.
        loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
        whole = loaded.state_dict()
        assert whole.keys() == trained.keys()
        cut = {name for name in whole if whole[name].shape != trained[name].shape}
        assert all("word_embeddings" in name for name in cut)
        for name in whole.keys() - cut:
            assert torch.equal(whole[name], trained[name]), name
        model.reset(0)
        model.module.load_state_dict(whole)
        tokenizer = AutoTokenizer.from_pretrained(tmp_path)
        batch = tokenizer(
            [texts[0] for texts in PAIRS.texts],
            [texts[1] for texts in PAIRS.texts],
            padding=True,
            return_tensors="pt",
            return_token_type_ids="token_type_ids" in model.encode(PAIRS, LONGEST).inputs,
        )
        model.module.eval()
        with torch.inference_mode():
            ours = model.padded(model.encode(PAIRS, LONGEST).batch(np.arange(3)))
            torch.testing.assert_close(ours, loaded(**batch).logits, rtol=1e-4, atol=1e-5)


# ── What breaks the rules is refused ─────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FAMILIES[0].save(tmp_path_factory.mktemp("refused") / "bert")


@pytest.fixture
def altered(bert: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], None]], None]:
    """Load a BERT that is altered first."""
    read = Pretrained.classifier

    def load_altered(alter: Callable[[Any], None]) -> None:
        def classifier(pretrained: Pretrained, outputs: int) -> Any:
            module, fresh = read(pretrained, outputs)
            alter(module)
            return module, fresh

        monkeypatch.setattr(Pretrained, "classifier", classifier)
        load(bert)

    return load_altered


@pytest.mark.parametrize("layer", [nn.AlphaDropout(0.1), nn.FeatureAlphaDropout(0.1), nn.RReLU()])
def test_noise_that_is_not_dropout_is_refused(altered: Any, layer: nn.Module) -> None:
    def alter(module: Any) -> None:
        module.dropout = layer

    before = torch.random.get_rng_state()
    with pytest.raises(SeedbedError, match=r"model bert: in training it draws random numbers"):
        altered(alter)
    assert torch.equal(before, torch.random.get_rng_state())


def test_attention_that_drops_out_inside_its_kernel_is_refused(altered: Any) -> None:
    with pytest.raises(SeedbedError, match=r"model bert: in training it draws random numbers"):
        altered(lambda module: module.set_attn_implementation("sdpa"))


class Lambda(nn.Module):
    """A layer that is a function of its input and of whether it is trained."""

    def __init__(self, function: Callable[[Tensor, bool], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, values: Tensor) -> Tensor:
        return self.function(values, self.training)


def in_place(values: Tensor, training: bool) -> Tensor:
    nn.functional.dropout(values, 0.5, training, inplace=True)
    return values


@pytest.mark.parametrize(
    "function",
    [
        in_place,
        lambda values, training: torch.dropout(values, 0.5, training),
        lambda values, training: torch.dropout(input=values, p=0.5, train=training),
        lambda values, training: nn.functional.dropout(values, 0.5, training),
    ],
)
def test_dropout_is_the_streams_however_it_is_written(
    altered: Any, function: Callable[[Tensor, bool], Tensor]
) -> None:
    altered(lambda module: setattr(module, "dropout", Lambda(function)))

    def dropped(layer: nn.Module) -> Tensor:
        values = torch.ones(64, 8)
        with dropping(layer, Dropout(0.25, DropoutBits(1, 1))):
            return layer(values).clone()  # type: ignore[no-any-return]

    assert torch.equal(dropped(Lambda(function)), dropped(nn.Dropout(0.1)))
    assert 0.1 < (dropped(Lambda(function)) == 0).double().mean() < 0.4


BART = Family(
    "bart",
    {
        "d_model": 16,
        "encoder_layers": 2,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "max_position_embeddings": LONGEST,
        "eos_token_id": 3,
        "decoder_start_token_id": 3,
    },
    whole_words(*BRACKETED[:4]),
    (),
    constant=(),
    segments=False,
)
GPT2 = Family(
    "gpt2",
    {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": LONGEST},
    whole_words(*BRACKETED[:4]),
    (),
    constant=(),
    segments=False,
)
T5 = Family(
    "t5",
    {
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 32,
        "num_layers": 2,
        "num_heads": 2,
        "eos_token_id": 3,
        "decoder_start_token_id": 0,
    },
    whole_words(*BRACKETED[:4]),
    (),
    constant=(),
    segments=False,
    longest=None,
)


@pytest.mark.parametrize("family_beyond", [BART, GPT2, T5], ids=lambda family: family.name)
def test_a_model_that_is_more_than_an_encoder_trains_where_it_keeps_the_rules(
    family_beyond: Family, tmp_path: Path, make_trial: Any, reviews: Task
) -> None:
    model = load(family_beyond.save(tmp_path / family_beyond.name))
    losses = train_some(model, make_trial(dropout=0.0, learning_rate=5e-3, epochs=6), reviews, None)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_layers_that_are_skipped_at_random_are_refused(tmp_path: Path) -> None:
    skipping = Family(**{**vars(BART), "settings": BART.settings | {"encoder_layerdrop": 0.5}})
    with pytest.raises(SeedbedError, match=r"model bart: in training it draws random numbers"):
        load(skipping.save(tmp_path / "bart"))


def test_a_tokenizer_without_padding_is_refused(tmp_path: Path) -> None:
    unpadded = Family(
        **{**vars(GPT2), "tokenizer": whole_words(*BRACKETED[:4], pad_token=None)},
    )
    with pytest.raises(SeedbedError, match=r"model gpt2: its tokenizer has no padding token"):
        load(unpadded.save(tmp_path / "gpt2"))


def test_a_model_that_is_not_told_its_padding_is_refused(tmp_path: Path) -> None:
    untold = Family(**{**vars(GPT2), "settings": GPT2.settings | {"pad_token_id": None}})
    with pytest.raises(SeedbedError, match=r"model gpt2: it cannot take .* no padding token is"):
        load(untold.save(tmp_path / "gpt2"))


def test_a_tokenizer_with_more_words_than_the_model_is_refused(tmp_path: Path) -> None:
    small = Family(**{**vars(FAMILIES[0]), "settings": BERT_LIKE | {"vocab_size": 8}})
    with pytest.raises(SeedbedError, match=r"model bert: it cannot take .*See that tokenizer and"):
        load(small.save(tmp_path / "bert"))


def test_an_encoder_that_mixes_the_padding_in_is_refused(tmp_path: Path) -> None:
    fourier = Family("fnet", BERT_LIKE, whole_words(*BRACKETED[:4]), (), constant=(), segments=True)
    with pytest.raises(SeedbedError, match=r"model fnet: its outputs .* filled up on the right"):
        load(fourier.save(tmp_path / "fnet"))


def test_padding_on_the_side_that_shifts_the_positions_is_refused(tmp_path: Path) -> None:
    left = Family(
        **{**vars(FAMILIES[0]), "tokenizer": whole_words(*BRACKETED[:4], padding_side="left")},
    )
    with pytest.raises(SeedbedError, match=r"model bert: its outputs .* filled up on the left"):
        load(left.save(tmp_path / "bert"))


def test_a_checkpoint_of_something_else_is_refused(bert: Path, tmp_path: Path) -> None:
    folder = FAMILIES[0].save(tmp_path / "bert")
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {f"other.{name}": value for name, value in tensors.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(
        SeedbedError, match=r"less than half of the encoder's weights; bert\.\S+ is"
    ):
        load(folder)


def test_weights_of_another_shape_than_the_configurations_are_refused(tmp_path: Path) -> None:
    folder = FAMILIES[0].save(tmp_path / "bert")
    tensors = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    save_file(
        {**tensors, name: tensors[name][1:].clone()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(SeedbedError, match=r"1 of the encoder's weights, bert\.embeddings\.word_"):
        load(folder)


def test_a_pooler_that_the_checkpoint_lacks_is_part_of_the_head(tmp_path: Path) -> None:
    folder = FAMILIES[0].save(tmp_path / "bert")
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in tensors.items() if not name.startswith("pooler")},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    model = load(folder)
    model.reset(3)
    state = weights(model)
    for index, name in enumerate(["bert.pooler.dense.weight", "classifier.weight"]):
        expected = head_weights(3, index, tuple(state[name].shape))
        np.testing.assert_array_equal(state[name].numpy(), expected)
    assert not state["bert.pooler.dense.bias"].any()


def test_a_vector_of_the_head_that_is_neither_bias_nor_norm_is_drawn(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Pretrained.classifier

    def classifier(pretrained: Pretrained, outputs: int) -> Any:
        module, fresh = read(pretrained, outputs)
        module.register_parameter("query", nn.Parameter(torch.full((16,), 7.0)))
        return module, fresh | {"query"}

    monkeypatch.setattr(Pretrained, "classifier", classifier)
    model = load(bert)
    model.reset(1)
    index = [n for n, _ in model.module.named_parameters() if n in ("query", "classifier.weight")]
    expected = head_weights(1, index.index("query"), (16,))
    np.testing.assert_array_equal(weights(model)["query"].numpy(), expected)
