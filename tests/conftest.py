"""Every test draws the same examples at every run; `--hypothesis-profile=explore` draws others."""

import gc

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is slow, and slow is not wrong.
CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("same", derandomize=True, **CALM)
settings.register_profile("explore", **CALM)
settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the demo: other workers would wait for it, if they came to its files as early."""
    items.sort(key=lambda item: item.path.name != "test_demo.py")


def pytest_collection_finish() -> None:
    """Keep the libraries and the tests themselves from the collector, which would find nothing."""
    gc.freeze()
