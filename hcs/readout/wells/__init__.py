"""From nuclei to wells: a row a well, which nuclei count, and which wells are doubted."""
