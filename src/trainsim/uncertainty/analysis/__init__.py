"""Conditioning, sensitivity, inversion and comparison of simulated answers."""
