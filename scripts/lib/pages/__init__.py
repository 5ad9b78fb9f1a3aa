"""The pages in a real browser: what people do there, and what they see."""
