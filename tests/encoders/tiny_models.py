"""Tiny models of the real classes with random weights, saved in the formats of their libraries."""

import json

import torch
import transformers as hf
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ["a", "red", "blue", "green", "circle", "square", "big", "small", "on", "the", "left"]
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]
SIDE, DIM = 32, 16
TEXT = {
    "vocab_size": len(SPECIAL) + len(WORDS), "hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 20,
}  # fmt: skip
VISION = {
    "hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": SIDE,
    "patch_size": 8,
}  # fmt: skip
IDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
VISION_CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel


class TinyConfig(PretrainedConfig):
    model_type = "tiny_llm2clip"


class TinyVision(PreTrainedModel):
    config_class = TinyConfig
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        self.visual = torch.nn.Linear(3, 16)
        self.adapter = torch.nn.Linear(32, 16)
        self.post_init()

    def get_image_features(self, pixel_values):
        return self.visual(pixel_values.mean((2, 3)))

    def get_text_features(self, rows):
        return self.adapter(rows)
"""


def tokenizer(names=("input_ids", "attention_mask"), limit=20):
    backend = Tokenizer(models.WordLevel({word: n for n, word in enumerate(SPECIAL + WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)])
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        model_max_length=limit, model_input_names=list(names),
    )  # fmt: skip


def _square(kind):
    return kind(size={"height": SIDE, "width": SIDE})


def clip():
    config = hf.CLIPConfig(text_config=TEXT | IDS, vision_config=VISION, projection_dim=DIM)
    image = hf.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    return hf.CLIPModel(config), hf.CLIPProcessor(image_processor=image, tokenizer=tokenizer())


def siglip():
    config = hf.SiglipConfig(text_config=TEXT | IDS | {"projection_size": 32}, vision_config=VISION)
    image = _square(hf.SiglipImageProcessor)
    return hf.SiglipModel(config), hf.SiglipProcessor(image_processor=image, tokenizer=tokenizer(("input_ids",)))


def siglip2():
    vision = {key: value for key, value in VISION.items() if key != "image_size"} | {
        "num_patches": 16,
        "patch_size": 16,
    }
    config = hf.Siglip2Config(text_config=TEXT | IDS | {"projection_size": 32}, vision_config=vision)
    image = hf.Siglip2ImageProcessor(patch_size=16, max_num_patches=16)
    return hf.Siglip2Model(config), hf.Siglip2Processor(image_processor=image, tokenizer=tokenizer(("input_ids",)))


def align():
    vision = {
        "image_size": SIDE, "kernel_sizes": [3, 3], "in_channels": [32, 16], "out_channels": [16, DIM],
        "strides": [1, 2], "num_block_repeats": [1, 1], "expand_ratios": [1, 2], "depthwise_padding": [],
        "hidden_dim": DIM,
        "width_coefficient": 1.0, "depth_coefficient": 1.0,
    }  # fmt: skip
    text = TEXT | {"max_position_embeddings": 80, "type_vocab_size": 2}
    config = hf.AlignConfig(text_config=text, vision_config=vision, projection_dim=DIM)
    image = _square(hf.EfficientNetImageProcessor)
    return hf.AlignModel(config), hf.AlignProcessor(image_processor=image, tokenizer=tokenizer(limit=80))


def blip():
    text = TEXT | IDS | {"encoder_hidden_size": 32}
    config = hf.BlipConfig(text_config=text, vision_config=VISION, image_text_hidden_size=DIM, projection_dim=DIM)
    processor = hf.BlipProcessor(image_processor=_square(hf.BlipImageProcessor), tokenizer=tokenizer())
    return hf.BlipForImageTextRetrieval(config), processor


def clap():
    audio = {
        "num_mel_bins": 16, "window_size": 4, "spec_size": 64, "patch_size": 2, "patch_stride": [2, 2],
        "patch_embeds_hidden_size": 16, "hidden_size": 32, "depths": [2, 2], "num_attention_heads": [2, 2],
        "num_hidden_layers": 2, "aff_block_r": 1, "enable_fusion": False,
    }  # fmt: skip
    text = TEXT | IDS | {"max_position_embeddings": 30, "type_vocab_size": 1}
    config = hf.ClapConfig(text_config=text, audio_config=audio, projection_dim=DIM)
    extractor = hf.ClapFeatureExtractor(
        feature_size=16, sampling_rate=8000, hop_length=160, max_length_s=2, fft_window_size=256,
        frequency_min=50, frequency_max=3500, truncation="rand_trunc", padding="repeatpad",
    )  # fmt: skip
    return hf.ClapModel(config), hf.ClapProcessor(feature_extractor=extractor, tokenizer=tokenizer())


MAKERS = {"clip": clip, "siglip": siglip, "siglip2": siglip2, "align": align, "blip": blip, "clap": clap}


def save_hugging_face(kind, folder):
    torch.manual_seed(0)
    model, processor = MAKERS[kind]()
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)


def save_open_clip(open_clip, folder):
    torch.manual_seed(0)
    shape = {
        "embed_dim": DIM,
        "vision_cfg": {"image_size": SIDE, "layers": 1, "width": 64, "head_width": 32, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    folder.mkdir(parents=True)
    save_file(open_clip.CLIP(**shape).state_dict(), folder / "open_clip_model.safetensors")
    pixels = {"mean": [0.5, 0.4, 0.3], "std": [0.3, 0.2, 0.1]}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": shape, "preprocess_cfg": pixels}))


def save_llm2clip(vision, text):
    torch.manual_seed(0)
    vision.mkdir(parents=True)
    (vision / "modeling_tiny.py").write_text(VISION_CODE)
    code = {"AutoConfig": "modeling_tiny.TinyConfig", "AutoModel": "modeling_tiny.TinyVision"}
    (vision / "config.json").write_text(json.dumps({"model_type": "tiny_llm2clip", "auto_map": code}))
    parts = {"visual": torch.nn.Linear(3, DIM), "adapter": torch.nn.Linear(32, DIM)}
    weights = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
    save_file(weights, vision / "model.safetensors", metadata={"format": "pt"})
    hf.LlamaModel(hf.LlamaConfig(**TEXT, **IDS)).save_pretrained(text)
    tokenizer().save_pretrained(text)
