"""Asks a running service over HTTP. Without actors and threads."""
