"""How one network is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from runtime.config.strict import Strict


class Recipe(Strict):
    """The default is the recipe of Wetzer et al.: from scratch, 20 epochs of SGD with momentum.

    `variants`: how many of the eight dihedral variants of a view an epoch shows, all or one drawn
    at random. "one-cycle" (Smith, Topin 2019, arXiv:1708.07120) warms up to `learning_rate` and
    cools down over the whole training. `precision` "auto" is bf16 on processors with tile matrix
    units and on GPUs, fp32 elsewhere. `class_weights` makes classes count alike in the networks'
    loss; in a fusion's SVM they always do. `threads` bounds the processor cores used.
    """

    epochs: Annotated[int, Field(ge=1)] = 20
    batch: Annotated[int, Field(ge=2)] = 16
    optimiser: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    schedule: Literal["constant", "one-cycle"] = "constant"
    variants: Literal["all", "one"] = "all"
    class_weights: bool = True
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: Annotated[int, Field(ge=1)] = 2
