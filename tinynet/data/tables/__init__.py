"""Tables: comma-separated files as columns and rows, and rows as numbers that a network reads."""
