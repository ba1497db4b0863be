"""Names of the data sets, apart from the code that reads them, so that shell completion is fast."""

DATASETS = (
    "digits",
    "fashion",
    "shakespeare",
    "sentence-polarity",
    "spoken-digits",
    "temperature",
    "moving-digits",
    "scenes",
)
ALIASES = {"mnist": "digits", "fashion-mnist": "fashion"}
"""Other names, and the data set that each stands for."""
