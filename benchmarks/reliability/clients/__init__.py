"""A program a library, written as its documentation shows; what it hears goes to stdout."""
