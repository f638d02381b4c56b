"""What is true: network arithmetic, the MRAM cells and the random stream, in NumPy."""
