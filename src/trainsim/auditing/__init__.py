"""A claim checked against disclosed figures and computed estimates."""
