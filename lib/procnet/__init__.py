"""procnet."""
