"""Readers of measured steps, one file format per module."""
