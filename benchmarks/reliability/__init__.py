"""What becomes of a program when its venue goes away, drops it, falls silent, or its own handler raises."""
