"""Models: parts yield ops, a model compiles them once into an op table, and every count is one array expression over that table."""
