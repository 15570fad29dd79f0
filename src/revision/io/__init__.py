"""Files: atomic writes, checksums, manifests, and snapshots of models from the Hugging Face hub."""
