"""Plans in the words of training frameworks."""
