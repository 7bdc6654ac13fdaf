"""WHAT is trained: parts yield ops, a model compiles them once into an op table, and every account is one expression over it."""
