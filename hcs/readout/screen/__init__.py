"""The screen: assay quality, plate effects, doses, hits, and what tells compounds from controls."""
