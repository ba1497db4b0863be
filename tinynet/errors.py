"""Errors that a user can mend. Each message is one sentence or two that say what to do next."""

from __future__ import annotations


class TinynetError(ValueError):
    """Something the user gave cannot be used; the message says what and what to do. The command line prints it."""


class ShapeError(TinynetError):
    """An array or a layer has a shape that does not fit; the message names the layer and both shapes."""


class ModelFileError(TinynetError):
    """A model file cannot be read; the message names the file and the entry that is wrong."""


class ImageError(TinynetError):
    """A picture cannot be read; the message names the file and the reason."""


class DataError(TinynetError):
    """Training or test data cannot be found or used."""
