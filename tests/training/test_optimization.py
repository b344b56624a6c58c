"""Targets, weights, losses and learning rates by hand; one step, on one device and on two."""

import math
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from pneumo.settings import REPOSITORY
from pneumo.training import optimization
from pneumo.training.recipe import QUICK, Phase, Recipe

TWO = QUICK.changed(class_weights=False)
WEIGHTED = QUICK.changed(class_weights=True)
THREE = QUICK.changed(classes=3, class_weights=True)
FEW_NORMAL = np.array([0, 1, 1, 1])
MIXED = np.array([0, 0, 0, 1, 1, 1, 1, 2])


def test_class_weights_by_hand() -> None:
    # One NORMAL, three PNEUMONIA: 4 / (2 · 1) and 4 / (2 · 3).
    weights = optimization.class_weights(FEW_NORMAL, WEIGHTED)
    assert weights == pytest.approx([2, 2 / 3]) and weights.dtype == np.float32
    assert optimization.class_weights(FEW_NORMAL, TWO).tolist() == [1, 1]
    # Three normal, four bacterial, one viral of eight: 8 / (3 · 3), 8 / (3 · 4), 8 / (3 · 1).
    weights = optimization.class_weights(MIXED, THREE)
    assert weights == pytest.approx([8 / 9, 2 / 3, 8 / 3])
    assert weights[MIXED].mean() == pytest.approx(1)
    assert optimization.class_weights(MIXED, THREE.changed(class_weights=False)).tolist() == [1] * 3


def test_targets_by_hand() -> None:
    assert optimization.targets(FEW_NORMAL, TWO).tolist() == [[0], [1], [1], [1]]
    # A tenth is spread over both classes: 0 becomes 0.05, 1 becomes 0.9 + 0.05.
    smooth = optimization.targets(np.array([0, 1]), TWO.changed(label_smoothing=0.1))
    assert smooth == pytest.approx(np.array([[0.05], [0.95]])) and smooth.dtype == np.float32
    assert optimization.targets(np.array([2, 0]), THREE).tolist() == [[0, 0, 1], [1, 0, 0]]
    # Three tenths over three classes: 0.1 each, and 0.7 more for the right one.
    smooth = optimization.targets(np.array([1]), THREE.changed(label_smoothing=0.3))
    assert smooth == pytest.approx(np.array([[0.1, 0.8, 0.1]]))


@pytest.mark.parametrize(
    ("classes", "recipe", "odds"),
    [
        (FEW_NORMAL, TWO, 3 / 1),
        (FEW_NORMAL, WEIGHTED, 1),
        # 3/4 PNEUMONIA, of which 0.9 is kept and 0.05 added: 0.725 to 0.275.
        (FEW_NORMAL, TWO.changed(label_smoothing=0.1), 0.725 / 0.275),
        (FEW_NORMAL, WEIGHTED.changed(label_smoothing=0.1), 1),
        (MIXED, THREE.changed(class_weights=False), 5 / 3),
        # Classes that weigh alike: two of three are pneumonia.
        (MIXED, THREE, 2),
        # 2/3 · 0.7 + 0.3 · 2/3 = 2/3, as smoothing spreads over two of three.
        (MIXED, THREE.changed(label_smoothing=0.3), 2),
        # 5/8 · 0.7 + 0.2 = 0.6375.
        (MIXED, THREE.changed(class_weights=False, label_smoothing=0.3), 0.6375 / 0.3625),
    ],
)
def test_the_even_logit_by_hand(classes: np.ndarray, recipe: Recipe, odds: float) -> None:
    assert optimization.even_logit(classes, recipe) == pytest.approx(math.log(odds), abs=1e-6)


def test_a_network_that_knows_nothing_answers_the_even_logit() -> None:
    """What minimises the weighted, smoothed loss of the same answer for every picture."""
    for recipe, classes in (
        (TWO.changed(label_smoothing=0.2), FEW_NORMAL),
        (WEIGHTED, FEW_NORMAL),
    ):
        weights = optimization.class_weights(classes, recipe)[classes]
        wanted = optimization.targets(classes, recipe)[:, 0]
        logits = np.linspace(-3, 3, 6001)
        each = np.logaddexp(0, logits[:, None]) - wanted * logits[:, None]
        best = logits[np.argmin((each * weights).sum(axis=1))]
        assert optimization.even_logit(classes, recipe) == pytest.approx(best, abs=1e-3)


def test_losses_by_hand() -> None:
    values = np.array([[0.0], [math.log(3)], [math.log(3)], [-800.0], [800.0]])
    found = optimization.losses(values, np.array([1, 1, 0, 0, 0]))
    # Probabilities 1/2, 3/4, 3/4, 0, 1 of PNEUMONIA.
    assert found == pytest.approx([math.log(2), math.log(4 / 3), math.log(4), 0, 800])
    values = np.log([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]) + 5  # the same whatever is added
    found = optimization.losses(values, np.array([1, 2]))
    assert found == pytest.approx([math.log(4), -math.log(0.7)])


