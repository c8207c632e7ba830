"""Labels and image → one row of shape, intensity, DNA content and sensor ratio per nucleus. Pure arrays."""
