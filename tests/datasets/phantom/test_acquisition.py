"""Acquisition: the physics by hand, then what the processing must keep."""

from dataclasses import replace

import numpy as np
import pytest

from pneumo.datasets.phantom import acquisition
from pneumo.datasets.phantom.acquisition import Technique, Window
from pneumo.datasets.phantom.anatomy import SOFT_TISSUE
from pneumo.datasets.phantom.geometry import View


@pytest.fixture(scope="module")
def technique() -> Technique:
    return acquisition.draw_technique(np.random.default_rng(0))


def test_without_tilt_the_patient_is_bent_by_less_than_a_centimetre(
    view: View, technique: Technique
) -> None:
    straight = replace(technique, tilt=0.0)
    x, y = acquisition.position(straight, view, np.random.default_rng(0))
    assert 0 < np.abs(x - view.x).max() < 1
    assert 0 < np.abs(y - view.y).max() < 1


def test_beer_and_lambert(view: View, technique: Technique) -> None:
    bare = replace(technique, scatter=0.0)
    for chord in (0.0, 1.0, 10.0):
        line_integral = view.blank() + np.float32(SOFT_TISSUE * chord)
        radiation = acquisition.expose(line_integral, bare, view)
        assert radiation.mean() == pytest.approx(np.exp(-0.239984 * chord), rel=1e-3)


def test_half_value_layer_of_soft_tissue(view: View, technique: Technique) -> None:
    line_integral = view.blank() + np.float32(SOFT_TISSUE * np.log(2) / 0.239984)
    radiation = acquisition.expose(line_integral, replace(technique, scatter=0.0), view)
    assert radiation.mean() == pytest.approx(0.5, rel=1e-3)


def test_scatter_adds_its_share_of_the_primary_radiation(view: View, technique: Technique) -> None:
    line_integral = view.blank() + np.float32(2.0)
    radiation = acquisition.expose(line_integral, replace(technique, scatter=0.5), view)
    assert radiation.mean() == pytest.approx(1.5 * np.exp(-2.0), rel=1e-3)


def test_quantum_noise_falls_with_the_root_of_the_quanta(technique: Technique) -> None:
    radiation = np.full((512, 128), 0.25, np.float32)
    signal = acquisition.detect(radiation, replace(technique, quanta=1e4), np.random.default_rng(0))
    # 2,500 of 10,000 quanta arrive, give or take 50.
    assert signal.mean() == pytest.approx(0.25, rel=1e-3)
    assert signal.std() == pytest.approx(50 / 1e4, rel=0.03)


def test_dense_is_bright(view: View, technique: Technique) -> None:
    signal = np.exp(-np.broadcast_to(np.linspace(0, 4, 120, dtype=np.float32), (100, 120)))
    pixels = acquisition.develop(signal, technique, Window(typical=2.0, densest=4.0))
    assert pixels.dtype == np.uint8
    assert pixels[50, 0] == 0
    assert pixels[50, -1] > pixels[50, 60] > 0
