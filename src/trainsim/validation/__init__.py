"""Predictions checked against published runs, steps and rents."""
