"""Nucleus table → wells, cell cycle, Z' of compounds and controls. Pure; readouts.make_readouts is the entry."""
