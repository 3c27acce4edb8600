"""A pile of pages: read on all cores, kept page by page, summed up."""
