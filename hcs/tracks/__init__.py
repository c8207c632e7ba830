"""Tracks: nuclei of a field linked over its frames, lineages, and how far each track can be trusted."""
