"""Series: numbers over time, read from a table, placed on a regular grid and cut into windows."""
