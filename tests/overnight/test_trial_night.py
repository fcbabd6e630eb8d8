"""A model on trial in whole nights: good tiles confirm it, a crash brings the one before back."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from runtime.cli.commands import scan
from runtime.config.settings import SHIPPED_MODELS
from runtime.inference.bundle import find_bundle
from runtime.inference.store import read_state
from tests.runtime.conftest import Forge
from tests.simulated import by_itself

NAME = "mussel-tissue"
PLAN = f"""
name: corner
objective: 10x
grid: {{rows: 3, columns: 3, centre_um: [0, 0]}}
focus: {{range_um: 80, sweep_every: 6}}
model: {NAME}
"""
NEEDED = 5


@pytest.fixture
def device(tmp_path):
    """A controller with a store, whose settings ask for five good tiles; (settings, forge)."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    forge = Forge(shelf, find_bundle(SHIPPED_MODELS, NAME))
    settings = tmp_path / "settings.toml"
    settings.write_text(
        by_itself(speed=200)
        + f'[budgets_ms]\nclassify = 1e6\n[models]\nfolder = "{shelf}"\n'
        + f'store = "{tmp_path / "store"}"\ntrial_tiles = {NEEDED}\nbackend = "onnxruntime"\n'
    )
    (tmp_path / "plan.yaml").write_text(PLAN)
    return settings, forge


def slots(tmp_path):
    return read_state(tmp_path / "store").model(NAME)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_good_tiles_of_a_night_confirm_a_model_and_a_killed_night_rolls_the_next_back(
    cli, cli_here, device, tmp_path, monkeypatch
):
    settings, forge = device

    def install(version):
        # A busy machine answers late, and late answers are refused, or vouch for nothing.
        forge.manifest |= {"version": version, "budgets_ms": {"classify": 1e6}}
        code, result, err = cli_here("model", "install", forge.write(), "--settings", settings)
        assert code == 0, err
        return result

    assert install("9.0.0")["trial_tiles"] == NEEDED

    opening = scan.open_microscope

    @contextmanager
    def as_if_real(*arguments, **options):
        """Open the simulated microscope, which does not say that it is one."""
        with opening(*arguments, **options) as rig:
            yield replace(rig, simulated=False)

    night = ("run", tmp_path / "plan.yaml", "--settings", settings, "--out")
    with monkeypatch.context() as patched:
        patched.setattr(scan, "open_microscope", as_if_real)
        code, _, err = cli_here(*night, tmp_path / "first")
    assert code in (0, 5), err
    assert f"model {NAME} 9.0.0 was confirmed: 9 good tiles" in err
    assert slots(tmp_path).trial is None

    install("9.1.0")
    second = tmp_path / "second"
    process = cli.start(*night, second, until=lambda: len(list(second.glob("tiles/*.tif"))) >= 2)
    process.kill()
    process.communicate()
    assert slots(tmp_path).kept.version == "9.1.0"
    code, _, err = cli_here("resume", second)
    assert code in (0, 5), err
    died = f"model {NAME} 9.1.0 was rolled back: the run {second} died while it was on trial"
    assert died in " ".join(err.split())  # a line of the console is as wide as that
    assert slots(tmp_path).kept.version == "9.0.0"
