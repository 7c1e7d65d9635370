"""Tests of the chart, of cluster/ and of the check. They need no cluster."""
