"""The gap of an encoder measured as a whole, and the page and leaderboard that show it."""
