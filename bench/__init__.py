"""Benchmarks, one file per question; each prints its table beside the peer's, measured in the same run.

python -m bench             all of them, and the table that README quotes
python -m bench.cnn         one of them
"""
