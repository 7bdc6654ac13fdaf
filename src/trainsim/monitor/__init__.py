"""A run while it trains: its steps beside their prediction, and where it will end."""
