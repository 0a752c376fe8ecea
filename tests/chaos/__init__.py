"""Chaos: replicas are killed, OpenAI loses answers, and afterwards the database and OpenAI have to agree."""
