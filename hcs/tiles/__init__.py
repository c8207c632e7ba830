"""Field → tiles with halo → field again. Pure geometry."""
