"""Sources of the language model: trained from scratch, an installed package, or the Hugging Face hub."""
