"""Fuzzing: what takes bytes from outside, and what must hold whatever they are. `make fuzz`."""
