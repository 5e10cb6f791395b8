"""Guessed attributes: confidences against planted truths, heads against planted labels."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import DIM, FakeEncoder, unit
from visualsearch.attributes.calibration import (
    calibration_error,
    fit_temperature,
    mean_probabilities,
    probabilities,
)
from visualsearch.attributes.guesser import Guesser, Head, zero_shot
from visualsearch.attributes.heads import LabeledProduct, learnable_attributes, measure, train
from visualsearch.attributes.store import AttributesError, built_in, load, save
from visualsearch.attributes.taxonomy import (
    GuessableAttribute,
    TaxonomyError,
    read_attribute_taxonomy,
)
from visualsearch.types import FloatArray

RANDOM = np.random.default_rng(0)


def scored(temperature: float, count: int = 4000) -> tuple[list[FloatArray], list[int]]:
    """Draw scores of one image each, and truths as likely as the softmax at a temperature."""
    similarity = RANDOM.normal(scale=0.1, size=(count, 5)).astype(np.float32)
    shares = probabilities(similarity, temperature)
    right = (shares.cumsum(axis=1) < RANDOM.random((count, 1))).sum(axis=1)
    return [row[None] for row in similarity], np.minimum(right, 4).tolist()


@pytest.mark.parametrize("planted", [0.02, 0.1, 0.5])
def test_a_planted_temperature_is_found_again(planted: float) -> None:
    """And at it the confidences are right; at a tenth of it they are far too sure."""
    similarity, right = scored(planted)
    found = fit_temperature(similarity, right)
    assert found == pytest.approx(planted, rel=0.1)
    for temperature, low, high in ((found, 0.0, 0.04), (planted / 10, 0.1, 1.0)):
        shares = mean_probabilities(similarity, temperature)
        error = calibration_error(shares.max(axis=1), shares.argmax(axis=1) == right)
        assert low <= error <= high


def test_calibration_error_by_hand() -> None:
    """Two bins' worth: sure and right, half sure and never right."""
    confidences = np.array([0.9] * 10 + [0.5] * 10)
    right = np.array([True] * 10 + [False] * 10)
    assert calibration_error(confidences, right) == pytest.approx(0.5 * 0.1 + 0.5 * 0.5)
    for none in (lambda: calibration_error(np.empty(0), np.empty(0, dtype=bool)),
                 lambda: fit_temperature([], [])):  # fmt: skip
        with pytest.raises(ValueError):
            none()


@given(st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), min_size=1, max_size=5),
       st.floats(0.01, 5))  # fmt: skip
def test_probabilities_are_such(rows: list[list[float]], temperature: float) -> None:
    """Between 0 and 1, one in all, in the order of the scores; more even when warmer."""
    similarity = np.array(rows)
    shares = probabilities(similarity, temperature)
    assert np.allclose(shares.sum(axis=1), 1.0)
    assert (shares >= 0).all()
    assert (np.take_along_axis(shares, similarity.argmax(axis=1)[:, None], 1)[:, 0]
            >= shares.max(axis=1) - 1e-12).all()  # fmt: skip
    warmer = probabilities(similarity, temperature * 2)
    assert (warmer.max(axis=1) <= shares.max(axis=1) + 1e-9).all()


def test_the_default_taxonomy_has_the_fields_of_retail() -> None:
    """Eight attributes, each with values that a prompt can say."""
    names = [attribute.name for attribute in read_attribute_taxonomy()]
    assert names == ["category", "color", "pattern", "style", "season", "fit", "material",
                     "occasion"]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "Expecting"),
        ("[]", "attributes"),
        ('{"attributes": {}}', "attributes"),
        ('{"attributes": {"color": {"values": {"red": []}}}}', "attributes.color.values"),
        ('{"attributes": {"color": {"values": {"red": [], "blue": "x"}}}}', "values.blue"),
        ('{"attributes": {"color": {"prompts": ["a"], "values": {"a": [], "b": []}}}}',
         "attributes.color.prompts"),
    ],
)  # fmt: skip
def test_a_bad_taxonomy_is_refused_by_field(tmp_path: Path, given: str, said: str) -> None:
    """With its path."""
    path = tmp_path / "t.json"
    path.write_text(given)
    with pytest.raises(TaxonomyError, match=r"t\.json") as caught:
        read_attribute_taxonomy(path)
    assert said in str(caught.value)


def test_zero_shot_guesses_by_words_and_only_when_sure() -> None:
    """An image of a value's own direction; one between two values says nothing."""
    colors = GuessableAttribute("color", {"red": ("crimson",), "blue": ()})
    style = GuessableAttribute("style", {"casual": (), "formal": ()})
    heads = zero_shot([colors, style], FakeEncoder().encode_texts, {"color": 0.05})
    assert [head.temperature for head in heads] == [0.05, 0.05]
    guess = Guesser("fake", heads[:1], least=0.8)
    red, blue = heads[0].weights
    found = guess(red[None])
    assert found["color"].value == "red"
    assert 0.8 <= found["color"].confidence <= 1.0
    assert guess(((red + blue) / np.linalg.norm(red + blue))[None]) == {}
    assert guess(np.zeros((0, DIM), dtype=np.float32)) == {}
    assert guess(np.stack([red, red, blue])).keys() <= {"color"}
    with pytest.raises(ValueError):
        zero_shot([colors], FakeEncoder().encode_texts, {})


