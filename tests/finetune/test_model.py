"""The model: a fresh head per trial, the encoder untouched, dropout from its own stream."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from finetune.dropout import Dropout, dropping
from finetune.errors import SeedbedError
from finetune.model import Model
from finetune.pretrained import Pretrained
from finetune.seeds import DropoutBits, head_weights
from finetune.tasks import Split, Task
from finetune.training import losses

CPU = torch.device("cpu")


@pytest.fixture
def model(tiny_pretrained: Pretrained) -> Model:
    return Model(tiny_pretrained, 2, CPU)


def weights(model: Model) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.module.state_dict().items()}


def differing(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in a if not torch.equal(a[name], b[name])}


def test_the_wi_seed_changes_the_head_and_nothing_else(model: Model) -> None:
    model.reset(1)
    first = weights(model)
    model.reset(2)
    assert differing(first, weights(model)) == {"classifier.weight"}
    model.reset(1)
    assert differing(first, weights(model)) == set()


def test_the_head_is_the_streams_and_its_bias_is_zero(model: Model) -> None:
    model.reset(5)
    state = weights(model)
    np.testing.assert_array_equal(state["classifier.weight"].numpy(), head_weights(5, 0, (2, 16)))
    assert not state["classifier.bias"].any()


def test_a_reset_undoes_all_training(model: Model, reviews: Task) -> None:
    model.reset(1)
    before = weights(model)
    data = model.encode(reviews.source.read().train, 16)
    losses(model.padded(data.batch(np.arange(8))), data.labels[:8]).mean().backward()
    with torch.no_grad():
        for parameter in model.module.parameters():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad)
    assert len(differing(before, weights(model))) > 20
    model.reset(1)
    assert differing(before, weights(model)) == set()


def test_a_fine_tuned_head_in_the_checkpoint_is_drawn_afresh(
    tiny_pretrained: Pretrained, tmp_path: Path
) -> None:
    folder = tmp_path / "tuned"
    module, _ = tiny_pretrained.classifier(3)
    module.save_pretrained(folder)
    tiny_pretrained.tokenizer().save_pretrained(folder)
    for outputs in (2, 3):
        model = Model(Pretrained("tuned", str(folder)), outputs, CPU)
        model.reset(1)
        expected = head_weights(1, 0, (outputs, 16))
        np.testing.assert_array_equal(weights(model)["classifier.weight"].numpy(), expected)


def test_loading_leaves_the_global_generator_as_it_was(tiny_pretrained: Pretrained) -> None:
    before = torch.random.get_rng_state()
    Model(tiny_pretrained, 2, CPU).reset(3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_batch_is_filled_up_and_masked(model: Model) -> None:
    split = Split((("good film",), ("a very good book",)), np.array([1, 0]))
    encoded = model.encode(split, 16)
    batch = encoded.batch(np.array([0, 1]))
    assert batch["input_ids"].shape == (2, 6)
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]]
    assert batch["input_ids"][0, 4:].tolist() == [0, 0]


def test_filling_up_does_not_change_the_outputs(model: Model) -> None:
    split = Split((("good film",), ("a very good book not a poor film",)), np.array([1, 0]))
    encoded = model.encode(split, 16)
    model.reset(1)
    model.module.eval()
    alone = model.padded(encoded.batch(np.array([0])))
    beside = model.padded(encoded.batch(np.array([0, 1])))[:1]
    torch.testing.assert_close(alone, beside)


def test_texts_are_cut_at_the_longest_length(model: Model) -> None:
    encoded = model.encode(Split((("good " * 50,),), np.array([1])), 10)
    assert encoded.lengths.tolist() == [10]


def test_a_length_that_the_encoder_does_not_take_is_refused(model: Model) -> None:
    with pytest.raises(SeedbedError, match=r"found 33; this encoder takes at most 32 tokens"):
        model.encode(Split((("good",),), np.array([1])), 33)


def test_pairs_are_told_apart(model: Model) -> None:
    encoded = model.encode(Split((("good film", "bad book"),), np.array([1])), 16)
    assert encoded.inputs["token_type_ids"][0] == [0, 0, 0, 0, 1, 1, 1]


class TestDropout:
    @pytest.fixture
    def output(self, model: Model, reviews: Task) -> Callable[[int, int, float], torch.Tensor]:
        model.reset(1)
        batch = model.encode(reviews.source.read().train, 16).batch(np.arange(4))

        def output(seed: int, step: int, probability: float) -> torch.Tensor:
            with dropping(model.module, Dropout(probability, DropoutBits(seed, step))):
                return model.padded(batch).detach()

        return output

    def test_the_same_seed_and_step_drop_the_same(
        self, output: Callable[[int, int, float], torch.Tensor]
    ) -> None:
        assert torch.equal(output(1, 1, 0.1), output(1, 1, 0.1))
        assert not torch.equal(output(1, 1, 0.1), output(1, 2, 0.1))
        assert not torch.equal(output(1, 1, 0.1), output(2, 1, 0.1))

    def test_the_global_seed_has_no_part_in_it(
        self, output: Callable[[int, int, float], torch.Tensor]
    ) -> None:
        before = torch.random.get_rng_state()
        first = output(1, 1, 0.3)
        assert torch.equal(before, torch.random.get_rng_state())
        with torch.random.fork_rng():
            torch.manual_seed(99)
            assert torch.equal(first, output(1, 1, 0.3))

    def test_without_dropout_training_computes_what_evaluation_does(
        self, model: Model, output: Callable[[int, int, float], torch.Tensor], reviews: Task
    ) -> None:
        model.module.eval()
        batch = model.encode(reviews.source.read().train, 16).batch(np.arange(4))
        torch.testing.assert_close(output(1, 1, 0.0), model.padded(batch).detach())

    def test_every_dropout_of_the_model_is_drawn_from_the_stream(self, model: Model) -> None:
        drawn = []

        class Recording(DropoutBits):
            def kept(self, size: int, probability: float) -> np.ndarray:
                drawn.append(size)
                return super().kept(size, probability)

        split = Split((("good film",),), np.array([1]))
        model.reset(1)
        with dropping(model.module, Dropout(0.1, Recording(1, 1))):
            model.padded(model.encode(split, 16).batch(np.arange(1)))
        hidden, attention = 4 * 16, 2 * 4 * 4
        # The embeddings; in each layer the attention, its output and the feed-forward output; and
        # the pooled output.
        assert drawn == [hidden, *[attention, hidden, hidden] * 2, 16]

    def test_what_is_kept_is_scaled_so_that_the_mean_stays(self) -> None:
        values = torch.ones(1000, 1000)
        with dropping(nn.Identity(), Dropout(0.1, DropoutBits(1, 1))):
            dropped = nn.functional.dropout(values, 0.5, training=True)
        assert dropped.mean().item() == pytest.approx(1.0, abs=2e-3)
        assert (dropped == 0).double().mean().item() == pytest.approx(0.1, abs=2e-3)

    @pytest.mark.parametrize("training", [True, False])
    def test_the_module_is_left_in_the_mode_it_was_in(self, training: bool) -> None:
        module = nn.Identity().train(training)
        with dropping(module, Dropout(0.1, DropoutBits(1, 1))):
            assert module.training
        assert module.training is training
