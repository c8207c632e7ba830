"""Folders as microscopes write them: one module a vendor, from names and metadata text to one table of planes.

No module here touches the disk: `folder.Folder` hands over names, bytes and texts of TIFF pages.
"""
