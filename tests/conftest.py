"""Every test draws the same examples at every run; `--hypothesis-profile=explore` draws others."""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is slow, and slow is not wrong.
CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

gc.disable()  # until all tests are loaded: nothing is garbage until then

settings.register_profile("same", derandomize=True, **CALM)
settings.register_profile("explore", **CALM)
settings.load_profile("same")


# Where in a run the files of a folder lie, if not evenly from its beginning to its end. Those who
# share a night come after it is made: they would wait for it. Boards answer late or not at all,
# for which the processors need not wait if computing lies between.
LIE = {"overnight": (0.4, 0.9), "firmware_bridge": (0.0, 0.75), "contracts": (0.0, 0.75)}


@pytest.fixture(scope="session", autouse=True)
def nothing_installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever runs the tests may have models installed: every test begins with the release's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTSCOPE_STORE", str(tmp_path_factory.mktemp("store") / "models"))
        patch.delenv("NIGHTSCOPE_SETTINGS", raising=False)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the demo; spread the files of every folder in `LIE` among all others."""
    files = dict.fromkeys(item.path for item in items)
    folders = {path: path.parent.name if path.parent.name in LIE else "" for path in files}
    place = {path: 0.0 for path in files if path.name == "test_demo.py"}
    for folder in set(folders.values()):
        start, end = LIE.get(folder, (0.0, 1.0))
        inside = [path for path in files if folders[path] == folder and path not in place]
        place |= {p: start + (end - start) * (n + 1) / len(inside) for n, p in enumerate(inside)}
    items.sort(key=lambda item: place[item.path])


def pytest_collection_finish() -> None:
    """Keep the libraries and the tests themselves from the collector, which would find nothing."""
    gc.freeze()
    gc.enable()
