"""What nothing knows is an error with advice: settings of calls and constructors, attributes set afterwards."""

from __future__ import annotations

import copy
import inspect
import pickle
from abc import ABC
from dataclasses import FrozenInstanceError, dataclass, replace

import numpy as np
import pytest

import tinynet as tn
from tinynet.errors import TinynetError
from tinynet.layers import LAYERS, Layer
from tinynet.training import LOSSES, OPTIMIZERS


def network():
    return tn.Sequential([tn.Dense(3, "relu"), tn.BatchNorm(), tn.Dense(2, "softmax")], (4,))


X, Y = np.zeros((8, 4), np.float32), np.arange(8) % 2
CALLS = [
    (lambda: tn.Dense(3, input_shape=(2,)), r"^Dense has no setting input_shape; .*Sequential\("),
    (lambda: tn.Dense(3, name="x"), "^Dense has no setting name; a network names its layers itself"),
    (
        lambda: tn.Dense(3, trainable=False),
        "^Dense has no setting trainable; set it on the layer: layer.trainable = False",
    ),
    (lambda: tn.Dense(3, actvation="relu"), r"^Dense has no setting actvation; did you mean activation\?"),
    (lambda: tn.Conv2D(3, 3, stride=2), r"^Conv2D has no setting stride; did you mean strides\?"),
    (lambda: tn.LSTM(3, stateful=True), r"^LSTM has no setting stateful; .*fit\(…, stateful=True\)"),
    (lambda: tn.Adam(lr=1e-3), r"^Adam has no setting lr; did you mean learning_rate\?"),
    (lambda: tn.SGD(global_clipnorm=1), r"did you mean clip_norm\?"),
    (
        lambda: tn.EarlyStopping(mood="max"),
        r"^EarlyStopping has no setting mood; did you mean mode\?",
    ),
    (lambda: tn.ReduceOnPlateau(1e-3, min_lr=0), r"did you mean min_learning_rate\?"),
    (lambda: tn.Huber(deta=2), r"^Huber has no setting deta; did you mean delta\?"),
    (lambda: tn.Augment(rotation=3), r"^Augment has no setting rotation; did you mean rotate\?"),
    (lambda: tn.Sequential([], (3,), optimizer="adam"), "^Sequential has no setting optimizer; fit takes it"),
    (lambda: tn.Dense(), "^Dense needs units"),
    (lambda: tn.Conv1D(3), "^Conv1D needs kernel_size"),
    (lambda: tn.Flatten(3, 4), "^Flatten takes nothing without a name"),
    (lambda: tn.Dropout(0.1, 3), "^Dropout takes only rate without a name"),
    (lambda: tn.Dense(3, units=3), "^Dense is given units twice"),
    (lambda: network().predict(X, verbose=0), "^predict has no setting verbose; only fit shows progress"),
    (lambda: network().evaluate(X, Y, verbose=0), "^evaluate has no setting verbose"),
    (lambda: network().fit(X, Y, validation_freq=2), "^fit has no setting validation_freq; validation is"),
    (lambda: network().fit(X, Y, 32, 10), "^fit takes only x, y without a name"),
    (lambda: network().fit(X), "^fit needs y"),
    (lambda: network().generate("a", temp=1), r"^generate has no setting temp; did you mean temperature\?"),
    (lambda: network().classify("a.png", tops=3), r"^classify has no setting tops; did you mean top\?"),
    (lambda: network().save("a.npz", dtyp="float16"), r"^save has no setting dtyp; did you mean dtype\?"),
    (lambda: network().compile(loss="mse"), "^Sequential has no attribute compile; loss and optimizer are"),
    (lambda: network().add(tn.Dense(3)), "^Sequential has no attribute add; all layers are given at once"),
    (lambda: network().predct, r"^Sequential has no attribute predct; did you mean predict\?"),
]


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_a_setting_that_nothing_knows_is_answered(number):
    call, message = CALLS[number]
    with pytest.raises(TinynetError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


ATTRIBUTES = [
    (
        lambda: network().layers[0],
        "activaton",
        r"^Dense has no attribute activaton; did you mean activation\?",
    ),
    (lambda: network().layers[0], "units", "^Dense cannot change its  units once it is made"),
    (lambda: network().layers[0], "name", "^Dense has no attribute name; a network names its layers itself"),
    (lambda: network().layers[0], "kind", "^Dense cannot change its  kind once it is made"),
    (lambda: tn.Dropout(0.5), "rates", r"did you mean rate\?"),
    (network, "learning_rate", "the optimizer takes it"),
    (network, "lables", r"did you mean labels"),
    (network, "layers", "^Sequential cannot change its  layers"),
    (network, "output_shape", "^Sequential cannot change its  output_shape"),
    (tn.Adam, "lr", r"^Adam has no attribute lr; did you mean learning_rate\?"),
    (tn.Adam, "learning_rate", "^Adam cannot change its  learning_rate once it is made; make a new Adam"),
    (tn.EarlyStopping, "mood", "^EarlyStopping has no attribute mood"),
    (lambda: tn.StepDecay(1e-3), "evry", r"did you mean every\?"),
    (tn.Huber, "delt", r"did you mean delta\?"),
    (tn.Augment, "shif", r"did you mean shift\?"),
]


@pytest.mark.parametrize("number", range(len(ATTRIBUTES)))
def test_an_attribute_that_nothing_knows_is_refused(number):
    make, name, message = ATTRIBUTES[number]
    holder = make()
    before = dict(vars(holder))
    with pytest.raises(TinynetError, match=message):
        setattr(holder, name, 0)
    assert vars(holder) == before


def test_every_class_that_users_make_is_sealed():
    schedules = (tn.StepDecay, tn.CosineDecay, tn.OneCycle, tn.WarmUp, tn.ReduceOnPlateau)
    losses = {type(loss) for loss in LOSSES.values()}
    others = (tn.EarlyStopping, tn.Augment, tn.Sequential)
    for kind in (*LAYERS.values(), *OPTIMIZERS.values(), *schedules, *losses, *others):
        with pytest.raises(TinynetError, match=rf"^{kind.__name__} has no setting colour; "):
            kind(colour=1)


def test_what_a_network_lets_be_set_can_be_set():
    net = network()
    net.labels, net.vocabulary, net.metadata, net.name = ["a", "b"], "ab", {"loss": "mse"}, "mine"
    net.layers[0].trainable = net.trainable = True
    assert net.trainable and net.layers[0].trainable and net.labels == ["a", "b"]


def test_an_attribute_that_is_missing_is_an_attribute_error():
    assert not hasattr(network(), "compile") and getattr(network(), "foo", 3) == 3
    with pytest.raises(AttributeError):
        tn.Adam().lr = 3


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_copies_and_pickles_are_sealed_too(again):
    for thing in (
        network(),
        tn.LSTM(3),
        tn.Bidirectional(tn.GRU(2)),
        tn.Adam(tn.OneCycle(1e-3)),
        tn.Augment(0.1),
    ):
        twin = again(thing)
        assert repr(twin) == repr(thing)
        with pytest.raises(TinynetError, match="has no attribute colour"):
            twin.colour = 3
    assert again(tn.Adam(3e-3)) == tn.Adam(3e-3) == replace(tn.Adam(), learning_rate=3e-3)
    assert hash(tn.Adam(3e-3)) == hash(tn.Adam(3e-3))


def test_layers_and_callbacks_of_ones_own_hold_what_they_like():
    class Scaled(tn.Dense, ABC):
        def check(self):
            super().check()
            self.factor = 2

    @dataclass(eq=False)
    class Shifted(Layer):
        amount: float = 1.0

        def forward(self, x, run):
            self.calls = getattr(self, "calls", 0) + 1
            return x + np.float32(self.amount), None

    @dataclass(frozen=True)
    class Halving(tn.StepDecay):
        depth: int = 1

    class Watch(tn.Callback):
        def on_epoch_end(self, training):
            self.seen = training.epoch

    layer, shifted, watch = Scaled(2, "softmax"), Shifted(), Watch()
    layer.colour = "red"
    shifted.amount = 2.0
    net = tn.Sequential([shifted, layer], (4,))
    net.fit(X, Y, callbacks=[watch], optimizer=tn.SGD(Halving(0.1, depth=3)))
    assert layer.factor == 2 and shifted.calls and watch.seen == 0
    shifted.trainable = False
    assert not shifted.trainable
    with pytest.raises(FrozenInstanceError):
        Halving(0.1).depth = 4


def test_a_type_error_from_within_is_not_taken_for_a_wrong_setting():
    class Broken(tn.Callback):
        def on_batch_end(self, training):
            len(3)

    with pytest.raises(TypeError, match="has no len"):
        network().fit(X, Y, callbacks=[Broken()])


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("fit", {"epochs", "validation_split", "time_limit"}),
        ("evaluate", {"sample_weight", "batch_size"}),
        ("generate", {"temperature", "random_seed"}),
        ("classify", {"given", "top"}),
        ("predict", {"batch_size", "return_state"}),
    ],
)
@pytest.mark.parametrize("holder", [network(), tn.Sequential])
def test_help_shows_every_setting(method, settings, holder):
    found = getattr(holder, method)
    names = inspect.signature(found).parameters
    assert settings <= set(names) and "settings" not in names and inspect.getdoc(found)


