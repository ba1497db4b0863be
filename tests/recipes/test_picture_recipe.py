from __future__ import annotations

import numpy as np
import pytest

from tinynet.recipes import pictures
from tinynet.recipes.base import Choices
from tinynet.recipes.scores import likely_range


def plan(validation: int, epochs: int = 3):
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = rng.random((40, 12, 12, 1), dtype=np.float32) + y[:, None, None, None]
    xv, yv = x[np.arange(validation) % 40], y[np.arange(validation) % 40]
    return pictures.plan(
        "shapes",
        Choices(),
        (x, y),
        (xv, yv),
        labels=["dark", "light"],
        preparation={},
        epochs=epochs,
        augment=None,
    )


def test_a_few_validation_pictures_do_not_choose_the_epoch():
    # three pictures are all right by luck, long before a network has learnt; the schedule ends with the last epoch
    few, many = plan(3), plan(100)
    history = few.fit(verbose=False)
    assert history.kept_epoch == 3
    assert not few.settings["early_stopping"].restore_best_weights
    assert many.settings["early_stopping"].monitor == "val_accuracy"
    assert many.settings["early_stopping"].restore_best_weights


def test_training_that_is_broken_off_keeps_the_best_epoch_of_few_pictures_too():
    few = plan(3, epochs=1000)
    history = few.fit(verbose=False, time_limit=0.5)
    assert history.stopped == "time limit" and history.kept_epoch == history.best_epoch


def test_the_result_on_few_pictures_says_what_to_expect_of_new_ones():
    assert plan(2).result_line({"val_accuracy": 1.0}) == (
        "100.00 % of the validation set right, but that is only 2 of them: expect 34 to 100 % of new ones"
    )
    assert "expect 77 to 91 % of new ones" in plan(90).result_line({"val_accuracy": 77 / 90})
    assert plan(1000).result_line({"val_accuracy": 0.9}) == "90.00 % of the validation set right"


@pytest.mark.parametrize("samples", [1, 2, 50, 10_000])
def test_a_likely_range_holds_the_accuracy_and_stays_within_0_and_1(samples):
    for right in (0, samples // 2, samples):
        low, high = likely_range(right / samples, samples)
        assert -1e-9 <= low <= right / samples + 1e-9 and right / samples - 1e-9 <= high <= 1


def test_a_class_that_is_never_answered_is_a_note():
    made = plan(40)
    weights = made.model.get_weights()
    made.model.set_weights([w * 0 for w in weights[:-1]] + [np.array([9.0, -9.0])])
    assert made.notes() == [
        "light: never predicted on the validation set; more samples of such classes would help"
    ]
    made.model.set_weights([w * 0 for w in weights[:-1]] + [np.array([-9.0, 9.0])])
    assert made.notes()[0].startswith("dark: never predicted")


def test_of_many_classes_that_are_never_answered_a_note_names_a_few():
    class Never:
        labels = tuple(map(str, range(300)))

        def answer(self, x):
            return np.eye(300)[:1], {}

    made = plan(3)
    made.model, made.settings["validation_data"] = Never(), (np.zeros(300), np.arange(300))
    assert made.notes()[0].startswith("1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 289 more: never predicted")
