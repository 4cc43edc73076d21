"""Telling other programs of a job's end, by Standard Webhooks: signed, and until they have heard it."""
