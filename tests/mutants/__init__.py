"""Mutation tests: `make mutants` changes the rules line by line. Each change has to make a test fail."""
