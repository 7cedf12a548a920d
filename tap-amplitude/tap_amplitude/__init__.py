"""Singer tap for Amplitude raw events."""
