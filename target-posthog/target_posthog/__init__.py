"""Singer target for PostHog."""
