"""Recipes, one object a system: which data it is for, which layers, which settings, and what the file says of it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from ..data.names import DATASETS
from ..errors import DataError, Setting, UsageError, did_you_mean
from .architectures import ARCHITECTURES, choose

if TYPE_CHECKING:
    from .base import Choices, Plan, Recipe


DATA = "digits, fashion, shakespeare, a .txt file, or a folder with one folder of pictures per class"
"""What there are recipes for."""
OPTIONS = {
    "units": "is the size of a recurrent layer, which {architecture} has not; leave it out",
    "augment": "is for pictures, but DATA is {holds}; leave it out",
}
"""Settings that not every recipe and architecture takes, and what is said where one of them does not."""


def recipes() -> tuple[Recipe, ...]:
    """All recipes, in the order in which they are asked whether they match."""
    from .digits import Digits
    from .fashion import Fashion
    from .folder import Folder
    from .text import Text

    return Digits(), Fashion(), Folder(), Text()


def find(data: str) -> Recipe | None:
    """The recipe for DATA, if there is one."""
    return next((recipe for recipe in recipes() if recipe.matches(data)), None)


def plan(data: str, choices: Choices) -> Plan:
    """The training that the recipe for DATA makes of it and of what the user chose.

    Raises DataError for DATA that no recipe takes, TinynetError for an architecture that does not fit it, UsageError for other
    settings that do not.
    """
    recipe = find(data)
    if recipe is None:
        check_exists(data)
        raise DataError(f"{data} is a file, but text ends in .txt: rename it if it is text; DATA is {DATA}")
    choices = replace(choices, arch=choose(recipe.kind, choices.arch))
    _check_options(recipe, choices)
    made = recipe.plan(data, choices)
    made.model.metadata["task"] = recipe.task
    return made


def check_exists(data: str) -> None:
    """Raise DataError, naming the data set that may be meant, unless DATA is one or there is such a folder or file."""
    if data not in DATASETS and not os.path.exists(data):
        close = did_you_mean(data, DATASETS)
        raise DataError(f"{data or repr(data)} does not exist; {close}{' ' * bool(close)}DATA is {DATA}")


def _check_options(recipe: Recipe, choices: Choices) -> None:
    """Raise UsageError for a setting that neither the recipe nor the architecture takes."""
    architecture = ARCHITECTURES[choices.arch]
    for setting, refusal in OPTIONS.items():
        if getattr(choices, setting) is not None and setting not in recipe.options | architecture.options:
            said = refusal.format(architecture=architecture.title, holds=recipe.holds)
            raise UsageError(Setting(setting), f" {said}")
