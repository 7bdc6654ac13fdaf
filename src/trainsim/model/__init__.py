"""WHAT is trained: parts yield ops, a model compiles them once, and every account is a fold over the op table."""
