"""Pictures: read from any file, prepared as a model takes them, changed at random while it learns.

A picture is a float32 array (height, width, channels) with values in 0…1: 1 channel is grey, 3 are red, green and
blue, 4 add opacity.
"""
