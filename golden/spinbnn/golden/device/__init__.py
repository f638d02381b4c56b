"""The memory devices: their physics, their published numbers, and the operating points that follow."""
