"""Colours, charts and overlays, against numbers worked by hand."""

import tomllib

import cv2
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from pneumo import figures
from pneumo.figures import curves
from pneumo.settings import REPOSITORY

THEME = tomllib.loads((REPOSITORY / ".streamlit" / "config.toml").read_text())["theme"]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2, from 1 to 21."""

    def luminance(colour: str) -> float:
        share = np.frombuffer(bytes.fromhex(colour.removeprefix("#")), np.uint8) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("colour", [figures.NORMAL, figures.PNEUMONIA, figures.NEUTRAL])
def test_the_palette_stands_out_on_both_backgrounds(colour: str, theme: str) -> None:
    assert contrast(colour, THEME[theme]["backgroundColor"]) >= 3


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("colour", ["blue", "orange", "gray"])
def test_badges_are_legible_on_both_themes(colour: str, theme: str) -> None:
    text, background = THEME[theme][f"{colour}TextColor"], THEME[theme][f"{colour}BackgroundColor"]
    assert contrast(text, background) >= 4.5
    assert contrast(text, THEME[theme]["backgroundColor"]) >= 4.5


def test_badges_and_charts_share_their_accents() -> None:
    assert THEME["blueColor"] == figures.NORMAL
    assert THEME["orangeColor"] == figures.PNEUMONIA


# Charts ---------------------------------------------------------------------------------


def test_dress_leaves_the_background_to_the_page() -> None:
    figure = figures.dress(go.Figure(), height=300)
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    assert figure.layout.height == 300


def test_composition_draws_shares_and_writes_counts() -> None:
    catalog = pd.DataFrame(
        {
            "split": ["train"] * 4 + ["val"] * 2,
            "subtype": ["normal", "bacterial", "bacterial", "viral", "normal", "viral"],
        }
    )
    bars = {bar.name: bar for bar in figures.composition(catalog).data}
    assert list(bars) == ["Normal", "Bacterial", "Viral"]
    assert list(bars["Bacterial"].x) == [0.5, 0.0]
    assert list(bars["Bacterial"].text) == ["2", ""]
    assert list(bars["Viral"].x) == [0.25, 0.5]
    assert bars["Normal"].y[0].startswith("Train") and "4" in bars["Normal"].y[0]
    assert list(bars["Bacterial"].customdata[0]) == ["train", "bacterial", 2]
    # Not by colour alone.
    assert bars["Viral"].marker.pattern.shape != bars["Bacterial"].marker.pattern.shape


def test_grey_histogram_counts_pixels() -> None:
    (trace,) = figures.grey_histogram(np.array([[0, 10], [10, 255]], np.uint8)).data
    assert (trace.y[0], trace.y[10], trace.y[255]) == (0.25, 0.5, 0.25)
    assert sum(trace.y) == 1


def test_bars_by_class_know_their_bins() -> None:
    figure = figures.class_bars(
        [(1, 1), (2, 5)], {"NORMAL": [3, 0], "PNEUMONIA": [2, 4]}, title="Films", counted="patients"
    )
    normal, pneumonia = figure.data
    assert list(normal.x) == ["1", "2–5"]
    assert list(normal.y) == [3, 0] and list(pneumonia.y) == [2, 4]
    assert [list(it) for it in pneumonia.customdata] == [[1, 1], [2, 5]]
    assert figure.layout.yaxis.title.text == "Patients"


def test_shapes_tell_classes_apart_by_colour_and_mark() -> None:
    films = pd.DataFrame(
        {"path": ["a", "b"], "label": ["NORMAL", "PNEUMONIA"], "side": [9, 7], "ratio": [1.5, 1]}
    )
    normal, pneumonia = figures.shapes(films).data
    assert (list(normal.x), list(normal.y)) == ([9], [1.5])
    assert normal.marker.symbol != pneumonia.marker.symbol
    assert figures.shapes(films).layout.dragmode == "select"


def test_a_difference_is_pure_where_it_is_largest_and_grey_where_there_is_none() -> None:
    one, other = np.array([[100.0, 80.0, 50.0]]), np.array([[60.0, 80.0, 70.0]])
    drawn = figures.difference(one, other)
    assert drawn[0, 0].tolist() == [0xE0, 0x66, 0x1A]  # 40 levels brighter, the most
    assert drawn[0, 1].tolist() == [80, 80, 80]
    # Half as much darker: half of #1F88CC and half of the mean, 60.
    assert drawn[0, 2].tolist() == [round((0x1F + 60) / 2), (0x88 + 60) // 2, (0xCC + 60) // 2]


# Trainings ------------------------------------------------------------------------------


def rows_of(losses: list[float], *, phases: list[int]) -> list[dict[str, float]]:
    return [
        {
            "epoch": float(number),
            "phase": float(phase),
            "train_loss": 2 * loss,
            "validation_loss": loss,
        }
        for number, (loss, phase) in enumerate(zip(losses, phases, strict=True), start=1)
    ]


def traces(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name: trace for trace in figure.data}


def test_a_learning_curve_shows_both_splits_phases_and_the_best_epoch() -> None:
    rows = rows_of([0.5, 0.25, 0.3], phases=[1, 1, 2])
    figure = figures.learning_curve(rows, metric="loss", title="Loss", last_epoch=10, best_epoch=2)
    drawn = traces(figure)
    assert list(drawn["Train"].y) == [1.0, 0.5, 0.6]
    assert list(drawn["Validation"].y) == [0.5, 0.25, 0.3]
    assert list(drawn["Validation"].x) == [1, 2, 3]
    # Not by colour alone.
    assert drawn["Train"].line.dash != drawn["Validation"].line.dash
    assert (*drawn["Best epoch, 2"].x, *drawn["Best epoch, 2"].y) == (2, 0.25)
    (line,), (label,) = figure.layout.shapes, figure.layout.annotations
    assert line.x0 == line.x1 == 2.5
    assert label.text == "Phase 2"
    assert figure.layout.xaxis.range[1] > 10


def test_other_runs_are_laid_over_a_learning_curve() -> None:
    rows, longer = rows_of([0.5], phases=[1]), rows_of([0.4, 0.3], phases=[1, 1])
    figure = figures.learning_curve(
        rows, metric="loss", title="Loss", last_epoch=1, overlaid={"earlier": longer}
    )
    earlier = traces(figure)["earlier"]
    assert list(earlier.y) == [0.4, 0.3]
    assert earlier.opacity is None and earlier.showlegend is False
    assert figure.layout.xaxis.range[1] > 2
    assert not traces(figure)["Best epoch, None"].showlegend


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("colour", [colour for colour, _ in figures.OVERLAID])
def test_overlaid_curves_stand_out_and_differ_in_dash(colour: str, theme: str) -> None:
    assert contrast(colour, THEME[theme]["backgroundColor"]) >= 3
    assert len({dashes for _, dashes in figures.OVERLAID}) == len(figures.OVERLAID)


def steps_of(losses: np.ndarray, *, steps_an_epoch: int) -> dict[str, np.ndarray]:
    numbers = np.arange(len(losses))
    return {
        "epoch": numbers // steps_an_epoch + 1.0,
        "step": numbers + 1.0,
        "loss": losses,
        "learning_rate": np.full(len(losses), 0.01),
    }


def test_the_loss_by_step_is_smoothed_before_itself() -> None:
    steps = steps_of(np.array([4.0, 2.0, 3.0, 1.0]), steps_an_epoch=2)
    rows = rows_of([0.5, 0.4], phases=[1, 2])
    figure = figures.step_curve(steps, rows, column="loss", title="Loss by step", smoothed=True)
    raw, smooth = figure.data
    assert list(raw.y) == [4, 2, 3, 1]
    assert list(raw.x) == [1, 2, 3, 4]
    assert len(smooth.y) == 4
    (line,) = figure.layout.shapes
    assert line.x0 == 2.5  # before the first step of the second epoch, which is phase 2


def test_a_running_mean_takes_neighbours() -> None:
    values = np.zeros(160)
    values[80] = 10
    smooth = curves._running_mean(values)  # two neighbours on either side
    assert smooth[77:84].tolist() == [0, 2, 2, 2, 2, 2, 0]
    assert curves._running_mean(np.array([1.0, 3.0])).tolist() == [1, 3]


def test_twenty_thousand_steps_become_few_points_and_lose_no_peak() -> None:
    losses = np.zeros(20_000)
    losses[12_345] = 9
    steps = steps_of(losses, steps_an_epoch=500)
    figure = figures.step_curve(steps, [], column="loss", title="Loss by step", smoothed=True)
    raw, smooth = figure.data
    assert max(len(raw.x), len(smooth.x)) <= figures.POINTS
    assert max(raw.y) == 9
    assert len(figure.to_json()) < 60_000


def test_a_training_without_a_step_has_an_empty_figure() -> None:
    figure = figures.step_curve({}, [], column="loss", title="Loss by step", smoothed=True)
    assert all(len(trace.x) == 0 for trace in figure.data)


# Overlays -------------------------------------------------------------------------------


def test_overlay_blends_by_heat() -> None:
    pixels = np.full((1, 3), 100, np.uint8)
    mixed = figures.overlay(pixels, np.array([[0.0, 0.5, 1.0]]), opacity=0.4)
    # Inferno: 128 of 255 is RGB (188, 55, 84), the hottest is (252, 255, 164).
    assert mixed.dtype == np.uint8
    assert mixed[0, 0].tolist() == [100, 100, 100]  # cold: the film as it is
    # a fifth of the colour: 80 + 37.6, 80 + 11, 80 + 16.8
    assert mixed[0, 1].tolist() == [118, 91, 97]
    # two fifths of it: 60 + 100.8, 60 + 102, 60 + 65.6
    assert mixed[0, 2].tolist() == [161, 162, 126]


@pytest.mark.parametrize("opacity", [0.0, 0.45, 1.0])
def test_overlay_is_within_a_grey_level_of_the_blend_of_each_pixel(opacity: float) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (90, 120), np.uint8)
    heat = rng.random((90, 120))  # of the film's size: nothing to stretch
    colours = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    share = opacity * heat[..., np.newaxis]
    expected = (1 - share) * pixels[..., np.newaxis] + share * colours[..., ::-1]
    mixed = figures.overlay(pixels, heat, opacity=opacity)
    # Half a level of the heat, and the rounding of the blend.
    assert np.abs(mixed - expected).max() <= 1


def test_overlay_stretches_the_heat_over_the_film() -> None:
    heat = np.zeros((7, 7), np.float32)
    heat[3, 3] = 1
    film = np.full((70, 140), 50, np.uint8)
    mixed = figures.overlay(film, heat)
    assert mixed.shape == (70, 140, 3)
    assert (mixed[:15] == 50).all() and (mixed[:, :35] == 50).all()
    middle = mixed.sum(axis=2)
    assert np.unravel_index(middle.argmax(), middle.shape)[0] in range(30, 40)


@pytest.mark.parametrize("name", ["inferno", "viridis", "cividis", "white"])
def test_a_palette_keeps_its_order_when_printed_in_grey(name: str) -> None:
    palette = figures.PALETTES[name]
    assert (palette.shape, palette.dtype) == ((256, 3), np.uint8)
    grey = cv2.cvtColor(palette[np.newaxis], cv2.COLOR_RGB2GRAY)[0].astype(int)
    assert (np.diff(grey) >= 0).all()


def test_inferno_is_red_green_blue() -> None:
    red, green, blue = figures.PALETTES["inferno"][180].astype(int)
    assert red > green > blue, "orange"


def test_heat_keeps_its_order_when_printed_in_grey() -> None:
    ramp = np.linspace(0, 1, 256)[np.newaxis]
    mixed = figures.overlay(np.zeros((1, 256), np.uint8), ramp, opacity=1.0)
    grey = cv2.cvtColor(mixed, cv2.COLOR_RGB2GRAY)[0].astype(int)
    assert (np.diff(grey) >= 0).all()


@pytest.mark.parametrize(
    ("pixels", "heat_map", "opacity", "named"),
    [
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2)), 0.4, "pixels"),
        (np.zeros((2, 2)), np.zeros((2, 2)), 0.4, "pixels"),
        (np.zeros((2, 2), np.uint8), np.full((2, 2), 1.1), 0.4, "heat_map"),
        (np.zeros((2, 2), np.uint8), np.full((2, 2), np.nan), 0.4, "heat_map"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2)), 1.5, "opacity"),
    ],
)
def test_overlay_refuses(
    pixels: np.ndarray, heat_map: np.ndarray, opacity: float, named: str
) -> None:
    with pytest.raises(ValueError, match=f"`{named}` must"):
        figures.overlay(pixels, heat_map, opacity=opacity)


def test_outline_goes_around_the_region_and_leaves_the_rest() -> None:
    film = np.full((40, 40), 77, np.uint8)
    mask = np.zeros((40, 40), bool)
    mask[10:31, 10:31] = True
    drawn = figures.outline(film, mask, colour="#FF0000")
    red, green, blue = drawn[10, 20]
    assert red > 220 and green == blue < 30  # smoothed
    assert drawn[20, 20].tolist() == drawn[2, 2].tolist() == [77, 77, 77]
    assert (figures.outline(film, np.zeros_like(mask)) == 77).all()


def test_outline_refuses_a_mask_of_another_shape() -> None:
    with pytest.raises(ValueError, match="`mask` must have the shape"):
        figures.outline(np.zeros((4, 4), np.uint8), np.zeros((4, 5), bool))


# Predictions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probability", "muted", "colour"),
    [
        (0.6, False, figures.PNEUMONIA),
        (0.5, False, figures.PNEUMONIA),
        (0.4, False, figures.NORMAL),
        (0.6, True, figures.NEUTRAL),
    ],
)
def test_the_scale_has_the_film_the_threshold_and_the_band(
    probability: float, muted: bool, colour: str
) -> None:
    figure = figures.probability_scale(probability, 0.5, band=(0.25, 0.75), muted=muted)
    parts = [(shape.x0, shape.x1, shape.fillcolor) for shape in figure.layout.shapes]
    assert parts == [
        (0, 0.25, figures.NORMAL),
        (0.25, 0.75, figures.NEUTRAL),
        (0.75, 1, figures.PNEUMONIA),
    ]
    threshold, film = figure.data
    assert set(threshold.x) == {0.5}
    assert (film.x, film.marker.color) == ((probability,), colour)


def test_the_word_unsure_keeps_out_of_the_way_of_the_film() -> None:
    def places(probability: float, band: tuple[float, float]) -> list[float]:
        figure = figures.probability_scale(probability, 0.5, band=band)
        return [it.x for it in figure.layout.annotations if it.text == "unsure"]

    assert places(0.6, (0.25, 0.75)) == [0.375]
    assert places(0.4, (0.25, 0.75)) == [0.625]
    assert places(0.6, (0.4, 0.6)) == [], "it does not fit"


def test_variations_have_a_row_each_and_the_sign_of_their_verdict() -> None:
    figure = figures.stability(0.8, {"mirrored": 0.5, "cropped": 0.2}, 0.5, band=(0.25, 0.75))
    (marks,) = figure.data
    assert (marks.x, marks.y) == ((0.8, 0.5, 0.2), ("as it is", "mirrored", "cropped"))
    assert marks.marker.symbol == ("triangle-up", "triangle-up", "circle")
    assert marks.marker.color == (figures.PNEUMONIA, figures.PNEUMONIA, figures.NORMAL)
    assert [it.x0 for it in figure.layout.shapes] == [0, 0.25, 0.75, 0.5]
    muted = figures.stability(0.8, {"mirrored": 0.5}, 0.5, band=(0.25, 0.75), muted=True)
    assert set(muted.data[0].marker.color) == {figures.NEUTRAL}


def test_under_the_pointer_no_film_makes_a_model_certain() -> None:
    for figure in (
        figures.probability_scale(1.0, 0.5, band=(0.25, 0.75)),
        figures.stability(1.0, {"mirrored": 0.0}, 0.5, band=(0.25, 0.75)),
    ):
        film = figure.data[-1]
        assert film.customdata[0] == 0.9999
        assert "%{customdata:.2%}" in film.hovertemplate


def test_reliability_has_the_intervals_of_its_marks() -> None:
    figure = figures.reliability([0.1, 0.9], [0.25, 1.0], [(0.05, 0.5), (0.75, 1.0)], [4, 100])
    diagonal, marks = figure.data
    assert diagonal.x == diagonal.y
    assert (marks.x, marks.y) == ((0.1, 0.9), (0.25, 1.0))
    assert marks.error_y.array == pytest.approx((0.25, 0.0))
    assert marks.error_y.arrayminus == pytest.approx((0.2, 0.25))
    small, large = marks.marker.size
    assert small < large


@pytest.mark.parametrize("own", [(0.9, 0.97), None])
def test_the_trade_off_marks_what_the_model_has(own: tuple[float, float] | None) -> None:
    curve, mark = figures.trade_off([1.0, 0.9, 0.5], [0.95, 0.97, 1.0], own=own).data
    assert (curve.x, curve.y) == ((1.0, 0.9, 0.5), (0.95, 0.97, 1.0))
    assert [*zip(mark.x, mark.y, strict=True)] == ([own] if own else [])


def test_a_confusion_matrix_has_its_counts_in_its_cells() -> None:
    figure = figures.confusion([[9, 1], [20, 60]])
    texts = {(it.y, it.x): it.text for it in figure.layout.annotations}
    assert texts == {
        ("NORMAL", "NORMAL"): "<b>9</b><br>90.0%",
        ("NORMAL", "PNEUMONIA"): "<b>1</b><br>10.0%",
        ("PNEUMONIA", "NORMAL"): "<b>20</b><br>25.0%",
        ("PNEUMONIA", "PNEUMONIA"): "<b>60</b><br>75.0%",
    }


def test_a_map_tells_groups_apart_by_colour_and_symbol_and_fades_what_is_not_selected() -> None:
    films = pd.DataFrame(
        {
            "x": [1.0, 2.0, 3.0, 4.0],
            "y": [5.0, 6.0, 7.0, 8.0],
            "path": ["a", "b", "c", "d"],
            "words": ["A", "B", "C", "D"],
            "group": ["Right", "Missed pneumonia", "Right", "Unsure"],
            "farthest": [False, True, False, False],
            "selected": [False, False, True, False],
        }
    )
    figure = figures.film_map(films, by="verdict")
    right, unsure, missed, ringed = figure.data
    names = ["Right  2", "Unsure  1", "Missed pneumonia  1", "Far from the training films"]
    assert [it.name for it in figure.data] == names
    assert [*map(list, right.customdata)] == [["a", "A"], ["c", "C"]]
    assert [[*it.selectedpoints] for it in (right, unsure, missed)] == [[1], [], []]
    assert len({it.marker.symbol for it in figure.data}) == 4
    assert len({it.marker.color for it in (right, unsure, missed)}) == 3
    assert (list(ringed.x), list(ringed.y)) == ([2.0], [6.0])
    nothing = figures.film_map(films.assign(selected=False), by="verdict")
    assert nothing.data[0].selectedpoints is None


def test_areas_are_filled_where_they_are_sure_to_be_large() -> None:
    figure = figures.areas(
        ["shape", "size", "all"],
        [0.8, 0.45, 0.9],
        [(0.7, 0.85), (0.4, 0.5), (0.88, 0.92)],
        least=0.6,
    )
    sure, unsure = figure.data
    assert (list(sure.x), list(sure.y)) == ([0.8, 0.9], ["shape", "all"])
    assert list(sure.error_x.array) == pytest.approx([0.05, 0.02])
    assert list(sure.error_x.arrayminus) == pytest.approx([0.1, 0.02])
    assert (list(unsure.x), unsure.marker.symbol) == ([0.45], "circle-open")
    assert list(figure.layout.yaxis.categoryarray) == ["all", "size", "shape"]  # from below
    assert figure.layout.shapes[0].x0 == 0.5
    assert figure.layout.xaxis.range[0] < 0.4
