"""Windows of conversation for WhatsApp bots on OpenAI's Conversations API."""
