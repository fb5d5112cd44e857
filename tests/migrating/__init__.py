"""Pages for people who come from other SDKs."""
