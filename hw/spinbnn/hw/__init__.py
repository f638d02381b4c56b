"""The accelerator, in Amaranth, and what is generated with it."""
