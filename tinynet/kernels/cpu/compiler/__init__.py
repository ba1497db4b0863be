"""How kernels are made, apart from what they compute.

jit.py: the decorator; launch.py: tasks on one thread or several; cache.py: compiled kernels on disk; environment.py: for which
processor; simd.py: the vector type; tile.py: the register tile.
"""
