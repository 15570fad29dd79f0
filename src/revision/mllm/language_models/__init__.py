"""Where the language model comes from: trained here, an installed package, or the hub."""
