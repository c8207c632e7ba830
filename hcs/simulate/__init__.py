"""Synthetic plates with known truth: cells in a cycle, compounds with doses, optics, camera. Pure."""
