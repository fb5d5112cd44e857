"""The feeds of a runtime as they are wanted: one generation of specifications after the other."""
