"""Pages run by Streamlit's AppTest, without a browser."""

import functools
from collections.abc import Callable, Iterator

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from pneumo.settings import REPOSITORY
from pneumo.training import pace, queue
from pneumo.training.recipe import Recipe


@pytest.fixture(scope="session", autouse=True)
def installed_components() -> Iterator[None]:
    """A server looks once for components that are installed; AppTest would for each page."""
    with pytest.MonkeyPatch.context() as patch:
        scan = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        yield


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """The recipes that the pace of this machine was asked for; no process is ever started."""
    recipes: list[Recipe] = []
    monkeypatch.setattr(pace, "start", lambda recipe, *rest, **options: recipes.append(recipe))
    monkeypatch.setattr(queue, "ensure_worker", lambda settings: None)
    return recipes


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Opens a page by name, at an address with these query parameters."""

    def open_(name: str, **query: str) -> AppTest:
        page = AppTest.from_file(str(REPOSITORY / "pages" / f"{name}.py"), default_timeout=30)
        page.session_state["framed"] = True  # the frame around it is the browser tests' affair
        for key, value in query.items():
            page.query_params[key] = value
        return page.run()

    return open_


def words(page: AppTest) -> str:
    """Everything that a page says, for tests of what it must and must not say."""
    elements = (
        *page.markdown,
        *page.caption,
        *page.title,
        *page.subheader,
        *page.header,
        *page.error,
        *page.warning,
        *page.info,
        *page.success,
    )
    tables = " ".join(table.value.to_string() for table in page.dataframe)
    return " ".join(str(element.value) for element in elements) + tables
