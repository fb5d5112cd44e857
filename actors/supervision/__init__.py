"""How the supervisor supervises: what it holds, how children start, the lives of lines, the end."""
