"""Shipped models: `NAME.npz`, and `NAME.md`, a card that says what it is and how to make it again."""
