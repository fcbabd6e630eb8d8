"""One message: what there is to say, and to whom it matters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from runtime.config.message_settings import Occasion


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """News of one kind. `picture` is a file that is shown with it, `link` where there is more."""

    occasion: Occasion
    title: str
    lines: tuple[str, ...] = ()
    picture: Path | None = None
    link: str = ""

    @property
    def body(self) -> str:
        """Return the text, the link last."""
        return "\n".join((*self.lines, *((self.link,) if self.link else ())))

    @property
    def news(self) -> str:
        """Return what tells this news from other news of the same run."""
        told = "\n".join((self.occasion, self.title))
        return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:16]
