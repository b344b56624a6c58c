"""The patient and the lesion: where things must lie."""

import numpy as np
import pytest

from pneumo.datasets.phantom.anatomy import (
    LUNG,
    SOFT_TISSUE,
    Anatomy,
    draw_anatomy,
    vessels,
)
from pneumo.datasets.phantom.geometry import View
from pneumo.datasets.phantom.lesion import Subtype, infiltrate
from pneumo.datasets.phantom.projection import (
    SoftTissue,
    project_ribs_and_shoulders,
    project_soft_tissue,
    project_spine,
)


@pytest.fixture(scope="module")
def chest() -> View:
    return View(height=90, width=120, resolution=5, left=-12, top=-3)


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return draw_anatomy(np.random.default_rng(3))


@pytest.fixture(scope="module")
def healthy(anatomy: Anatomy, chest: View) -> SoftTissue:
    return project_soft_tissue(anatomy, chest)


def test_lungs_are_dark_and_the_heart_is_on_the_left_of_the_patient(healthy: SoftTissue) -> None:
    right, left = healthy.lungs
    assert right.sum() > left.sum()
    aerated = healthy.air > 5
    assert healthy.line_integral[aerated].mean() < 0.7 * healthy.line_integral[:, 58:62].mean()


def test_ribs_mirror_each_other(anatomy: Anatomy, chest: View) -> None:
    bones = project_ribs_and_shoulders(anatomy, chest)
    assert bones.max() > 0.1
    np.testing.assert_array_equal(bones, bones[:, ::-1])


def test_spine_stands_in_the_midline(anatomy: Anatomy, chest: View) -> None:
    spine = project_spine(anatomy, chest)
    assert spine[:, 58:62].mean() > 0.1
    assert spine[:, np.abs(chest.x[0]) > 2.2].max() == 0


@pytest.mark.parametrize("subtype", ["bacterial", "viral"])
def test_lesion_lies_in_the_lungs(
    subtype: Subtype, anatomy: Anatomy, healthy: SoftTissue, chest: View
) -> None:
    random = np.random.default_rng(1)
    added = infiltrate(subtype, anatomy, vessels(anatomy), healthy, chest, random)
    assert added.max() > 0.1
    assert added[healthy.air == 0].max() == 0
    full_of_fluid = (SOFT_TISSUE - LUNG) * healthy.air
    assert (added <= full_of_fluid + 1e-5).all()


def test_healthy_lungs_have_no_lesion(anatomy: Anatomy, healthy: SoftTissue, chest: View) -> None:
    random = np.random.default_rng(1)
    assert infiltrate("normal", anatomy, vessels(anatomy), healthy, chest, random).max() == 0
