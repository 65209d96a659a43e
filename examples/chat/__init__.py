"""A chat: rooms, names, presence, over WebSockets; in one process, or in several with Redis between them."""