def test_a_constant_learning_rate_by_hand() -> None:
    phase = Phase(epochs=1, learning_rate=0.4)
    assert [optimization.learning_rate(phase, step, 5) for step in range(5)] == [0.4] * 5
    # A warm-up of 3 of 6 steps: 1/4, 2/4, 3/4, then all of it.
    phase = Phase(epochs=1, learning_rate=0.4, warm_up=0.5)
    found = [optimization.learning_rate(phase, step, 6) for step in range(6)]
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_half_a_cosine_by_hand() -> None:
    phase = Phase(epochs=1, learning_rate=0.4, schedule="cosine")
    # 0.2 · (1 + cos 0°, 45°, 90°, 135°): the next would be zero.
    half = math.sqrt(0.5)
    found = [optimization.learning_rate(phase, step, 4) for step in range(4)]
    assert found == pytest.approx([0.4, 0.2 * (1 + half), 0.2, 0.2 * (1 - half)])
    phase = Phase(epochs=1, learning_rate=0.4, schedule="cosine", warm_up=0.2)
    # Warm for 1 of 5 steps, 1/2 of the whole; then the four above.
    found = [optimization.learning_rate(phase, step, 5) for step in range(5)]
    assert found == pytest.approx([0.2, 0.4, 0.2 * (1 + half), 0.2, 0.2 * (1 - half)])


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("warm_up", [0.0, 0.1, 0.33, 1.0])
def test_learning_rates_stay_within_bounds(schedule: str, warm_up: float) -> None:
    phase = Phase(epochs=1, learning_rate=0.4, schedule=schedule, warm_up=warm_up)  # type: ignore[arg-type]
    for steps in (1, 2, 7, 100):
        rates = [optimization.learning_rate(phase, step, steps) for step in range(steps)]
        assert min(rates) > 0 and max(rates) <= 0.4
        highest = int(np.argmax(rates))
        assert rates[:highest] == sorted(rates[:highest])
        assert rates[highest:] == sorted(rates[highest:], reverse=True)


# A step ---------------------------------------------------------------------------------


def linear(outputs: int, weights: list[list[float]]) -> keras.Model:
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(outputs, use_bias=False)(inputs))
    model.set_weights([np.array(weights)])
    return model


def stepped(
    model: keras.Model,
    inputs: np.ndarray,
    wanted: np.ndarray,
    weights: np.ndarray,
    *,
    batch_size: int | None = None,
    together: int | None = None,
) -> tuple[float, np.ndarray]:
    """Loss and outputs of a step of plain gradient descent with learning rate 1."""
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    step = optimization.compile_step(
        model,
        optimizer,
        tf.distribute.get_strategy(),
        batch_size=batch_size or len(inputs),
        together=together,
    )
    loss, values = step(inputs.astype(np.float32), wanted.astype(np.float32), weights)
    return float(loss), values.numpy()


def test_a_step_by_hand() -> None:
    model = linear(1, [[math.log(3)], [0]])
    inputs = np.array([[1, 0], [0, 1]])
    loss, values = stepped(model, inputs, np.array([[1], [0]]), np.array([2, 4], np.float32))
    # Probabilities 3/4 and 1/2: losses ln 4/3 and ln 2, with weights 2 and 4, over two pictures.
    assert values == pytest.approx(np.array([[math.log(3)], [0]]))  # before the update
    assert loss == pytest.approx((2 * math.log(4 / 3) + 4 * math.log(2)) / 2)
    # Gradients 2 · (3/4 - 1) / 2 and 4 · (1/2 - 0) / 2.
    assert model.get_weights()[0] == pytest.approx(np.array([[math.log(3) + 0.25], [-1.0]]))


@pytest.mark.parametrize(("batch_size", "together"), [(5, 2), (5, 1), (9, 4), (9, None)])
def test_a_batch_in_parts_is_a_batch(batch_size: int, together: int | None) -> None:
    rng = np.random.default_rng(0)
    inputs, wanted = rng.random((5, 2)), rng.random((5, 1))
    weights = rng.random(5).astype(np.float32)
    found = []
    for parts in ({}, {"batch_size": batch_size, "together": together}):
        model = linear(1, [[0.3], [-0.2]])
        loss, values = stepped(model, inputs, wanted, weights.copy(), **parts)
        found.append(np.concatenate([[loss], values[:, 0], model.get_weights()[0][:, 0]]))
    assert found[1] == pytest.approx(found[0], abs=1e-6)


