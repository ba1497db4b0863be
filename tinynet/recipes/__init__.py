"""Recipes, one object per system: which data it is for, which layers and settings, and what the model's file says."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..data.names import DATASETS
from ..errors import DataError, Setting, TinynetError, UsageError, did_you_mean
from .architectures import ARCHITECTURES, RULES, choose

if TYPE_CHECKING:
    from ..sequential import Sequential
    from .base import Choices, Plan, Recipe


DATA = (
    "digits, fashion, shakespeare, sentence-polarity, spoken-digits, temperature, moving-digits, scenes, a .txt file, a .csv or .tsv "
    "with the columns label and text, a .csv table with the column to predict, a .csv series of times and numbers, a folder with one "
    "folder of pictures, .wav files, or clips (GIFs or folders of frames) per class, or a folder of pictures with their captions in "
    "captions.tsv"
)
"""The data that there are recipes for, for messages."""
ONE_SAMPLE = re.compile(r".+\.(png|jpe?g|gif|webp|bmp|tiff?|heic|wav|mp3|mp4|mov)", re.IGNORECASE | re.DOTALL)
"""Usual names of a picture, a sound or a clip."""
TASKS = ("pictures", "characters", "rows", "text", "series", "sound", "video", "caption")
"""What networks are trained for: the names in `tasks.TASKS`, repeated here since importing that takes longer."""
OPTIONS = {
    "units": "is the size of a recurrent layer, which {architecture} does not have; leave it out",
    "width": "multiplies the sizes of layers, but those of {architecture} are fixed; leave it out",
    "depth": "is a number of blocks or layers, which {architecture} has not to choose; leave it out",
    "augment": "is for pictures, sounds and clips, but DATA is {holds}; leave it out",
    "target": "is a column of a table, but DATA is {holds}; leave it out",
    "target_type": "is for a column of a table, but DATA is {holds}; leave it out",
    "drop": "is for columns of a table, but DATA is {holds}; leave it out",
    "base": "is for pictures, sounds, clips and texts, but DATA is {holds}; leave it out",
}
"""Settings that not every recipe and architecture takes, and the message for one that does not."""


def recipes() -> tuple[Recipe, ...]:
    """All recipes; the first that matches is used."""
    from .captions import CaptionsRecipe
    from .digits import Digits
    from .fashion import Fashion
    from .folder import Folder
    from .rows import Rows
    from .sentences import Sentences
    from .series import SeriesRecipe
    from .sounds import Sounds
    from .text import Text
    from .video import Video

    return (
        Digits(),
        Fashion(),
        CaptionsRecipe(),
        Sounds(),
        Video(),
        Folder(),
        Text(),
        Sentences(),
        SeriesRecipe(),
        Rows(),
    )


def find(data: str, choices: Choices) -> Recipe | None:
    """The recipe for DATA and what the user chose, if there is one."""
    fitting = (recipe for recipe in recipes() if choices.task in ("auto", recipe.task))
    return next((recipe for recipe in fitting if recipe.matches(data, choices)), None)


def recipe_for(data: str, choices: Choices) -> Recipe:
    """The recipe for DATA and what the user chose; raises DataError for DATA that no recipe takes, UsageError for a wrong task."""
    if recipe := find(data, choices):
        return recipe
    check_exists(data)
    if other := find(data, replace(choices, task="auto")):
        raise UsageError(
            Setting("task"),
            f" {choices.task} does not fit {data}, which holds {other.holds}; leave it out",
        )
    if not os.path.isfile(data):
        raise DataError(
            f"{data} is a pipe or a device; save its content as a file, so that a training can read it again when it resumes"
        )
    if ONE_SAMPLE.fullmatch(data):
        raise DataError(
            f"{data} is one sample, and a network learns from many: give a folder that holds one folder of them per class"
        )
    raise DataError(
        f"{data} is a file, but text ends in .txt and a table in .csv or .tsv: rename it if it is one; DATA is {DATA}"
    )


def plan(data: str, choices: Choices) -> Plan:
    """The training that the recipe for DATA plans, with the user's choices.

    Raises DataError for DATA that no recipe takes, TinynetError for an architecture that does not fit it, UsageError for other
    settings that do not.
    """
    recipe = recipe_for(data, choices)
    arch = choose(recipe.kind, "auto" if choices.base else choices.arch)
    _check_options(recipe, replace(choices, arch=arch))
    choices = _begun(recipe, choices, arch)
    made = recipe.plan(data, choices)
    _check_readable(made.model)
    made.model.metadata["task"] = recipe.task
    if choices.begun:
        made.model.metadata["base"] = choices.begun.record()
        made.layers = choices.begun.lines(recipe.output)
    return made


def _check_readable(model: Sequential) -> None:
    """Raise TinynetError, before training rather than after it, for a network that would be too large to be used."""
    from ..sequential import check_readable

    try:
        check_readable(model)
    except TinynetError as error:
        raise TinynetError(
            f"this network would be too large to be read from its file: {error}; make it smaller"
        ) from None


def _begun(recipe: Recipe, choices: Choices, arch: str) -> Choices:
    """The choices with the base loaded, if there is one, whose architecture the network has; raises UsageError for another."""
    from .transfer import begin

    if choices.base is None:
        if choices.freeze is not None:
            raise UsageError(
                Setting("freeze"),
                " keeps layers of a trained model as they are; give it as ",
                Setting("base"),
            )
        return replace(choices, arch=arch)
    for setting in ("arch", "units", "width", "depth"):
        if getattr(choices, setting) not in ("auto", None):
            raise UsageError(Setting(setting), " is that of the ", Setting("base"), "; leave it out")
    base = begin(choices.base, choices.freeze, recipe.task, recipe.body)
    fitting = {
        name for each in recipes() if each.task == recipe.task for name in RULES[each.kind].architectures
    }
    return replace(choices, arch=base.architecture if base.architecture in fitting else arch, begun=base)


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
    if choices.units and choices.width:
        raise UsageError(
            Setting("width"), " multiplies what ", Setting("units"), " gives exactly; leave one out"
        )
