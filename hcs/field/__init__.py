"""What a worker does to one field: whole, or in blocks where it does not fit into memory."""
