"""cmpt756s2: the music service."""
