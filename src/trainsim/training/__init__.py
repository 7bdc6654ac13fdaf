"""HOW it runs: efficiency, layout, phases, reliability."""
