"""What the tests of both places share: a copy of the checkout, its commands, load, the exercise itself."""
