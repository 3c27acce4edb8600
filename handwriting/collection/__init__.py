"""How digits are collected: the form, its filled pages, contact sheets, corrections."""
