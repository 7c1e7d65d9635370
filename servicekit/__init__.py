"""What the three services share: application factory, errors, bodies, tokens, metrics, logs, HTTP client."""
