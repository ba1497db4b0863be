"""Tasks, what trained networks are for: one file per task, named after the `task` in a model's file, with its class as `TASK`.

A task has one network, or several that vote, and three main methods: `answer` turns one input, such as a picture file, into
answers, `predict` a table into one for each row; `evaluate` turns data, as `read` returns it, into measures; `show` turns either into
lines of text.
"""

from __future__ import annotations

from importlib import import_module
from typing import TypeVar

from ..network import Network
from .base import PICTURES, TASKS, Task, check_task, name_of

__all__ = ["TASKS", "Task", "expect", "of"]

Kind = TypeVar("Kind", bound=Task)


def of(*models: Network) -> Task:
    """The task of a model, or of several that vote; a model that does not say is taken to name classes."""
    name = name_of(models[0]) or PICTURES
    return import_module(f".{name}", __name__).TASK(*models)


def expect(kind: type[Kind], *models: Network) -> Kind:
    """The task of this kind with these models; raises TinynetError for a model for another task, with the verb that fits."""
    for model in models:
        check_task(model, kind.name)
    return kind(*models)
