"""The thorax of phantoms is known; an atlas of some outlines others."""

import numpy as np
import pytest

from pneumo.datasets import phantom
from pneumo.evaluation.explanations import intersection_over_union
from pneumo.evaluation.thorax import ThoraxAtlas


@pytest.fixture(scope="module")
def atlas() -> ThoraxAtlas:
    return ThoraxAtlas.of_phantoms(phantoms=6)


@pytest.mark.parametrize(("seed", "exam"), [(101, 0), (102, 1), (103, 2)])
def test_the_thorax_of_a_phantom_holds_its_lesion(seed: int, exam: int) -> None:
    taken = phantom.acquire("viral", seed=seed, exam=exam, height=256)
    thorax = taken.thorax
    assert thorax.shape == taken.pixels.shape
    assert np.mean(thorax[taken.lesion]) > 0.97
    assert 0.3 < thorax.mean() < 0.75


@pytest.mark.parametrize("subtype", phantom.SUBTYPES)
def test_children_who_are_not_in_the_atlas(atlas: ThoraxAtlas, subtype: phantom.Subtype) -> None:
    taken = phantom.acquire(subtype, seed=201, height=256)
    found = atlas.thorax(taken.pixels)
    assert found.shape == taken.pixels.shape
    assert intersection_over_union(found, taken.thorax) > 0.85


def test_the_outline_follows_the_film(atlas: ThoraxAtlas) -> None:
    film = phantom.acquire("normal", seed=202, height=256).pixels
    moved = np.pad(film, ((0, 0), (40, 0)))[:, :-40]
    columns = [np.nonzero(atlas.thorax(it))[1].mean() for it in (film, moved)]
    assert columns[1] - columns[0] == pytest.approx(40, abs=8)


def test_a_blank_film_has_no_outline(atlas: ThoraxAtlas) -> None:
    assert not atlas.thorax(np.full((256, 256), 128, np.uint8)).any()
