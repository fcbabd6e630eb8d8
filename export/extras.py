"""The check that the packages of an extra are installed."""

from __future__ import annotations

from importlib.util import find_spec

from runtime.errors import ConfigRefused

PACKAGES = ("torch", "sklearn", "onnx", "onnxscript", "matplotlib")


def require_extra(packages: tuple[str, ...] = PACKAGES) -> None:
    """Raise ConfigRefused naming the packages that are absent and the extra that brings them."""
    absent = [name for name in packages if find_spec(name) is None]
    if absent:
        raise ConfigRefused(
            f"training needs packages that are not installed: {', '.join(absent)}",
            remedy="pip install 'nightscope[export]'",
        )
