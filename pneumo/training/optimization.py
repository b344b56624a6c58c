"""The mathematics of a training: targets, weights of the classes, learning rate, one step."""

import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from pneumo.training.recipe import Phase, Recipe

Step = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[tf.Tensor, tf.Tensor]]
"""Inputs, targets and weights of a batch to its loss and its outputs before the update."""


def class_weights(classes: np.ndarray, recipe: Recipe) -> np.ndarray:
    """The weight in the loss of a picture of each class.

    Args:
        classes: int, shape (images,), every class present.
        recipe: whether classes weigh alike, and how many there are.

    Returns: float32, shape (classes,); their mean over the pictures is 1.
    """
    if not recipe.class_weights:
        return np.ones(recipe.classes, np.float32)
    counts = np.bincount(classes, minlength=recipe.classes)
    return (len(classes) / (recipe.classes * counts)).astype(np.float32)


def targets(classes: np.ndarray, recipe: Recipe) -> np.ndarray:
    """What the network is to answer, label smoothing applied (Szegedy et al., CVPR 2016).

    Args:
        classes: int, shape (images,).

    Returns: float32, shape (images, 1): the probability of pneumonia; with three classes
        shape (images, 3): of each.
    """
    certain = np.eye(recipe.classes, dtype=np.float32)[classes]
    smooth = certain * (1 - recipe.label_smoothing) + recipe.label_smoothing / recipe.classes
    return smooth[:, 1:] if recipe.classes == 2 else smooth


def even_logit(classes: np.ndarray, recipe: Recipe) -> float:
    """The logit at which NORMAL and PNEUMONIA are equally likely.

    The network learns the odds of the classes as the loss weighs them; without these odds, what
    is left is the film's own evidence (Elkan, IJCAI 2001). Validation patients resemble the
    training patients too much to find a better threshold on them.
    """
    counts = np.bincount(classes, minlength=recipe.classes)
    mass = counts * class_weights(classes, recipe)
    # A film that is as likely normal as not: its target, smoothed, is what the network answers.
    pneumonia = float(mass[1:].sum() / mass.sum())
    share = recipe.label_smoothing * (recipe.classes - 1) / recipe.classes
    answered = pneumonia * (1 - recipe.label_smoothing) + share
    return math.log(answered / (1 - answered))


def losses(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Cross-entropy of each picture, in nats, without weights and smoothing.

    Args:
        values: what the head gives, float, shape (images, 1 or 3).
        classes: int, shape (images,).
    """
    if values.shape[1] == 1:
        return np.logaddexp(0, values[:, 0]) - classes * values[:, 0]
    return np.logaddexp.reduce(values, axis=1) - values[np.arange(len(classes)), classes]


def learning_rate(phase: Phase, step: int, steps: int) -> float:
    """The learning rate of a step: a linear warm-up, then constant or half a cosine to zero.

    Loshchilov and Hutter, SGDR, ICLR 2017; Goyal et al., arXiv 1706.02677 (warm-up).

    Args:
        step: of the phase, from 0.
        steps: of the phase.
    """
    warm = phase.warm_up * steps
    if step < warm:
        return phase.learning_rate * (step + 1) / (warm + 1)
    if phase.schedule == "constant":
        return phase.learning_rate
    return phase.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def optimizer(recipe: Recipe, *, loss_scaling: bool) -> keras.optimizers.Optimizer:
    """Adam with the recipe's weight decay and averaged weights.

    Args:
        loss_scaling: keep small gradients from vanishing in 16 bits.
    """
    adam = keras.optimizers.Adam(
        weight_decay=recipe.weight_decay or None,
        use_ema=recipe.weight_averaging > 0,
        ema_momentum=recipe.weight_averaging,
    )
    return keras.optimizers.LossScaleOptimizer(adam) if loss_scaling else adam


def compile_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    strategy: tf.distribute.Strategy,
    *,
    batch_size: int,
    together: int | None = None,
) -> Step:
    """One update of everything in a model that is trainable, on all replicas of a strategy.

    The loss of a batch is the sum over its pictures divided by their number, however they are
    spread over the replicas.

    Args:
        model: inputs to what the loss reads.
        optimizer: built for the model's trainable variables.
        strategy: the default strategy of TensorFlow serves one device.
        batch_size: pictures a step, at most.
        together: pictures that go through the model at the same time; the gradients of a batch
            add up whatever their number is, and memory grows with it. None for all.
    """

    replicas = strategy.num_replicas_in_sync
    on_one = -(-batch_size // replicas)
    together = together or on_one

    def on_replica(
        inputs: tf.Tensor, wanted: tf.Tensor, weights: tf.Tensor, images: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        variables = model.trainable_variables
        loss, values = tf.zeros(()), []
        gradients: list[tf.Tensor] = []
        for start in range(0, on_one, together):
            part = slice(start, start + together)
            # One part after the other, or all would be in memory at the same time.
            with tf.control_dependencies(gradients), tf.GradientTape() as tape:
                outputs = model(tf.cast(inputs[part], tf.float32), training=True)
                if outputs.shape[1] == 1:
                    each = tf.nn.sigmoid_cross_entropy_with_logits(wanted[part], outputs)[:, 0]
                else:
                    each = tf.nn.softmax_cross_entropy_with_logits(wanted[part], outputs)
                part_loss = tf.reduce_sum(each * weights[part]) / images[0]
                scaled = optimizer.scale_loss(part_loss)
            found = tape.gradient(scaled, variables)
            gradients = (
                [a + b for a, b in zip(gradients, found, strict=True)] if gradients else found
            )
            loss += part_loss
            values.append(outputs)
        optimizer.apply(gradients, variables)  # sums over the replicas
        return loss, tf.concat(values, axis=0)

    @tf.function(reduce_retracing=True)
    def on_all_replicas(*batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss, values = strategy.run(on_replica, args=batch)
        loss = strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None)
        return loss, tf.concat(strategy.experimental_local_results(values), axis=0)

    def step(
        inputs: np.ndarray, wanted: np.ndarray, weights: np.ndarray
    ) -> tuple[tf.Tensor, tf.Tensor]:
        images = len(inputs)
        if images < on_one * replicas:  # filled up with pictures without weight
            rows = np.arange(on_one * replicas) % images
            inputs, wanted, weights = inputs[rows], wanted[rows], weights[rows]
            weights[images:] = 0
        batch = (inputs, wanted, weights, np.full(replicas, images, np.float32))
        loss, values = on_all_replicas(*(_spread(array, strategy) for array in batch))
        return loss, values[:images]

    return step


def compile_evaluation(model: keras.Model) -> Callable[[np.ndarray], tf.Tensor]:
    """What a model answers when nothing is dropped and nothing learned."""

    @tf.function(reduce_retracing=True)
    def evaluate(inputs: tf.Tensor) -> tf.Tensor:
        return model(tf.cast(inputs, tf.float32), training=False)

    return evaluate


def _spread(array: np.ndarray, strategy: tf.distribute.Strategy) -> tf.Tensor:
    """Each replica's part of a batch."""
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return tf.constant(array)
    parts = np.array_split(array, replicas)
    return strategy.experimental_distribute_values_from_function(
        lambda replica: tf.constant(parts[replica.replica_id_in_sync_group])
    )
