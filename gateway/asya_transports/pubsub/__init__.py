"""Queues in Google Cloud Pub/Sub: a topic and a subscription of the same name for each actor."""
