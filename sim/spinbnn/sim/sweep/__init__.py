"""Sweeps: a study's measurements at many settings, over processes or a cluster, into one results file."""