@given(st.integers(1, 4), st.integers(0, 10**6))
def test_all_heads_at_once_are_each_head_alone(pictures: int, seed: int) -> None:
    """Whatever their sizes and temperatures."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(pictures, DIM)).astype(np.float32)
    heads = tuple(
        Head(str(n), tuple("abcdefg"[:size]), random.normal(size=(size, DIM)).astype(np.float32),
             temperature)
        for n, (size, temperature) in enumerate([(2, 0.1), (7, 3.0), (3, 1.0)])
    )  # fmt: skip
    found = Guesser("m", heads, least=1e-6)(rows)
    for head in heads:
        shares = head.probabilities([rows])[0]
        guess = found[head.name]
        assert guess.confidence == pytest.approx(shares.max(), abs=2e-3)
        assert shares[head.values.index(guess.value)] == pytest.approx(shares.max(), abs=1e-5)


def planted(count: int = 120) -> list[LabeledProduct]:
    """Draw products whose material lies along axes that its words know nothing of."""
    found = []
    for number in range(count):
        value = ("wool", "silk", "denim")[number % 3]
        vector = unit(f"axis of {value}") + 0.8 * unit(f"noise {number}")
        rows = np.stack([vector, vector + 0.2 * unit(f"view {number}")]).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        labels = {"material": value, "sku": f"s{number}", "rare": "x" if number < 3 else "y"}
        found.append(LabeledProduct(rows, labels, f"style {number // 2}"))
    return found


def test_what_can_be_learnt_is_told_from_names() -> None:
    """Two values of five products each, and not one value a product."""
    assert learnable_attributes(planted()) == {"material": ("wool", "silk", "denim")}
    assert learnable_attributes(planted(12)) == {}


def test_a_head_learns_what_words_do_not_know() -> None:
    """On products of styles that it has not seen, with confidences that hold."""
    seen, others = planted(120), planted(240)[120:]
    trained, zero = train(
        seen, "material", ("wool", "silk", "denim"), None, FakeEncoder().encode_texts
    )
    assert trained.source == "trained"
    assert trained.products == zero.products == 120
    assert trained.accuracy is not None
    assert zero.accuracy is not None
    assert trained.accuracy > 0.85 > zero.accuracy
    again = measure(trained, others)
    assert again is not None
    assert again.accuracy is not None
    assert again.error is not None
    assert again.accuracy > 0.85
    assert again.error < 0.12
    assert measure(trained, [LabeledProduct(others[0].vectors, {}, "g")]) is None


def test_few_labels_do_no_harm_to_words_that_are_right() -> None:
    """The head starts from the words: two dozen noisy products keep it about as good."""
    values = ("red", "blue")
    products = []
    for number in range(24):
        value = values[number % 2]
        vector = (unit(value) + 0.6 * unit(f"n{number}"))[None]
        products.append(
            LabeledProduct(vector / np.linalg.norm(vector), {"color": value}, f"g{number}")
        )
    trained, zero = train(products, "color", values, None, FakeEncoder().encode_texts)
    assert zero.accuracy is not None
    assert trained.accuracy is not None
    assert trained.accuracy >= zero.accuracy - 0.1


def test_heads_are_kept_for_one_model(tmp_path: Path) -> None:
    """Written and read back; refused for another model, damaged, or of another format."""
    path = tmp_path / "deep" / "heads.npz"
    head = Head("color", ("red", "blue"), np.eye(2, DIM, dtype=np.float32), 0.1, "trained",
                0.9, 0.05, 30)  # fmt: skip
    save(path, Guesser("fake", (head,)))
    found = load(path, "fake", 0.7)
    assert (found.least, found.heads[0].values, found.heads[0].accuracy) == (
        0.7, ("red", "blue"), 0.9)  # fmt: skip
    assert np.array_equal(found.heads[0].weights, head.weights)
    assert found(head.weights[:1]) == Guesser("fake", (head,), 0.7)(head.weights[:1])
    with pytest.raises(AttributesError) as caught:
        load(path, "other")
    assert caught.value.code == "attributes_foreign_model"
    (tmp_path / "broken.npz").write_bytes(path.read_bytes()[:200])
    for wrong in (tmp_path / "broken.npz", tmp_path / "none.npz"):
        with pytest.raises(AttributesError):
            load(wrong, "fake")


def test_only_models_whose_confidence_was_measured_guess_by_words() -> None:
    """The shipped temperatures are of the lite encoder; of others nothing is known."""
    from visualsearch.attributes.store import CALIBRATED
    from visualsearch.encoders.lite import model as lite_model

    known = json.loads(CALIBRATED.read_text())
    assert f"lite:{lite_model.read(lite_model.WEIGHTS)[1]}" in known
    (model,) = known
    guesser = built_in(model, FakeEncoder().encode_texts)
    assert guesser is not None
    assert {head.name for head in guesser.heads} >= {"color", "occasion"}
    assert built_in("fake", FakeEncoder().encode_texts) is None
