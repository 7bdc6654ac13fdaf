"""Memory per accelerator: weights, optimizer states, activations, and their peak."""
