"""Files: atomic writes, manifests, and folders of the Hugging Face hub."""
