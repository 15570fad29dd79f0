"""The multimodal LLM of ReVision (section 5, appendix H): projector, model and the two training stages."""