def test_help_shows_the_settings_of_a_layer():
    assert list(inspect.signature(tn.Dropout).parameters) == ["rate"]
    assert list(inspect.signature(tn.Adam).parameters)[:2] == ["learning_rate", "beta_1"]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_numbers_of_numpy_are_settings(kind):
    half = kind(0.5)
    layers = [tn.Dropout(half), tn.BatchNorm(half, half), tn.LSTM(np.int8(3), dropout=half), tn.Masking(half)]
    assert [layers[0].rate, layers[1].momentum, layers[2].dropout, layers[3].mask_value] == [0.5] * 4
    tn.Augment(shift=half, rotate=half, flip=np.bool_(True))
    net = tn.Sequential([tn.Dense(np.uint16(2), "softmax", use_bias=np.bool_(False))], (np.int64(4),))
    net.fit(
        X, Y, epochs=np.int32(1), batch_size=np.int64(4), optimizer=tn.Adam(half), ema=half, clip_norm=half
    )
    assert all(
        type(value) in (int, float, bool, str) for layer in net.layers for value in layer.settings().values()
    )


def test_an_amount_of_augmentation_that_is_no_number_is_answered():
    with pytest.raises(TinynetError, match=r"Augment: shift must be a number of at least 0, not '0\.1'"):
        tn.Augment(shift="0.1")
