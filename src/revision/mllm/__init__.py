"""The multimodal LLM of ReVision (Section 5, Appendix H): projector, model and the two training stages."""
