"""Shipped models: `NAME.npz`, and `NAME.md`, a card that says what it is and how to make it again."""

NAMES = (
    "digits",
    "digits-gru",
    "digits-lstm",
    "digits-nano",
    "digits-rnn",
    "fashion",
    "moving-digits",
    "scenes",
    "sentiment",
    "shakespeare",
    "shakespeare-gru",
    "shakespeare-rnn",
    "spoken-digits",
    "temperature",
)
