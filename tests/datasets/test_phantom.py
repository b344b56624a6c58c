"""The phantom: geometry and physics by hand, then what the films must and must not show."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pneumo.datasets import phantom
from pneumo.datasets.phantom import SOFT_TISSUE, Ellipsoid, Loft, Technique, Tubes, View

SMALL = 128  # rows; enough to see a lesion


def at(x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    return np.array([[x]], np.float32), np.array([[y]], np.float32)


def straight_tube(
    *, radius: float, wall: float, start: tuple[float, ...], end: tuple[float, ...]
) -> Tubes:
    return Tubes(
        centrelines=np.linspace(start, end, 5)[None],
        radii=np.full((1, 5, 2), radius),
        walls=np.full((1, 5), wall),
    )


@pytest.fixture
def view() -> View:
    return View(height=100, width=120, resolution=20, left=-3.0, top=-2.5)


@pytest.fixture(scope="module")
def technique() -> Technique:
    return phantom.draw_technique(np.random.default_rng(0))


def test_pixel_centres_are_in_centimetres(view: View) -> None:
    assert view.x[0, 0] == pytest.approx(-3.0 + 0.5 / 20)
    assert view.y[-1, 0] == pytest.approx(-2.5 + 99.5 / 20)


def test_coarse_map_covers_the_same_plane() -> None:
    view = View(height=101, width=121, resolution=20, left=-3.0, top=-2.5)
    coarse = view.coarse()
    refined = view.refine(np.broadcast_to(coarse.x, (coarse.height, coarse.width)).copy())
    assert refined.shape == (101, 121)
    np.testing.assert_allclose(refined[50, 5:-5], view.x[0, 5:-5], atol=1e-4)


@pytest.mark.parametrize(
    ("x", "y", "chord"),
    [
        (1.0, 2.0, 10.0),  # through the centre: twice the semi-axis along the ray
        (4.0, 2.0, 0.0),  # tangent
        (5.0, 2.0, 0.0),  # past it
        (1.0 + 1.8, 2.0, 8.0),  # u = 0.6, so √(1 − 0.36) = 0.8 of the diameter
    ],
)
def test_chord_through_an_ellipsoid(x: float, y: float, chord: float) -> None:
    solid = Ellipsoid(centre=(1.0, 2.0), semi_axes=(3.0, 4.0, 5.0))
    assert solid.chord(*at(x, y)).item() == pytest.approx(chord, abs=1e-2)


def test_turned_ellipsoid_swaps_its_axes() -> None:
    solid = Ellipsoid(centre=(0.0, 0.0), semi_axes=(3.0, 4.0, 5.0), angle=np.pi / 2)
    assert solid.chord(*at(3.2, 0.0)).item() == pytest.approx(6.0, abs=1e-3)  # u = 0.8
    assert solid.chord(*at(0.0, 3.1)).item() == 0


def test_chord_through_a_loft() -> None:
    cylinder = Loft(
        y=np.array([0.0, 5.0, 10.0]),
        left=np.array([-2.0, -2.0, -2.0]),
        right=np.array([4.0, 4.0, 4.0]),
        half_depth=np.array([1.0, 1.0, 1.0]),
    )
    assert cylinder.chord(*at(1.0, 4.0)).item() == pytest.approx(2.0)  # its axis
    assert cylinder.chord(*at(2.8, 4.0)).item() == pytest.approx(1.6)  # u = 0.6
    assert cylinder.chord(*at(1.0, 10.5)).item() == 0  # beyond its end


def test_interpolation_keeps_knots_and_does_not_overshoot() -> None:
    knots, values = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0, 1.0])
    np.testing.assert_allclose(phantom.interpolate(knots, knots, values), values)
    between = phantom.interpolate(np.linspace(-1, 4, 101), knots, values)
    assert between.min() == 0
    assert between.max() == 1
    assert phantom.interpolate(np.array([1.5]), knots, values)[0] == pytest.approx(0.5)


def test_tube_across_the_rays_keeps_its_volume_and_its_diameter(view: View) -> None:
    tube = straight_tube(radius=0.5, wall=0.0, start=(-2, 0, 0), end=(2, 0, 0))
    chord = phantom.project_tubes(tube, view)
    volume = np.pi * 0.5**2 * 4  # cm³
    assert chord.sum() / view.resolution**2 == pytest.approx(volume, rel=0.02)
    middle = chord[:, 40:80].mean(axis=1)
    assert middle.max() == pytest.approx(1.0, rel=0.08)  # the diameter, in cm
    assert middle[np.abs(view.y[:, 0]) > 0.6].max() == 0


def test_hollow_tube_is_denser_at_its_edges(view: View) -> None:
    tube = straight_tube(radius=0.5, wall=0.05, start=(-2, 0, 0), end=(2, 0, 0))
    profile = phantom.project_tubes(tube, view)[:, 40:80].mean(axis=1)
    axis, edge = profile[49:51].mean(), profile[59:61].mean()
    assert axis == pytest.approx(0.1, rel=0.25)  # two walls
    assert edge > 2 * axis


def test_beer_and_lambert(view: View, technique: Technique) -> None:
    bare = replace(technique, scatter=0.0)
    for chord in (0.0, 1.0, 10.0):
        line_integral = view.blank() + np.float32(SOFT_TISSUE * chord)
        radiation = phantom.expose(line_integral, bare, view)
        assert radiation.mean() == pytest.approx(np.exp(-0.239984 * chord), rel=1e-3)


def test_half_value_layer_of_soft_tissue(view: View, technique: Technique) -> None:
    line_integral = view.blank() + np.float32(SOFT_TISSUE * np.log(2) / 0.239984)
    radiation = phantom.expose(line_integral, replace(technique, scatter=0.0), view)
    assert radiation.mean() == pytest.approx(0.5, rel=1e-3)


def test_scatter_adds_its_share_of_the_primary_radiation(view: View, technique: Technique) -> None:
    line_integral = view.blank() + np.float32(2.0)
    radiation = phantom.expose(line_integral, replace(technique, scatter=0.5), view)
    assert radiation.mean() == pytest.approx(1.5 * np.exp(-2.0), rel=1e-3)


def test_quantum_noise_falls_with_the_root_of_the_quanta(technique: Technique) -> None:
    radiation = np.full((512, 128), 0.25, np.float32)
    signal = phantom.detect(radiation, replace(technique, quanta=1e4), np.random.default_rng(0))
    # 2,500 of 10,000 quanta arrive, give or take 50.
    assert signal.mean() == pytest.approx(0.25, rel=1e-3)
    assert signal.std() == pytest.approx(50 / 1e4, rel=0.03)


def test_dense_is_bright(view: View, technique: Technique) -> None:
    signal = np.exp(-np.broadcast_to(np.linspace(0, 4, 120, dtype=np.float32), (100, 120)))
    pixels = phantom.develop(signal, technique, phantom.Window(typical=2.0, densest=4.0))
    assert pixels.dtype == np.uint8
    assert pixels[50, 0] == 0
    assert pixels[50, -1] > pixels[50, 60] > 0


@pytest.mark.parametrize("subtype", phantom.SUBTYPES)
def test_same_seed_same_film(subtype: phantom.Subtype) -> None:
    first = phantom.acquire(subtype, seed=5, height=SMALL)
    second = phantom.acquire(subtype, seed=5, height=SMALL)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.lesion, second.lesion)


def test_seeds_and_examinations_differ() -> None:
    first = phantom.acquire("normal", seed=5, height=SMALL)
    for other in (
        phantom.acquire("normal", seed=6, height=SMALL),
        phantom.acquire("normal", seed=5, exam=1, height=SMALL),
    ):
        same_size = other.pixels.shape == first.pixels.shape
        assert not (same_size and np.array_equal(first.pixels, other.pixels))


@pytest.mark.parametrize("subtype", ["bacterial", "viral"])
@pytest.mark.parametrize("seed", range(8))
def test_lesion_is_the_only_difference(subtype: phantom.Subtype, seed: int) -> None:
    """Size, exposure, letter, noise and anatomy cannot tell the classes apart."""
    healthy = phantom.acquire("normal", seed=seed, height=SMALL)
    ill = phantom.acquire(subtype, seed=seed, height=SMALL)
    assert healthy.pixels.shape == ill.pixels.shape == ill.lesion.shape
    assert not healthy.lesion.any()
    assert 0.005 < ill.lesion.mean() < 0.5

    change = ill.pixels.astype(int) - healthy.pixels.astype(int)
    assert change[ill.lesion].mean() > 5
    # Far from the lesion (scatter and processing reach a little further than it does).
    far = cv2.dilate(ill.lesion.astype(np.uint8), np.ones((41, 41))) == 0
    assert np.abs(change[far]).mean() < 2


def test_lesion_lies_in_the_lungs() -> None:
    random = np.random.default_rng(3)
    anatomy = phantom.draw_anatomy(random)
    view = View(height=100, width=120, resolution=5, left=-12, top=-3)
    healthy = phantom.project_soft_tissue(anatomy, view)
    for subtype in ("bacterial", "viral"):
        added = phantom.infiltrate(subtype, anatomy, healthy, view, [1])
        assert added.max() > 0.1
        assert added[healthy.air == 0].max() == 0
        full_of_fluid = (SOFT_TISSUE - phantom.LUNG) * healthy.air
        assert (added <= full_of_fluid + 1e-5).all()
    assert phantom.infiltrate("normal", anatomy, healthy, view, [1]).max() == 0


def test_lungs_are_dark_and_the_heart_is_on_the_left_of_the_patient() -> None:
    anatomy = phantom.draw_anatomy(np.random.default_rng(0))
    view = View(height=90, width=120, resolution=5, left=-12, top=-3)
    healthy = phantom.project_soft_tissue(anatomy, view)
    right, left = healthy.lungs
    assert right.sum() > left.sum()
    aerated = healthy.air > 5
    assert healthy.line_integral[aerated].mean() < 0.7 * healthy.line_integral[:, 58:62].mean()


def test_unknown_subtype_is_refused() -> None:
    with pytest.raises(ValueError, match="subtype='covid'"):
        phantom.acquire("covid", seed=0)


def test_tiny_height_is_refused() -> None:
    with pytest.raises(ValueError, match="height=32"):
        phantom.acquire("normal", seed=0, height=32)
