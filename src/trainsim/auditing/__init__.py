"""Check claims against disclosed figures and computed estimates."""
