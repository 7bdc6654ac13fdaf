"""Readers of measured steps: one file format a module."""
