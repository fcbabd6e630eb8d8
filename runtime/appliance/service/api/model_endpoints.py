"""The models of the device over the API: the same entry point as `model install` and `flash`."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from anyio import from_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive

from runtime.appliance.models.examination import Examine, examine
from runtime.appliance.models.install import install
from runtime.appliance.models.trials import confirm, roll_back, settle
from runtime.appliance.service.api.endpoints import ApiEndpoint, principal_of
from runtime.appliance.service.kept.announcements import Announcements
from runtime.config.settings import Settings
from runtime.inference.archive import MAX_BUNDLE_BYTES
from runtime.inference.shelf import ModelShelf, shelf_of
from runtime.ports import Clock
from runtime.tasks.registry import RECORDS

MODELS = "/api/v1/models"
LARGE = {MODELS: MAX_BUNDLE_BYTES}


@dataclass(frozen=True, slots=True)
class ModelEndpoints:
    """The endpoints of an instrument's models."""

    settings: Settings
    clock: Clock
    announcements: Announcements
    examine: Examine = examine

    def rows(self) -> tuple[ApiEndpoint, ...]:
        """Return every endpoint."""
        refused = (404, 409, 422, 507)
        named = f"{MODELS}/{{name}}"
        return (
            ApiEndpoint(
                method="GET", path=MODELS, role="look", handler=self.listed,
                summary="The models of the device, and which is on trial", refusals=refused,
            ),
            ApiEndpoint(
                method="POST", path=MODELS, role="administer", handler=self.install,
                summary="Install a signed bundle, which is the body", refusals=refused,
                takes="application/octet-stream",
            ),
            ApiEndpoint(
                method="POST", path=f"{named}/confirm", role="administer", handler=self.confirm,
                summary="End a trial: the model stays", refusals=refused,
            ),
            ApiEndpoint(
                method="POST", path=f"{named}/rollback", role="administer", handler=self.roll_back,
                summary="Go back to the version before", refusals=refused,
            ),
        )  # fmt: skip

    async def listed(self, _: Request) -> Response:
        """Answer with a row for every model."""
        return JSONResponse({"models": await run_in_threadpool(self._models)})

    async def install(self, request: Request) -> Response:
        """Take a bundle as it comes, and answer when it is active, on trial, or was refused."""
        by = principal_of(request).name

        def work() -> dict[str, Any]:
            models = self.settings.models
            sizes = tuple(one.pixel_size_um for one in self.settings.objectives.values())
            body = io.BufferedReader(_Body(request.receive))
            done = install(
                body, models=models, clock=self.clock, pixel_sizes_um=sizes, examine=self.examine
            )
            name = f"{done.name} {done.version}"
            words = f"{name} is active, on trial for {done.trial_tiles} good tiles"
            if not done.changed:
                words = f"{name} is active already; nothing was changed"
            self.announcements.say("model", f"{by} installed {words}")
            return {"name": done.name, "version": done.version, "words": words}

        return JSONResponse(await run_in_threadpool(work))

    async def confirm(self, request: Request) -> Response:
        """End a trial."""
        name, by = request.path_params["name"], principal_of(request).name

        def work() -> dict[str, Any]:
            version = confirm(self.settings.models, name)
            self.announcements.say("model", f"{by} confirmed {name} {version}")
            return {"name": name, "version": version}

        return JSONResponse(await run_in_threadpool(work))

    async def roll_back(self, request: Request) -> Response:
        """Go back to the version before."""
        name, by = request.path_params["name"], principal_of(request).name

        def work() -> dict[str, Any]:
            gone, now = roll_back(self.settings.models, name, reason=f"by {by}")
            self.announcements.say("model", f"{by} rolled {name} {gone} back")
            return {"name": name, "rolled_back": gone, "version": now}

        return JSONResponse(await run_in_threadpool(work))

    def _models(self) -> list[dict[str, Any]]:
        for decision in settle(self.settings.models, self.clock):
            self.announcements.say("model", decision.words)
        shelf = shelf_of(self.settings.models)
        return [_row(row, shelf) for row in shelf.rows(RECORDS)]


class _Body(io.RawIOBase):
    """A request's body as a file, on a thread that the loop waits for."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._left, self._whole = receive, memoryview(b""), False

    def readable(self) -> bool:
        return True

    async def _next(self) -> Message:
        return await self._receive()

    def readinto(self, into: Any) -> int:
        while not self._left and not self._whole:
            message = from_thread.run(self._next)
            self._left = memoryview(message.get("body", b""))
            # A client that went away leaves the bundle unfinished, which its own digests tell.
            self._whole = not message.get("more_body", False)
        count = min(len(into), len(self._left))
        into[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _row(row: dict[str, Any], shelf: ModelShelf) -> dict[str, Any]:
    """Return what the API says of a bundle on the device."""
    name = row.get("name", "")
    slots = shelf.state.model(name)
    trial, kept = slots.trial, slots.kept
    installed = kept is not None and kept.version == row.get("version")
    others = [one.version for slot, one in slots.slots.items() if slot != slots.active]
    state = "refused" if "refused" in row else "active" if installed else "shipped"
    return {
        "name": name or row["file"],
        "task": row.get("task"),
        "version": row.get("version"),
        "state": state,
        "reason": row.get("refused"),
        "runs_as": kept.runs_as if installed and kept is not None else None,
        "trial": {"good": trial.good_tiles, "needed": trial.needs}
        if installed and trial is not None
        else None,
        "previous": others[0] if installed and others else None,
    }
