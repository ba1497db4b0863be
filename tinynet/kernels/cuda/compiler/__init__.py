"""How kernels of the GPU are written, compiled and launched: the import seam, the decorator, and what Numba's CUDA lacks."""
