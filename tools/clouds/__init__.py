"""What runs on the three clouds and on this machine, as one table; the makefiles' scripts are beside it."""
