"""A trial: what nights say of a new model, and when it goes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.appliance.models import trials
from runtime.appliance.models.counting import good_tiles
from runtime.appliance.models.trials import Decision, confirm, roll_back, settle, under_way
from runtime.errors import InferenceStalled, ModelRefused, Stopped
from runtime.inference.shelf import shelf_of
from runtime.inference.store import read_state
from runtime.record.journal import Journal
from runtime.record.rows import FocusRow, TileState, Timing
from runtime.record.run_folder import RunFolder
from runtime.tile import BLANK_DOUBT, FocusVerdict, Label
from tests.night_fakes import SETTINGS
from tests.runtime import made
from tests.runtime.appliance.models.devices import DAY_S, NAME, Device

if TYPE_CHECKING:
    Forge = Any
Maker = Callable[..., bytes]
IN_FOCUS = FocusVerdict(status="ok", z_um=0.0, sigma_z_um=0.1)


@pytest.fixture
def run(device: Device, maker: Maker, tmp_path: Path) -> RunFolder:
    """Return a run that was sealed with a model on trial, on a device that had another."""
    device.settled(maker("1.0.0"))
    device.install(maker("1.1.0"))
    folder = RunFolder(tmp_path / "night")
    text = SETTINGS.replace(
        '[models]\nbackend = "onnxruntime"',
        f'[models]\nfolder = "{device.models.folder}"\nstore = "{device.models.store}"',
    )
    assert "store" in text
    bundle = shelf_of(device.models).installed[NAME]
    folder.create(plan_text="", settings_text=text, bundles={"match": bundle})
    return folder


def spend(run: RunFolder, device: Device, how: Callable[[], object] = lambda: None) -> list[str]:
    """Spend a night; return what was decided by it."""
    decided: list[Decision] = []
    try:
        with under_way(run, device.clock, decided):
            how()
    finally:
        words = [one.words for one in decided]
    return words


def trial_of(device: Device) -> Any:
    return read_state(device.root / "store").model(NAME).trial


def counted(number: int) -> Callable[..., int]:
    return lambda folder, task: number


def test_good_tiles_add_up_until_the_model_is_confirmed(
    run: RunFolder, device: Device, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "good_tiles", counted(49))
    assert spend(run, device) == []
    assert trial_of(device).good_tiles == 49
    monkeypatch.setattr(trials, "good_tiles", counted(50))  # it was resumed: counted once
    assert spend(run, device) == ["model strip-match 1.1.0 was confirmed: 50 good tiles"]
    assert read_state(device.root / "store").model(NAME).highest == "1.1.0"
    roll_back(device.models, NAME, reason="by hand")
    with pytest.raises(ModelRefused, match=r"is older.*1\.1\.0, confirmed here"):
        device.install(maker("1.0.5"))


def test_a_run_without_the_model_says_nothing_of_it(
    run: RunFolder, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "good_tiles", counted(50))
    monkeypatch.setattr(trials, "_sealed", lambda folder: {"another": "0" * 64})
    assert spend(run, device) == []
    assert trial_of(device).good_tiles == 0


def stall() -> None:
    raise InferenceStalled("back end onnxruntime gave no answer for a tile")


def test_a_back_end_that_gives_no_answer_brings_the_model_before_back(
    run: RunFolder, device: Device
) -> None:
    with pytest.raises(InferenceStalled):
        spend(run, device, stall)
    assert device.version() == "1.0.0"
    reasons = read_state(device.root / "store").model(NAME).rolled_back.values()
    assert "gave no answer" in next(iter(reasons))


def test_a_person_who_stops_a_night_says_nothing_against_the_model(
    run: RunFolder, device: Device
) -> None:
    def stop() -> None:
        raise Stopped("stopped")

    with pytest.raises(Stopped):
        spend(run, device, stop)
    assert trial_of(device).session is None
    assert device.version() == "1.1.0"


class Died(BaseException):
    """The process is gone, as far as a test can be."""


def die() -> None:
    raise Died


def test_a_run_that_dies_brings_the_model_before_back(run: RunFolder, device: Device) -> None:
    with pytest.raises(Died):
        spend(run, device, die)
    assert trial_of(device).session.run == str(run.path.resolve())
    (decision,) = settle(device.models, device.clock)
    assert decision.words == (
        f"model strip-match 1.1.0 was rolled back: the run {run.path.resolve()} died while it was "
        "on trial"
    )
    assert device.version() == "1.0.0"
    assert settle(device.models, device.clock) == []


def test_a_run_that_only_begins_is_not_taken_for_a_dead_one(run: RunFolder, device: Device) -> None:
    """It has said that it uses the model, and has not locked its folder yet."""

    def another() -> None:
        assert trial_of(device).session is not None
        assert settle(device.models, device.clock) == []

    spend(run, device, another)
    assert device.version() == "1.1.0"


def test_a_power_cut_is_forgiven_once(run: RunFolder, device: Device) -> None:
    with pytest.raises(Died):
        spend(run, device, die)
    device.clock.boot_id = "next boot"
    assert settle(device.models, device.clock) == []
    assert device.version() == "1.1.0"
    with pytest.raises(Died):
        spend(run, device, die)
    device.clock.boot_id = "the one after"
    (decision,) = settle(device.models, device.clock)
    assert "the machine went down 2 times" in decision.words
    assert device.version() == "1.0.0"


def test_a_trial_that_takes_too_long_ends(device: Device, maker: Maker) -> None:
    device.settled(maker("1.0.0"))
    device.install(maker("1.1.0"))
    device.clock.sleep(duration_s=13 * DAY_S)
    assert settle(device.models, device.clock) == []
    device.clock.sleep(duration_s=2 * DAY_S)
    (decision,) = settle(device.models, device.clock)
    assert "its trial ended after 14 days with 0 of 50 good tiles" in decision.words
    assert device.version() == "1.0.0"


def test_no_model_is_installed_while_a_run_is_under_way(
    run: RunFolder, device: Device, maker: Maker
) -> None:
    confirm(device.models, NAME)

    def try_it() -> None:
        with pytest.raises(ModelRefused, match=f"a run is under way; value {run.path.resolve()}"):
            device.install(maker("1.2.0"))

    spend(run, device, try_it)
    assert device.install(maker("1.2.0")).version == "1.2.0"


def test_a_device_without_a_store_has_no_trials(run: RunFolder, device: Device) -> None:
    text = run.settings.read_text()
    run.settings.write_text(text.replace(str(device.models.store), "/proc/none"))
    assert spend(run, device) == []


@pytest.mark.parametrize("wrong", ["label", "state", "late", "simulated"])
def test_a_tile_counts_when_the_model_was_sure_in_time_on_a_good_frame(
    run: RunFolder, wrong: str
) -> None:
    journal = Journal(run.journal)
    for tile in ("a", "b", "c"):
        simulated = wrong == "simulated" and tile == "c"
        journal.add_tile(
            made.stored(made.shot(tile, simulated=simulated), seq=ord(tile)),
            FocusRow(tile_id=tile, source="fixed", verdict=IN_FOCUS),
            TileState(tile_id=tile, state="good"),
        )
        journal.set_label(tile, Label(name="tissue", score=0.9))
    journal.set_label("b", Label(name="resin", score=0.9, doubt=BLANK_DOUBT))
    if wrong == "label":
        journal.set_label("c", Label(name="tissue", score=0.9, doubt="unlike anything"))
    if wrong == "state":
        journal.set_states([TileState(tile_id="c", state="doubtful")])
    if wrong == "late":
        journal.add_timings([Timing(stage="classify", tile_id="c", ms=900.0, missed=True)])
    journal.close()
    assert good_tiles(run, "classify") == 2


def test_confirming_what_is_not_on_trial_is_refused(device: Device, maker: Maker) -> None:
    device.settled(maker("1.0.0"))
    with pytest.raises(ModelRefused, match="is not on trial"):
        confirm(device.models, NAME)
    with pytest.raises(ModelRefused, match=r"'nothing' was not installed.*limit strip-match"):
        roll_back(device.models, "nothing", reason="")
