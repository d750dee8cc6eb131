"""From downloaded archives to lists, small files and shards."""
