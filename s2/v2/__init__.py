"""Version 2 of the music service."""
