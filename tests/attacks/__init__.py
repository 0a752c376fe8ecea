"""What people write to get at the bot, sent the whole way to OpenAI and judged there."""
