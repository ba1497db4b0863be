"""Folders of pictures: the network follows from their size, the augmentation from their classes, the weights from their numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import tinynet as tn
from tinynet import recipes, tasks
from tinynet.data.pictures.augment import CHARACTERS, PHOTOS
from tinynet.data.pictures.samples import LONG_SIDES, MANY, PictureReader
from tinynet.errors import TinynetError
from tinynet.layers import Chain
from tinynet.recipes.base import Choices
from tinynet.recipes.folder import EPOCHS, LARGE, RESOLUTION, augmentation, batch_size, class_weights, network
from tinynet.sequential import Sequential


def draw(folder, name, count, side=24, seed=0):
    """Stripes that lie for a class of a name in lower case, and stand for others, at any place and in any colours."""
    rng = np.random.default_rng([seed, len(name), count])
    (folder / name).mkdir(parents=True)
    for number in range(count):
        wave = np.sin(np.arange(side) * rng.uniform(0.8, 1.2) + rng.uniform(0, 6))[:, None, None]
        picture = 128 + 50 * wave * rng.uniform(0.5, 1, 3) * np.ones((side, side, 3))
        picture = picture if name.islower() else picture.swapaxes(0, 1)
        noisy = np.clip(picture + rng.normal(0, 10, picture.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / name / f"{number}.png")
    return folder


def test_a_small_folder_is_learned_and_new_pictures_are_told_apart(tmp_path):
    for name in ("lying", "STANDING"):
        draw(tmp_path / "few", name, 6)
        draw(tmp_path / "new", name, 20, seed=1)
    made = recipes.plan(str(tmp_path / "few"), Choices(epochs=60))
    history = made.fit(verbose=False)
    assert history.kept_epoch == 60  # the last, at a rate near 0: two pictures cannot choose one
    made.model.save(tmp_path / "few.npz")
    model = tn.load(tmp_path / "few.npz")
    task = tasks.of(model)
    data = task.read(str(tmp_path / "new"))
    assert task.evaluate(data).measured["accuracy"] >= 0.9
    ranking = model.classify(next((tmp_path / "new" / "lying").iterdir()), top=2)
    assert sorted(label for label, _ in ranking) == ["STANDING", "lying"]
    assert sum(probability for _, probability in ranking) == pytest.approx(1)
    exchanged = replace(data, y=1 - data.y)
    shown = task.save_misread(str(tmp_path / "errors.png"), exchanged, task.evaluate(exchanged))
    assert shown >= 36 and len(Image.open(tmp_path / "errors.png").getcolors(1 << 20)) > 256  # in colour


@pytest.mark.parametrize(
    ("shape", "side", "channels"),
    [
        ((96, 96, 3), 6, 256),
        ((64, 64, 3), 8, 128),
        ((48, 64, 3), 6, 256),
        ((28, 28, 1), 7, 128),
        ((12, 12, 1), 6, 64),
        ((3, 5, 1), 3, 32),
        ((1, 64, 3), 1, 32),
    ],
)
def test_a_network_is_as_deep_as_the_pictures_allow(shape, side, channels):
    shapes = Chain(network(shape, 3)).shapes_through(shape)
    maps = [each for each in shapes if len(each) == 3]
    assert (maps[-1][0], maps[-1][-1]) == (side, channels)
    assert shapes[-1] == (3,)


def test_many_pictures_are_looked_at_more_closely(tmp_path):
    draw(tmp_path, "lying", 2, side=200)
    files = list((tmp_path / "lying").iterdir())
    reader = PictureReader()
    assert reader.empty(files).shape == (2, LONG_SIDES[0], LONG_SIDES[0], 3)
    assert reader.empty(files * (MANY // 2)).shape == (MANY, LONG_SIDES[1], LONG_SIDES[1], 3)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["daisy", "rose"], PHOTOS),
        (["left hand", "right_hand"], "as they stand"),
        (["Turn-Left", "straight"], "as they stand"),
        (["bright", "leftover"], PHOTOS),
        (["links", "rechts"], "as they stand"),
        (["a", "B", "ß"], CHARACTERS),
        (["0", "1", "17"], CHARACTERS),
        (["letter_a", "letter_b"], CHARACTERS),
        (["one", "two"], CHARACTERS),
        (["a", "a cat"], PHOTOS),
        (["!", "?"], PHOTOS),
    ],
)
def test_what_may_be_mirrored_follows_from_the_names_of_classes(labels, expected):
    found = augmentation(labels)
    if expected == "as they stand":
        assert not found.flip and found.crop == PHOTOS.crop
    else:
        assert found == expected


def test_the_last_batch_of_an_epoch_is_never_a_few_pictures():
    assert [batch_size(samples) for samples in (2, 7, 12)] == [12, 12, 12]
    for samples in (*range(20, 3000), 50_000):
        size = batch_size(samples)
        assert 12 <= size <= 96 and (samples % size or size) >= 0.4 * size, samples


def test_rare_classes_count_more_per_picture_and_less_than_all_together():
    assert class_weights(np.repeat([0, 1, 2], [30, 30, 16])) is None
    assert class_weights(np.repeat([0, 1, 3], [100, 25, 4])) == pytest.approx({0: 1.0, 1: 2.0, 3: 5.0})


def test_an_uneven_folder_is_trained_with_weights_and_smoothed_labels(tmp_path):
    draw(draw(tmp_path, "lying", 40), "STANDING", 10)
    made = recipes.plan(str(tmp_path), Choices())
    assert made.settings["class_weight"] == pytest.approx({0: 2.0, 1: 1.0}, abs=0.2)
    assert made.settings["loss"].label_smoothing > 0
    assert made.settings["epochs"] == EPOCHS[1]
    assert recipes.plan(str(tmp_path), Choices(augment=False)).settings["augment"] is None


@pytest.mark.parametrize(
    ("labels", "augment", "twice"),
    [
        (("lying", "STANDING"), None, True),
        (("lying", "STANDING"), False, False),
        (("left", "RIGHT"), None, False),
    ],
)
def test_where_sides_do_not_count_a_network_looks_at_the_mirror_image_too(labels, augment, twice, tmp_path):
    for label in labels:
        draw(tmp_path / "few", label, 4)
    made = recipes.plan(str(tmp_path / "few"), Choices(augment=augment))
    assert isinstance(made.model.layers[0], tn.Mirrored) == twice
    once = made.model.layers[0].layers if twice else made.model.layers[:-1]
    assert (
        len(once) > 5
        and made.model.parameter_count()
        == Sequential([*once, tn.Dense(2)], made.x.shape[1:]).parameter_count()
    )


def test_the_layers_of_a_base_that_looks_twice_are_counted_one_by_one(tmp_path):
    for label in ("lying", "STANDING"):
        draw(tmp_path / "few", label, 4)
        draw(tmp_path / "more", label + "!", 4)
    recipes.plan(str(tmp_path / "few"), Choices()).model.save(tmp_path / "base.npz")
    made = recipes.plan(str(tmp_path / "more"), Choices(base=str(tmp_path / "base.npz"), freeze=4, epochs=1))
    twice = made.model.layers[0]
    assert [layer.trainable for layer in twice.layers] == [False] * 4 + [True] * (len(twice.layers) - 4)
    before = made.model.get_weights()
    made.fit(verbose=False)
    assert [np.array_equal(a, b) for a, b in zip(before, made.model.get_weights(), strict=True)][:2] == [
        True,
        True,
    ]


def test_a_network_too_large_to_be_read_from_its_file_is_refused_before_it_is_trained(tmp_path, monkeypatch):
    draw(draw(tmp_path, "lying", 3), "STANDING", 3)
    monkeypatch.setattr("tinynet.sequential.MOST_LAYERS", 10)
    told = r"too large to be read from its file: its \d+ layers are more than 10; make it smaller"
    with pytest.raises(TinynetError, match=told):
        recipes.plan(str(tmp_path), Choices())


def test_cut_outs_of_large_photographs_are_not_enlarged_where_the_network_takes_any_size(tmp_path):
    for label in ("lying", "STANDING"):
        draw(tmp_path / "few", label, 4)

    def resolution(**choices):
        return recipes.plan(str(tmp_path / "few"), Choices(**choices)).settings["augment"].resolution

    side = recipes.plan(str(tmp_path / "few"), Choices()).x.shape[1]
    assert (resolution() < 1) == (side > LARGE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tinynet.recipes.folder.LARGE", 16)
        assert resolution() == resolution(arch="mobilenet") == RESOLUTION
        assert resolution(arch="vgg") == resolution(arch="cnn") == 1
        draw(draw(tmp_path / "sides", "left", 4), "right", 4)
        draw(draw(tmp_path / "letters", "a", 4), "b", 4)
        plans = [recipes.plan(str(tmp_path / name), Choices()) for name in ("sides", "letters")]
        assert [plan.settings["augment"].resolution for plan in plans] == [RESOLUTION, 1]


def test_the_training_record_names_the_amounts_that_are_not_the_usual_ones(tmp_path):
    for label in ("lying", "STANDING"):
        draw(tmp_path / "few", label, 4)
    for augment, recorded in (
        (tn.Augment(), "none"),
        (tn.Augment(shift=0.1, resolution=0.8), "shift 0.1, resolution 0.8"),
    ):
        made = recipes.plan(str(tmp_path / "few"), Choices())
        made.settings |= {"augment": augment, "epochs": 1}
        history = made.fit(verbose=False)
        assert made.training_record("few", history, history.epochs[0])["augmentation"] == recorded
