"""Recipes, one file a system: which data, which layers, which settings, and how it is used afterwards."""
