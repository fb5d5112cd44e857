"""Supervised real-time connections for synchronous Python."""
