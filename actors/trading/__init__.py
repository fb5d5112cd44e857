"""Requests to a venue over HTTP, and orders: what is kept on disk, what may leave, and what came of it."""
