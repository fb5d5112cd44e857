"""What no test notices: `make mutants` changes the rules line by line, and `tests/rules/` has to fail."""
