"""Text: characters and words as ids, and texts with labels."""

from .characters import decode, encode, read_text, streams, vocabulary_of, windows

__all__ = ["decode", "encode", "read_text", "streams", "vocabulary_of", "windows"]
