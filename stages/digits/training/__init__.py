"""How a member is trained, and how all are: on Dask, with a cache and progress."""
