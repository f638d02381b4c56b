"""Running the accelerator: simulators, co-simulation, reports and the command line."""
