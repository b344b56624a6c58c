"""What the network is fed in a phase: pictures, or features where the backbone is frozen."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from pneumo.training.features import CHUNK, FeatureExtractor
from pneumo.training.pipeline import Pictures, augmented, made_ahead, split_into
from pneumo.training.recipe import Recipe

Announce = Callable[[str, int, int], None]
"""What is being prepared, how much is done, and how much there is."""

EVALUATED_TOGETHER = 32


class Feed(Protocol):
    """Inputs of what learns in a phase, in the order that is asked for."""

    def training(self, batches: Sequence[np.ndarray], epoch: int) -> Iterator[np.ndarray]:
        """Augmented inputs of batches of training pictures, given by their rows.

        Args:
            batches: int64, shape (images,) each.
            epoch: from 0; decides the augmentation.
        """

    def validation(self) -> Iterator[np.ndarray]:
        """Inputs of all validation pictures, a part at a time."""


class PictureFeed:
    """Augmented pictures, uint8, shape (images, size, size, 1), made while the network trains."""

    def __init__(self, recipe: Recipe, train: Pictures, validation: Pictures) -> None:
        self._recipe = recipe
        self._train, self._validation = train, validation

    def training(self, batches: Sequence[np.ndarray], epoch: int) -> Iterator[np.ndarray]:
        """As `Feed.training`."""
        seed = (self._recipe.seed, epoch)

        def make(rows: np.ndarray) -> np.ndarray:
            return augmented(self._train, rows, self._recipe.augmentation, seed=seed)

        for pictures in made_ahead(make, batches):
            yield pictures[..., np.newaxis]

    def validation(self) -> Iterator[np.ndarray]:
        """As `Feed.validation`."""
        for rows in split_into(np.arange(len(self._validation)), EVALUATED_TOGETHER):
            yield self._validation.pixels[rows][..., np.newaxis]


class FeatureFeed:
    """Features of augmented pictures, float32, shape (images, rows, columns, channels).

    Args:
        recipe: with cached views, those are computed here, and each epoch takes the next one;
            without, every epoch sees new augmentations.
        extractor: of the frozen backbone.
        train: pictures to train on.
        validation: pictures to validate with.
        announce: is told what is being computed.
    """

    def __init__(
        self,
        recipe: Recipe,
        extractor: FeatureExtractor,
        train: Pictures,
        validation: Pictures,
        *,
        announce: Announce,
    ) -> None:
        self._recipe = recipe
        self._extractor = extractor
        self._train = train
        self._validation = extractor.view(
            validation,
            None,
            seed=(),
            progress=lambda done, total: announce("Computing features of validation", done, total),
        )
        self._views = [self._view(number, announce) for number in range(1, recipe.cached_views + 1)]

    def training(self, batches: Sequence[np.ndarray], epoch: int) -> Iterator[np.ndarray]:
        """As `Feed.training`."""
        if self._views:
            view = self._views[epoch % len(self._views)]
            yield from (view[rows] for rows in batches)
            return
        seed, augmentation = (self._recipe.seed, epoch), self._recipe.augmentation

        def make(rows: np.ndarray) -> np.ndarray:
            pictures = augmented(self._train, rows, augmentation, seed=seed)
            return self._extractor.features(pictures)

        # A thread takes a few pictures at a time: whole batches would leave cores idle at the end.
        parts = [part for rows in batches for part in split_into(rows, CHUNK)]
        features = made_ahead(make, parts)
        for rows in batches:
            yield np.concatenate([next(features) for _ in split_into(rows, CHUNK)])

    def validation(self) -> Iterator[np.ndarray]:
        """As `Feed.validation`."""
        yield from (
            self._validation[rows]
            for rows in split_into(np.arange(len(self._validation)), EVALUATED_TOGETHER)
        )

    def _view(self, number: int, announce: Announce) -> np.ndarray:
        name = f"Computing features, view {number} of {self._recipe.cached_views}"
        return self._extractor.view(
            self._train,
            self._recipe.augmentation,
            seed=(self._recipe.seed, number),
            progress=lambda done, total: announce(name, done, total),
        )