def test_a_step_of_three_classes_by_hand() -> None:
    model = linear(3, [np.log([0.5, 0.25, 0.25]).tolist(), [0, 0, 0]])
    wanted = np.array([[0.1, 0.8, 0.1]])
    loss, _ = stepped(model, np.array([[1, 0]]), wanted, np.array([3], np.float32))
    assert loss == pytest.approx(3 * (0.1 * math.log(2) + 0.9 * math.log(4)))
    # Gradients 3 · (0.5 - 0.1), 3 · (0.25 - 0.8), 3 · (0.25 - 0.1).
    expected = np.log([0.5, 0.25, 0.25]) - [1.2, -1.65, 0.45]
    assert model.get_weights()[0][0] == pytest.approx(expected, abs=1e-6)


def test_grey_levels_may_come_as_bytes() -> None:
    model = linear(1, [[0.01], [0]])
    evaluate = optimization.compile_evaluation(model)
    assert evaluate(np.array([[200, 7]], np.uint8)).numpy() == pytest.approx(2)


def test_dropout_is_for_steps_only() -> None:
    inputs = keras.Input((1000,))
    values = keras.layers.Dropout(0.5, seed=1)(inputs)
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Model(inputs, layer(values))
    ones = np.ones((1, 1000), np.float32)
    assert optimization.compile_evaluation(model)(ones).numpy() == pytest.approx(1000)
    _, dropped = stepped(model, ones, np.ones((1, 1)), np.ones(1, np.float32))
    assert 800 < dropped[0, 0] < 1200 and dropped[0, 0] != pytest.approx(1000)


def test_what_is_frozen_stays() -> None:
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(2, name="hidden")
    model = keras.Model(inputs, keras.layers.Dense(1, name="last")(hidden(inputs)))
    hidden.trainable = False
    before = [weights.copy() for weights in model.get_weights()]
    stepped(model, np.ones((1, 2)), np.ones((1, 1)), np.ones(1, np.float32))
    after = model.get_weights()
    assert [np.array_equal(*pair) for pair in zip(before, after, strict=True)] == [1, 1, 0, 0]


def test_the_optimizer_is_that_of_the_recipe() -> None:
    recipe = QUICK.changed(weight_decay=0.25, weight_averaging=0.75)
    adam = optimization.optimizer(recipe, loss_scaling=False)
    assert isinstance(adam, keras.optimizers.Adam)
    assert (adam.weight_decay, adam.use_ema, adam.ema_momentum) == (0.25, True, 0.75)
    adam = optimization.optimizer(QUICK, loss_scaling=False)
    assert (adam.weight_decay, adam.use_ema) == (None, False)
    scaled = optimization.optimizer(recipe, loss_scaling=True)
    assert isinstance(scaled, keras.optimizers.LossScaleOptimizer)
    assert isinstance(scaled.inner_optimizer, keras.optimizers.Adam)


TWO_DEVICES = """
import keras
import numpy as np
import tensorflow as tf

from pneumo.training import optimization
from pneumo.training.recipe import QUICK

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
recipe = QUICK.changed(weight_averaging=0.5, weight_decay=0.01, classes={classes})
rng = np.random.default_rng(0)
batches = [
    (
        rng.random((count, 8, 8, 1), np.float32),
        optimization.targets(rng.integers(0, {classes}, count), recipe),
        rng.random(count, np.float32),
    )
    for count in (6, 5, 1)  # one that cannot be halved, and one smaller than the devices are many
]


def learn(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        inputs = keras.Input((8, 8, 1))
        value = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
        value = keras.layers.GlobalAveragePooling2D()(value)
        model = keras.Model(inputs, keras.layers.Dense({outputs})(value))
        optimizer = optimization.optimizer(recipe, loss_scaling=False)
        optimizer.build(model.trainable_variables)
    step = optimization.compile_step(model, optimizer, strategy, batch_size=7, together={together})
    told = []
    for batch in batches:
        optimizer.learning_rate.assign(0.1)
        loss, values = step(*batch)
        told += [np.array(loss), values.numpy()]
    weights = model.get_weights()
    optimizer.finalize_variable_values(model.trainable_variables)
    return told + weights + model.get_weights()


two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert two.num_replicas_in_sync == 2
one, both = learn(tf.distribute.get_strategy()), learn(two)
assert len(one) == len(both) == 6 + 4 + 4
for expected, found in zip(one, both):
    assert expected.shape == found.shape
    assert np.abs(expected - found).max() < 1e-5, (expected, found)
moved = [np.abs(a - b).max() for a, b in zip(one[6:10], one[10:])]
assert min(moved) > 1e-4  # averages are not the weights themselves
print("alike")
"""


@pytest.mark.parametrize(("classes", "outputs", "together"), [(2, 1, None), (3, 3, 2)])
def test_steps_on_two_devices_are_steps_on_one(
    classes: int, outputs: int, together: int | None
) -> None:
    """In a process of its own: devices are split before TensorFlow starts."""
    answer = subprocess.run(
        [
            sys.executable,
            "-c",
            TWO_DEVICES.format(classes=classes, outputs=outputs, together=together),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.stdout.strip() == "alike", answer.stderr[-2000:]
