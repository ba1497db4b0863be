"""What a search tries, and that every network takes the width and depth that it is given."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet import recipes
from tinynet.errors import TinynetError, UsageError
from tinynet.recipes import blocks, folder, pictures, rows, text
from tinynet.recipes.architectures import ARCHITECTURES, RULES
from tinynet.recipes.base import Choices
from tinynet.recipes.candidates import Candidate, described, draw, narrower

RECIPES = {recipe.kind: recipe for recipe in recipes.recipes()}


@pytest.mark.parametrize("kind", sorted(RECIPES))
def test_candidates_differ_and_have_only_what_their_network_takes(kind):
    recipe, fitting = RECIPES[kind], RULES[kind].architectures
    found = draw(recipe, fitting, 20, seed=3)
    assert found[0] == Candidate(fitting[0]) and len(set(found)) == len(found) == 20
    assert found == draw(recipe, fitting, 20, seed=3) != draw(recipe, fitting, 20, seed=4)
    for candidate in found:
        settings = candidate.settings(3e-3)
        recipes._check_options(recipe, Choices(**settings))
        assert 1e-3 <= settings.get("learning_rate", 3e-3) <= 9e-3
    assert found[0].settings(3e-3) == {"arch": fitting[0]}


def test_half_the_width_again_and_again_until_it_is_too_narrow():
    settings, seen = {"arch": "resnet", "width": 2.0, "depth": 3}, []
    while settings:
        seen.append(settings.get("width", 1))
        settings = narrower(settings)
    assert seen == [2, 1, 0.5, 0.25, 0.125, 0.0625] and narrower({"arch": "nano"}) is None


def test_settings_are_said_in_a_few_words():
    made = Candidate("cnn", 0.5, 2, 1.5, augment=False).settings(2e-3)
    assert described(made) == "cnn, width 0.5, depth 2, learning rate 0.003, no augmentation"


def count(layers, shape):
    from tinynet.sequential import Sequential

    return Sequential(layers, shape).parameter_count()


@pytest.mark.parametrize("arch", sorted(blocks.NETWORKS))
def test_networks_of_blocks_grow_in_width_and_depth(arch):
    shape = (16, 16, 1)
    usual, wide, deep = (
        count(
            folder.network(shape, 3, Choices(arch=arch, **own))[:-1], shape
        )  # what classifies grows in width alone
        for own in ({}, {"width": 2.0}, {"depth": 3})
    )
    assert 3 * usual < wide < 4.2 * usual and deep > 1.8 * usual


def test_a_plain_cnn_takes_convolutions_before_each_pooling():
    usual, deep, wide = (
        pictures.network((28, 28, 1), list("abc"), 0.0, choices)
        for choices in (Choices(), Choices(depth=2), Choices(width=0.5))
    )
    kinds = [layer.kind for layer in deep.layers]
    assert kinds[:3] == ["conv2d", "conv2d", "max_pool2d"] and len(deep.layers) == len(usual.layers) + 2
    assert wide.layers[0].filters == 16 and usual.layers[0].filters == 32


def test_networks_of_text_and_tables_take_them_too():
    usual, deep = (text.network("transformer", "abc", 9000, Choices(depth=d)) for d in (None, 3))
    assert len(deep.layers) == len(usual.layers) + 4
    assert text.network("lstm", "abc", 9000, Choices(width=0.5)).layers[1].units == 32
    assert rows.hidden_units(Choices(width=0.5, depth=3), 60) == (32, 16, 16)
    linear = rows.Linear(np.zeros((4, 2), np.float32), np.zeros(2, np.float32))
    members = [rows.network(linear, ["a", "b"], 60, seed, "m", hidden=(9, 8, 7)) for seed in (0, 1)]
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    mean = np.mean([member.predict(x) for member in members], axis=0)
    np.testing.assert_allclose(rows.average(members, (9, 8, 7)).predict(x), mean, atol=1e-6)


def test_sizes_that_do_not_fit_are_a_sentence(tmp_path):
    (tmp_path / "poem.txt").write_text("a b c " * 2000)
    with pytest.raises(TinynetError, match="divides at least 5 channels, not 4; give a larger width"):
        folder.network((16, 16, 1), 3, Choices(arch="inception", width=0.125))
    with pytest.raises(UsageError, match=r"^width multiplies what units gives exactly; leave one out$"):
        recipes.plan(str(tmp_path / "poem.txt"), Choices(units=9, width=2.0))
    with pytest.raises(
        UsageError, match=r"^depth is a number of blocks or layers, which an LSTM has not to choose"
    ):
        recipes.plan(str(tmp_path / "poem.txt"), Choices(depth=2))
    assert {name for name, made in ARCHITECTURES.items() if "width" not in made.options} == {"nano"}
