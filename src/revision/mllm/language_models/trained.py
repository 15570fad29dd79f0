"""A small LLM of the Llama architecture, to be trained from scratch on text about generated scenes."""

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from revision.config.language_models import LanguageModelSettings
from revision.mllm.prompts import question_prompt

SPECIAL = ("<unk>", "<bos>", "<eos>")


def word_tokenizer(vocabulary: list[str]) -> PreTrainedTokenizerFast:
    """Create a word-level tokenizer of `vocabulary` and the words of the prompt format."""
    words = sorted(set(vocabulary) | set(question_prompt("").split()))
    tokens = {token: index for index, token in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(WordLevel(tokens, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<bos>", eos_token="<eos>", pad_token="<eos>"
    )


def new_llm(settings: LanguageModelSettings, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """Create a Llama with random weights.

    Parameters
    ----------
    settings : LanguageModelSettings
        Hidden size, layers, heads and longest sequence.
    tokenizer : PreTrainedTokenizerFast
        Sets the vocabulary and the special tokens.
    seed : int
        Seed of the weights.

    Returns
    -------
    LlamaForCausalLM
    """
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=settings.hidden_size * 3,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=settings.max_positions,
        initializer_range=settings.hidden_size**-0.5,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)
