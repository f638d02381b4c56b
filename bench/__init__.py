"""Benchmarks: each times its subject and a named baseline in the same run, and gives the ratio."""
