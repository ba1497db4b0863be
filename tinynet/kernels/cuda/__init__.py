"""The CUDA back end: kernels in `numba.cuda` for NVIDIA GPUs. Definitions: the reference."""
