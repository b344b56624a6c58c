"""How long a training will take: by hand, and from a measurement that is not really made."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pneumo import background
from pneumo.background import ProcessIdentity
from pneumo.settings import Settings
from pneumo.training import pace
from pneumo.training import recipe as recipes
from pneumo.training.pace import Pace, PaceUnknown
from pneumo.training.recipe import BEST, QUICK, Phase, Recipe

MYSELF = ProcessIdentity(pid=psutil.Process().pid, created=psutil.Process().create_time())
NOBODY = ProcessIdentity(pid=MYSELF.pid, created=MYSELF.created - 60)

PACE = Pace(
    startup=10.0,
    reading=0.01,
    features=0.02,
    head_step=0.001,
    fine_tuning_steps=(0.0, 2.0),
    evaluation=0.03,
    writing=5.0,
)
TWO_PHASES = QUICK.changed(
    cached_views=2, batch_size=32, phases=(Phase(epochs=7), Phase(epochs=3, unfrozen=0.5))
)


def test_a_duration_by_hand() -> None:
    found = PACE.duration(TWO_PHASES, train=100, validation=20)
    once = 10 + 120 * 0.01 + 5
    # Two views of 100 pictures and one of 20; then 7 epochs of 4 steps, as 100 / 32 is above 3.
    head = (2 * 100 + 20) * 0.02 + 7 * 4 * 0.001
    backbone = 3 * (4 * 2.0 + 20 * 0.03)
    assert found == pytest.approx(once + head + backbone)
    # Without cached views each epoch augments anew.
    fresh = PACE.duration(TWO_PHASES.changed(cached_views=0), train=100, validation=20)
    assert fresh - found == pytest.approx(5 * 100 * 0.02)


def test_a_pace_is_that_of_its_phases() -> None:
    with pytest.raises(ValueError, match="zip"):
        PACE.duration(QUICK, train=100, validation=20)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert Pace.load(tmp_path / "pace.json") is None
    PACE.save(tmp_path / "pace.json")
    assert Pace.load(tmp_path / "pace.json") == PACE


# Measurements ---------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Measurements that would have been started; this process stands for theirs."""
    calls: list[dict[str, Any]] = []

    def start(module: str, folder: Path, **options: Any) -> ProcessIdentity:
        calls.append({"module": module, "folder": folder, **options})
        return MYSELF

    monkeypatch.setattr(background, "start", start)
    return calls


def test_a_measurement_under_way(installation: Settings, started: list[dict[str, Any]]) -> None:
    assert pace.known(BEST, installation) is None
    assert not pace.is_being_measured(BEST, installation)
    images = [Path(f"/films/{number}.jpeg") for number in range(40)]
    pace.start(BEST, installation, images=images)
    (call,) = started
    folder = call["folder"]
    assert call == {
        "module": "pneumo.training.micro_run",
        "folder": folder,
        "log": folder / "log.txt",
        "environment": {"PNEUMO_HOME": str(installation.home), "TF_CPP_MIN_LOG_LEVEL": "3"},
    }
    assert folder.is_relative_to(installation.cache)
    assert recipes.read(folder / "recipe.json") == BEST
    assert json.loads((folder / "images.json").read_text()) == [
        str(path) for path in images[: pace.SAMPLE]
    ]
    assert pace.is_being_measured(BEST, installation)
    assert not pace.is_being_measured(QUICK, installation)
    assert pace.known(BEST, installation) is None

    PACE.save(folder / "pace.json")
    assert pace.known(BEST, installation) == PACE and pace.known(QUICK, installation) is None
    NOBODY.save(folder / "process.json")
    assert not pace.is_being_measured(BEST, installation)
    assert pace.known(BEST, installation) == PACE


def test_what_costs_the_same_is_measured_once(
    installation: Settings, started: list[dict[str, Any]]
) -> None:
    first, last = BEST.phases
    same = [
        BEST.changed(name="mine", seed=7, start="random", learning_rate=0.5, epochs=99),
        BEST.changed(early_stopping=0, label_smoothing=0.2, validation_share=0.3, cached_views=0),
    ]
    others = [
        BEST.changed(backbone="DenseNet121"),
        BEST.changed(image_size=256),
        BEST.changed(classes=3),
        BEST.changed(batch_size=16),
        BEST.changed(head=QUICK.head),
        BEST.changed(augmentation=QUICK.augmentation),
        BEST.changed(phases=(first, first)),
        BEST.changed(phases=(first, last, last)),
    ]
    for recipe in (BEST, *same, *others):
        pace.start(recipe, installation)
    folders = [call["folder"] for call in started]
    assert len(set(folders[:3])) == 1
    assert len(set(folders)) == 1 + len(others)


def test_measuring_waits_for_the_result(
    installation: Settings, started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            PACE.save(started[0]["folder"] / "pace.json")

    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", sleep)
    assert pace.measure(BEST, installation, images=[Path("/films/a.jpeg")]) == PACE
    assert len(started) == 1 and len(naps) >= 3
    assert json.loads((started[0]["folder"] / "images.json").read_text()) == ["/films/a.jpeg"]
    assert pace.measure(BEST, installation) == PACE
    assert len(started) == 1  # it is known


def test_measuring_joins_a_measurement_under_way(
    installation: Settings, started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pace.start(BEST, installation)
    (call,) = started
    monkeypatch.setattr(time, "sleep", lambda seconds: PACE.save(call["folder"] / "pace.json"))
    assert pace.measure(BEST, installation) == PACE
    assert len(started) == 1


def broken_off(folder: Path) -> None:
    NOBODY.save(folder / "process.json")


def in_the_last_moment(folder: Path) -> None:
    """The result comes between two looks, and the process is gone."""
    PACE.save(folder / "pace.json")
    NOBODY.save(folder / "process.json")


@pytest.mark.parametrize(("then", "found"), [(broken_off, None), (in_the_last_moment, PACE)])
def test_a_measurement_that_ends(
    installation: Settings,
    started: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    then: Callable[[Path], None],
    found: Pace | None,
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: then(started[0]["folder"]))
    if found is not None:
        assert pace.measure(BEST, installation) == found
        return
    with pytest.raises(PaceUnknown) as refusal:
        pace.measure(BEST, installation)
    assert str(refusal.value).endswith(f"See {started[0]['folder'] / 'log.txt'}.")


def test_after_a_failure_it_is_measured_again(
    installation: Settings, started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: broken_off(started[-1]["folder"]))
    for number in (1, 2):
        with pytest.raises(PaceUnknown):
            pace.measure(BEST, installation)
        assert len(started) == number


@pytest.mark.parametrize("seconds", [0, 60])
def test_a_measurement_whose_process_never_was(
    installation: Settings,
    started: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    pace.start(BEST, installation)
    (started[0]["folder"] / "process.json").unlink()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + seconds)
    assert pace.is_being_measured(BEST, installation) == (seconds == 0)


def test_a_real_measurement(installation: Settings, sample_root: Path) -> None:
    """Small, in its own process: every part takes time, and a phase's step is its own."""
    recipe = Recipe(
        name="small",
        image_size=96,
        batch_size=2,
        phases=(Phase(epochs=1), Phase(epochs=1, unfrozen=0.1)),
    )
    found = pace.measure(recipe, installation, images=sorted(sample_root.glob("test/*/*"))[:3])
    frozen, thawed = found.fine_tuning_steps
    assert frozen == 0 and 0.001 < thawed < 10
    assert 0 < found.head_step < thawed
    for seconds in (found.startup, found.reading, found.features, found.evaluation, found.writing):
        assert 0 < seconds < 60
    assert pace.known(recipe, installation) == found
