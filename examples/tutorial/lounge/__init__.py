"""The tutorial's program: a chat with login."""
