"""Geometry: chord lengths against numbers worked by hand."""

import numpy as np
import pytest

from pneumo.datasets.phantom.geometry import (
    Ellipsoid,
    Loft,
    Tubes,
    View,
    interpolate,
    noise,
    project_tubes,
)


def at(x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    return np.array([[x]], np.float32), np.array([[y]], np.float32)


def straight_tube(
    *,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius: float,
    wall: float | None = None,
) -> Tubes:
    return Tubes(
        centrelines=np.linspace(start, end, 5)[None],
        radii=np.full((1, 5, 2), radius),
        walls=None if wall is None else np.full((1, 5), wall),
    )


def test_pixel_centres_are_in_centimetres(view: View) -> None:
    assert view.x[0, 0] == pytest.approx(-3.0 + 0.5 / 20)
    assert view.y[-1, 0] == pytest.approx(-2.5 + 99.5 / 20)


def test_refining_undoes_halving() -> None:
    view = View(height=101, width=121, resolution=20, left=-3.0, top=-2.5)
    coarse = view.scaled(0.5)
    refined = view.refine(np.broadcast_to(coarse.x, (coarse.height, coarse.width)).copy())
    assert refined.shape == (101, 121)
    np.testing.assert_allclose(refined[50, 5:-5], view.x[0, 5:-5], atol=1e-4)


def test_view_around_points_holds_them_and_is_symmetrical() -> None:
    view = View.around(np.array([-2.0, 3.0]), np.array([-1.0, 4.0]), resolution=10)
    assert view.width == 62  # 3 cm and a pixel to either side
    assert view.height == 52
    np.testing.assert_allclose(view.x[0], -view.x[0, ::-1], atol=1e-6)


def test_looking_up_reads_between_pixels(view: View) -> None:
    field = np.broadcast_to(view.x, (view.height, view.width)).copy()
    found = view.look_up(field, *at(0.013, 0.0))
    assert found.item() == pytest.approx(0.013, abs=2e-3)


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
    np.testing.assert_allclose(interpolate(knots, knots, values), values)
    between = interpolate(np.linspace(-1, 4, 101), knots, values)
    assert between.min() == 0
    assert between.max() == 1
    assert interpolate(np.array([1.5]), knots, values)[0] == pytest.approx(0.5)


def test_several_curves_are_interpolated_at_once() -> None:
    knots, values = np.array([0.0, 1.0, 3.0]), np.array([[0.0, 2.0, 3.0], [5.0, 4.0, 4.0]])
    where = np.array([[0.4], [2.0]])
    together = interpolate(where, knots, values)
    assert together.shape == (2, 2, 1)
    for curve, row in zip(together, values, strict=True):
        np.testing.assert_array_equal(curve, interpolate(where, knots, row))


def test_tube_across_the_rays_keeps_its_volume_and_its_diameter(view: View) -> None:
    tube = straight_tube(start=(-2, 0, 0), end=(2, 0, 0), radius=0.5)
    chord = project_tubes([tube], view)
    volume = np.pi * 0.5**2 * 4  # cm³
    assert chord.sum() / view.resolution**2 == pytest.approx(volume, rel=0.02)
    middle = chord[:, 40:80].mean(axis=1)
    assert middle.max() == pytest.approx(1.0, rel=0.08)  # the diameter, in cm
    assert middle[np.abs(view.y[:, 0]) > 0.6].max() == 0


def test_tube_along_the_rays_keeps_its_volume_inside_its_outline(view: View) -> None:
    tube = straight_tube(start=(0, 0, -3), end=(0, 0, 3), radius=0.5)
    chord = project_tubes([tube], view)
    assert chord.sum() / view.resolution**2 == pytest.approx(np.pi * 0.5**2 * 6, rel=0.01)
    assert chord[np.hypot(view.x, view.y) > 0.6].max() == 0


def test_what_leaves_the_view_is_left_out(view: View) -> None:
    tube = straight_tube(start=(-9, 0, 0), end=(-4, 0, 0), radius=0.5)
    assert project_tubes([tube], view).max() == 0


def test_hollow_tube_is_denser_at_its_edges(view: View) -> None:
    tube = straight_tube(start=(-2, 0, 0), end=(2, 0, 0), radius=0.5, wall=0.05)
    profile = project_tubes([tube], view)[:, 40:80].mean(axis=1)
    axis, edge = profile[49:51].mean(), profile[59:61].mean()
    assert axis == pytest.approx(0.1, rel=0.25)  # two walls
    assert edge > 2 * axis


def test_noise_has_unit_variance(view: View) -> None:
    field = noise(np.random.default_rng(0), view, 0.2)
    assert field.shape == (view.height, view.width)
    assert field.mean() == pytest.approx(0, abs=0.1)
    assert field.std() == pytest.approx(1, abs=0.15)
