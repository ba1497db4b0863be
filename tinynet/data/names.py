"""What the data sets are called, apart from what reads them, so that a shell completes their names at once."""

DATASETS = ("digits", "fashion", "shakespeare", "sentence-polarity", "spoken-digits", "temperature")
ALIASES = {"mnist": "digits", "fashion-mnist": "fashion"}
"""Other names, and the data set that each stands for."""
