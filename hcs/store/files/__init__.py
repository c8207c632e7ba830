"""Image files of microscopes: TIFF and PNG, their names, and their way into a plate."""
