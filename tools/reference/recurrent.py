"""Writes recurrent.safetensors: what torch.nn's recurrent layers compute, forward and backward, and
the losses of a small language model trained by truncated backpropagation through time.

Every input and weight is a quarter of the tensor that stands for "input.CASE.NAME" (the rule of
models.py). Computed and kept in float64. Entries are described in tests/reference/README.md.

Usage: python recurrent.py OUTPUT.safetensors
Needs: torch, numpy and safetensors (requirements.txt beside this file).
"""

import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models import generated

STEPS, BATCH, INPUT, HIDDEN, LAYERS = 7, 4, 3, 5, 2
LENGTHS = [3, 7, 1, 6]
CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
VOCABULARY, CHUNK, UPDATES, CLIP, RATE = 11, 6, 10, 0.5, 0.7


def quarter(case, name, shape):
    return torch.as_tensor(generated(f"input.{case}.{name}", shape)).double() / 4


def fill(module, case):
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(quarter(case, name, parameter.shape))


def run_layers(case, cell, bidirectional, packed):
    layers = CELLS[cell](INPUT, HIDDEN, LAYERS, bidirectional=bidirectional).double()
    fill(layers, case)
    depth = LAYERS * (2 if bidirectional else 1)
    x = quarter(case, "x", [STEPS, BATCH, INPUT]).requires_grad_()
    h = quarter(case, "h", [depth, BATCH, HIDDEN]).requires_grad_()
    c = quarter(case, "c", [depth, BATCH, HIDDEN]).requires_grad_()
    data = pack_padded_sequence(x, LENGTHS, enforce_sorted=False) if packed else x
    y, last = layers(data, (h, c) if cell == "lstm" else h)
    if packed:
        y = pad_packed_sequence(y, total_length=STEPS)[0]
    values = {"y": y}
    values |= {"h_n": last[0], "c_n": last[1]} if cell == "lstm" else {"h_n": last}
    sum((value * quarter(case, f"d{name}", value.shape)).sum() for name, value in values.items()).backward()
    leaves = {"x": x, "h": h} | ({"c": c} if cell == "lstm" else {})
    leaves |= dict(layers.named_parameters())
    return values | {f"grad/{name}": leaf.grad for name, leaf in leaves.items()}


class LanguageModel(nn.Module):
    """The modules and names of PyTorch's example word_language_model."""

    def __init__(self, cell):
        super().__init__()
        self.encoder = nn.Embedding(VOCABULARY, INPUT)
        self.rnn = CELLS[cell](INPUT, HIDDEN, LAYERS)
        self.decoder = nn.Linear(HIDDEN, VOCABULARY)

    def forward(self, tokens, state):
        y, state = self.rnn(self.encoder(tokens), state)
        return self.decoder(y), state


def detached(state):
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


def train_language_model(cell):
    """Losses before each update. Token k of stream n is (k * k + n) mod VOCABULARY."""
    case = f"language_model_{cell}"
    model = LanguageModel(cell).double()
    fill(model, case)
    k = torch.arange(UPDATES * CHUNK + 1)
    text = (k[:, None] ** 2 + torch.arange(BATCH)[None, :]) % VOCABULARY
    state, losses = None, []
    for start in range(0, UPDATES * CHUNK, CHUNK):
        logits, state = model(text[start:start + CHUNK], state)
        state = detached(state)
        loss = F.cross_entropy(logits.flatten(0, 1), text[start + 1:start + CHUNK + 1].flatten())
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= RATE * parameter.grad
        losses.append(loss.detach())
    return torch.stack(losses)


def main():
    entries = {}
    for cell in CELLS:
        for form in ("plain", "bidirectional", "packed"):
            case = f"{cell}_{form}"
            values = run_layers(case, cell, form != "plain", form == "packed")
            entries |= {f"{case}/{name}": value.detach().contiguous() for name, value in values.items()}
        entries[f"language_model_{cell}/losses"] = train_language_model(cell)
    save_file(entries, sys.argv[1], metadata={"torch": torch.__version__})


main()
