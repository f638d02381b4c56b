"""The testbench: Verilog around the machine, drivers and monitors in Python, and the scoreboard."""
