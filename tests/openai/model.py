"""A small language model with random weights, for a server that speaks OpenAI's protocol.

Takes the GGUF file to write. Its tokens are bytes, its words mean nothing, and the same seed
gives the same file.
"""

import sys

import gguf
import numpy as np

WIDTH, HEADS, LAYERS, HIDDEN, CONTEXT = 64, 4, 2, 128, 2048
TEMPLATE = ("{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}"
            "{% if add_generation_prompt %}<assistant>{% endif %}")


def main(path):
    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(HIDDEN)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    kinds = gguf.TokenType
    words = [chr(letter) for letter in range(32, 127)]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + words
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL] + [kinds.BYTE] * 256 + [kinds.NORMAL] * len(words)
    out.add_tokenizer_model("llama")
    out.add_token_list(tokens)
    out.add_token_scores([0.0] * 259 + [-float(place) for place in range(len(words))])
    out.add_token_types(types)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    out.add_chat_template(TEMPLATE)

    random = np.random.default_rng(7)

    def put(name, *shape):
        out.add_tensor(name, random.normal(0, 0.3, shape).astype(np.float32))

    put("token_embd.weight", len(tokens), WIDTH)
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            put(f"blk.{layer}.{name}.weight", WIDTH, WIDTH)
        put(f"blk.{layer}.ffn_gate.weight", HIDDEN, WIDTH)
        put(f"blk.{layer}.ffn_up.weight", HIDDEN, WIDTH)
        put(f"blk.{layer}.ffn_down.weight", WIDTH, HIDDEN)
        for name in ("attn_norm", "ffn_norm"):
            out.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32))
    out.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    # Only printable ASCII is said: what streams is text that anybody can read.
    head = random.normal(0, 0.3, (len(tokens), WIDTH)).astype(np.float32)
    head[:len(tokens) - len(words)] = 0
    out.add_tensor("output.weight", head)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main(sys.argv[1])
