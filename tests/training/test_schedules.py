from __future__ import annotations

import math

import numpy as np
import pytest
from tiny import line

from tinynet.errors import TinynetError
from tinynet.training import SGD, CosineDecay, OneCycle, ReduceOnPlateau, StepDecay, WarmUp
from tinynet.training.schedules import Position, rate_at

TOTAL = 37


def curve(schedule, total=TOTAL, steps_per_epoch=5) -> list[float]:
    return [rate_at(schedule, Position(step, total, step // steps_per_epoch)) for step in range(total)]


def torch_curve(make, total=TOTAL) -> list[float]:
    """The rates of a PyTorch schedule over an optimizer of rate 0.2."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.2)
    schedule, rates = make(torch.optim.lr_scheduler, optimizer), []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("total", [37, 100, 4])
def test_one_cycle_is_the_curve_of_torch(total):
    expected = torch_curve(lambda s, o: s.OneCycleLR(o, 0.2, total_steps=total + 1), total + 1)
    np.testing.assert_allclose(curve(OneCycle(0.2), total + 1), expected, rtol=1e-9)
    expected = torch_curve(
        lambda s, o: s.OneCycleLR(
            o, 0.2, total_steps=total, pct_start=0.5, div_factor=10, final_div_factor=100
        ),
        total,
    )
    np.testing.assert_allclose(curve(OneCycle(0.2, 0.5, 10, 100), total), expected, rtol=1e-9)


def test_one_cycle_rises_to_the_rate_and_falls_to_nothing():
    rates = curve(OneCycle(0.25), 100)
    assert rates[0] == pytest.approx(0.01) and max(rates) == 0.25 and np.argmax(rates) == 29
    assert rates[-1] == pytest.approx(0.01 / 1e4)
    assert all(
        rate > 0 and math.isfinite(rate) for total in (1, 2, 3) for rate in curve(OneCycle(0.25), total)
    )


def test_cosine_is_the_curve_of_torch():
    np.testing.assert_allclose(
        curve(CosineDecay(0.2, alpha=0.1)),
        torch_curve(lambda s, o: s.CosineAnnealingLR(o, TOTAL, eta_min=0.02)),
        rtol=1e-9,
    )


def test_warm_up_is_the_curve_of_torch():
    def sequence(s, o):
        rise, rest = s.LinearLR(o, 1 / 7, 1.0, total_iters=6), s.CosineAnnealingLR(o, TOTAL - 6)
        return s.SequentialLR(o, [rise, rest], [6])

    np.testing.assert_allclose(curve(WarmUp(CosineDecay(0.2), 6)), torch_curve(sequence), rtol=1e-9)
    assert curve(WarmUp(0.4, 3), 5) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])


def test_step_decay_counts_epochs():
    rates = curve(StepDecay(1.0, every=2, factor=0.5), 20, steps_per_epoch=3)
    assert rates == [1.0] * 6 + [0.5] * 6 + [0.25] * 6 + [0.125] * 2


def test_a_number_is_constant():
    assert curve(0.3, 3) == [0.3] * 3


def test_plateau_is_the_curve_of_torch():
    torch = pytest.importorskip("torch")
    losses = [1.0, 0.9, 0.9, 0.95, 0.91, 0.5, 0.6, 0.6, 0.6, 0.6, 0.4, 0.39995, 0.4, 0.4]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.2)
    # PyTorch waits one epoch longer than Keras, whose patience this is
    peer = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=2, threshold=1e-4, threshold_mode="abs", min_lr=0.04
    )
    schedule = ReduceOnPlateau(0.2, factor=0.5, patience=3, min_learning_rate=0.04)
    epochs = []
    for loss in losses:
        epochs.append({"val_loss": loss})
        peer.step(loss)
        assert schedule.rate(Position(0, 1, 0, epochs)) == pytest.approx(optimizer.param_groups[0]["lr"])


def test_plateau_watches_an_accuracy_upwards():
    schedule = ReduceOnPlateau(1.0, factor=0.1, patience=1, monitor="val_accuracy")
    rates = [
        schedule.rate(Position(0, 1, 0, [{"val_accuracy": a} for a in accuracies]))
        for accuracies in ([], [0.5], [0.5, 0.6], [0.5, 0.6, 0.6])
    ]
    assert rates == [1, 1, 1, pytest.approx(0.1)]


def test_fit_fills_in_the_total_and_writes_down_the_rate():
    history = line().fit(
        [[1.0]] * 4, [1.0] * 4, loss="mse", epochs=3, batch_size=2, optimizer=SGD(CosineDecay(0.1))
    )
    expected = [curve(CosineDecay(0.1), 6)[step] for step in (1, 3, 5)]
    assert history.history["learning_rate"] == pytest.approx(expected)


def test_settings_that_do_not_fit_are_named():
    for make, message in (
        (lambda: OneCycle(0), "OneCycle: learning_rate must be a number above 0, not 0"),
        (lambda: OneCycle(1, pct_start=2), "pct_start must be a number of at least 0 and at most 1, not 2"),
        (lambda: StepDecay(1, every=0), "every must be a number of at least 1, not 0"),
        (lambda: WarmUp("a", 3), "WarmUp: learning_rate must be a number above 0, not 'a'"),
        (lambda: CosineDecay(True), "learning_rate must be a number above 0, not True"),
    ):
        with pytest.raises(TinynetError, match=message):
            make()
    with pytest.raises(TinynetError, match="ReduceOnPlateau watches val_loss, which needs validation_data"):
        line().fit([[1.0]], [1.0], loss="mse", optimizer=SGD(WarmUp(ReduceOnPlateau(0.1), 3)))


@pytest.mark.parametrize("total", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "schedule",
    [
        OneCycle(0.25),
        CosineDecay(0.25),
        WarmUp(0.25, 200),
        WarmUp(CosineDecay(0.25), 1),
        WarmUp(OneCycle(0.25), 9),
    ],
)
def test_a_training_of_few_steps_has_a_step_at_a_rate_worth_the_name(schedule, total):
    assert max(curve(schedule, total)) >= 0.1


def test_a_warm_up_shorter_than_the_training_is_as_long_as_it_says():
    assert curve(WarmUp(0.4, 3), 4) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert curve(WarmUp(0.4, 4), 4) == pytest.approx([0.4 / 3, 0.8 / 3, 0.4, 0.4])
