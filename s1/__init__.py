"""cmpt756s1: the user service."""
