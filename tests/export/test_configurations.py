"""Configurations: those that ship are valid, and mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from export.config.data import SectionsData
from export.config.recipe import ClassifyRecipe
from export.config.table import read_table
from export.config.training import read_config
from export.tasks.focus.config import read_focus_config
from export.tasks.match.config import read_match_config
from export.tasks.registry import TASKS, Order, make
from runtime.config.settings import Objective
from runtime.errors import ConfigRefused

pytestmark = pytest.mark.export
FOLDER = Path(__file__).parents[2] / "export" / "configs"
UHCS = FOLDER / "uhcs_compact_late.toml"


def reads_as_classify(path: Path) -> None:
    config = read_config(path)
    assert config.spec().inputs == config.fusion.inputs
    assert config.budgets_ms["classify"] > 0


def reads_as_match(path: Path) -> None:
    config = read_match_config(path)
    assert config.packed.shape[0] <= config.packed.shape[1]
    assert config.budgets_ms["match"] > 0
    # Whoever trains it names folders of images, and the licence of every one of them.
    assert config.data.train
    assert config.licence


def reads_as_focus(path: Path) -> None:
    config = read_focus_config(path)
    assert config.budgets_ms["focus"] > 0
    # Whoever trains it names folders of images, and the licence of every one of them.
    assert config.data.train
    assert config.licence
    nominal = Objective(magnification=10, na=0.3, pixel_size_um=0.5)
    for value, (low, high) in (
        (nominal.na, config.optics.na),
        (nominal.pixel_size_um, config.optics.pixel_size_um),
        (nominal.wavelength_um, config.optics.wavelength_um),
    ):
        assert low < value < high
    assert config.optics.range_um > 5 * config.optics.depth_of_field_um


# A task that has no row here has no configuration that ships, or one that nobody reads.
READERS = {"classify": reads_as_classify, "match": reads_as_match, "focus": reads_as_focus}


def task_of(path: Path) -> str:
    return str(read_table(path).get("task", "classify"))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_what_ships_is_valid_for_its_own_task(path: Path) -> None:
    READERS[task_of(path)](path)


def test_every_task_that_can_be_trained_ships_a_configuration() -> None:
    assert {task_of(path) for path in FOLDER.glob("*.toml")} == set(TASKS) == set(READERS)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_no_task_reads_what_is_for_another(path: Path) -> None:
    own = {"classify": read_config, "match": read_match_config, "focus": read_focus_config}
    for task, read in own.items():
        if task != task_of(path):
            with pytest.raises(ConfigRefused, match="task"):
                read(path)


def test_the_networks_for_defocus_differ_in_nothing_but_their_inputs() -> None:
    configs = [read_focus_config(path) for path in FOLDER.glob("focus_*.toml")]
    assert {one.inputs for one in configs} == {
        ("image",),
        ("spectrum",),
        ("image", "spectrum"),
    }
    same = [one.model_dump(exclude={"name", "inputs", "budgets_ms"}) for one in configs]
    assert all(one == same[0] for one in same)


def test_the_default_recipe_is_the_papers() -> None:
    recipe = ClassifyRecipe()
    assert (recipe.epochs, recipe.batch, recipe.optimiser) == (20, 16, "sgd")
    assert (recipe.learning_rate, recipe.momentum, recipe.weight_decay) == (1e-3, 0.9, 1e-4)
    assert (recipe.schedule, recipe.variants) == ("constant", "all")
    for name in ("wetzer_resnet50_late", "wetzer_vgg16_bn_mid"):
        config = read_config(FOLDER / f"{name}.toml")
        assert config.recipe == recipe
        assert config.spec().intensity == "nearest"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("learning_rate", "learnig_rate", "did you mean 'learning_rate'"),
        ('kind = "late"', 'kind = "none"', "fusion 'none' has one stream, not 2"),
        ('kind = "late"', 'kind = "early"', "fusion 'early' has one stream, not 2"),
        ('kind = "late"', 'kind = "late"\nprior = [0.5, 0.6]', "add up to 1"),
        ('"texture"', '"texture+lbp1"', "texture"),
        ('"texture"', '"lbp4"', "lbp4"),
        ('"texture"', '"intensity"', "each input once"),
        ('reader = "uhcs"', 'reader = "steel"', "steel"),
        ('["compact"]', '["tiny"]', "tiny"),
        ("epochs = ", "epochs = -", "recipe.epochs"),
        ('version = "1.0.0"', 'version = "new"', "version"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = UHCS.read_text()
    assert old in text
    (tmp_path / "c.toml").write_text(text.replace(old, new))
    with pytest.raises(ConfigRefused, match=message) as caught:
        read_config(tmp_path / "c.toml")
    assert "c.toml" in str(caught.value)


def test_a_task_that_nobody_can_train_is_named_with_those_that_can(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('task = "paint"\n' + UHCS.read_text())
    order = Order(config=tmp_path / "c.toml", data=None, seed=0, out=tmp_path)
    with pytest.raises(ConfigRefused, match=r"c\.toml: unknown task.*paint.*classify"):
        make(order)


def test_the_task_of_a_configuration_chooses_who_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Order] = []
    monkeypatch.setitem(TASKS, "paint", lambda order, progress: asked.append(order))
    (tmp_path / "c.toml").write_text('task = "paint"\ncolour = "red"\n')
    order = Order(config=tmp_path / "c.toml", data=None, seed=3, out=tmp_path)
    make(order)
    assert asked == [order]
    # What says nothing is for classifying, as it always was.
    with pytest.raises(ConfigRefused, match="needs the folder of the images"):
        make(Order(config=UHCS, data=None, seed=0, out=tmp_path))


def test_training_and_validation_rows_of_the_section_share_none() -> None:
    data = read_config(FOLDER / "mussel_tissue.toml").data
    assert isinstance(data, SectionsData)
    assert data.section.train_rows[1] <= data.section.validation_rows[0]
    assert data.section.image != data.test_section.image
