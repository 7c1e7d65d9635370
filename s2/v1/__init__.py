"""Version 1 of the music service."""
