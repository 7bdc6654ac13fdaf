"""The price of an accelerator-hour: rent, ownership, quotes, energy. Knows no model."""
