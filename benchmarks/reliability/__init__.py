"""A program whose venue stops, drops it or falls silent, or whose own handler raises."""
