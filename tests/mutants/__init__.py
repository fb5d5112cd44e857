"""Mutation tests: `make mutants` changes the rules line by line; a change that no test notices needs a test."""
