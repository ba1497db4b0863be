"""Sounds: .wav files as people have them, log-mel frames as networks read them, and random copies of those."""
