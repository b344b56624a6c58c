import pytest

from pneumo.datasets.phantom.geometry import View


@pytest.fixture
def view() -> View:
    return View(height=100, width=120, resolution=20, left=-3.0, top=-2.5)
