"""Damaged files for the reader of CSV files."""
