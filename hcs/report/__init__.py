"""Figures, one HTML page, and the summary on the console. Draws with matplotlib's objects, never with pyplot."""
