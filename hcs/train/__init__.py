"""The model's life: from labelled images to weights."""
