"""Destinations of deliveries, and what lags."""
