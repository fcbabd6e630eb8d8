"""How a network is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from runtime.config.strict import Strict

AtLeastOne = Annotated[int, Field(ge=1)]


class Recipe(Strict):
    """What the engine does, whatever the task. The default is the recipe of Wetzer et al.: from
    scratch, 20 epochs of SGD with momentum.

    `epoch_steps` ends an epoch after so many batches, `checkpoint_steps` keeps a checkpoint after
    so many steps beside that of every epoch: for data sets whose epochs last hours. Weight decay
    leaves biases and norms alone. "one-cycle" (Smith, Topin 2019, arXiv:1708.07120) warms up to
    `learning_rate` and cools down over the whole training. `clip_norm` limits the norm of the
    gradient. `ema` is the decay of a running average of the weights, which is then evaluated and
    exported in place of the weights themselves; 0 for none. `precision` "auto" is bf16 on GPUs that
    have it and fp32 on processors. `threads` bounds the processor cores used.
    """

    epochs: AtLeastOne = 20
    epoch_steps: AtLeastOne | None = None
    checkpoint_steps: AtLeastOne | None = None
    batch: Annotated[int, Field(ge=2)] = 16
    optimiser: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    schedule: Literal["constant", "one-cycle"] = "constant"
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: AtLeastOne = 2


class ClassifyRecipe(Recipe):
    """A recipe for networks that classify.

    `variants`: how many of the eight dihedral variants of a view an epoch shows, all or one drawn
    at random. `views` "held" draws cuts and exposures once and shows them in every epoch; "fresh"
    draws them anew from the raw tiles in every epoch, which costs the time of preparing them, and
    then `variants` is "one". `class_weights` makes classes count alike in the networks' loss; in a
    fusion's SVM they always do.
    """

    variants: Literal["all", "one"] = "all"
    views: Literal["held", "fresh"] = "held"
    class_weights: bool = True
