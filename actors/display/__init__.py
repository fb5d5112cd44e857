"""How people read values: words, HTML for notebooks, and rows for data frames."""
