"""`/v1/batches`: files of requests that nobody waits for."""
