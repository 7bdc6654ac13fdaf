"""WHERE it runs: chips, links, clusters."""
