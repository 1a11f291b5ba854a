"""Writes translation.safetensors: what the models that translate compute, forward and backward, by plain PyTorch modules
and loops written from the papers: sutskever2014, and bahdanau2015 with the readout of eq. 4.

Every weight is a quarter of the tensor that stands for "input.MODEL.KEY" (the rule of models.py). Computed and kept in
float64. Entries are described in tests/reference/README.md.

Usage: python translation.py OUTPUT.safetensors
Needs: torch, numpy and safetensors (requirements.txt beside this file).
"""

import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models import generated

PAD, UNKNOWN, BEGIN, END = 0, 1, 2, 3
SOURCE_WORDS, TARGET_WORDS, EMBEDDING, HIDDEN, LAYERS = 11, 9, 6, 5, 2
SOURCE = [[4, 5, 6, 7, END], [8, END], [9, 10, 4, END]]
TARGET = [[4, 5, END], [6, 7, 8, 4, END], [5, END]]
SMOOTHING = 0.1


def fill(parameters, model):
    with torch.no_grad():
        for key, parameter in parameters.items():
            value = generated(f"input.{model}.{key}", parameter.shape)
            parameter.copy_(torch.as_tensor(value).double() / 4)


def padded(sentences):
    return nn.utils.rnn.pad_sequence([torch.tensor(s) for s in sentences], padding_value=PAD)


class Seq2seq(nn.Module):
    def __init__(self, reverse):
        super().__init__()
        self.reverse = reverse
        self.source = nn.Embedding(SOURCE_WORDS, EMBEDDING)
        self.encoder = nn.LSTM(EMBEDDING, HIDDEN, LAYERS)
        self.target = nn.Embedding(TARGET_WORDS, EMBEDDING)
        self.decoder = nn.LSTM(EMBEDDING, HIDDEN, LAYERS)
        self.output = nn.Linear(HIDDEN, TARGET_WORDS)

    def parts(self):
        return {"encoder.embedding": self.source, "encoder.rnn": self.encoder, "decoder.embedding": self.target,
                "decoder.rnn": self.decoder, "output": self.output}

    def forward(self, source, inputs):
        if self.reverse:
            source = [s[-2::-1] + s[-1:] for s in source]
        lengths = [len(s) for s in source]
        packed = pack_padded_sequence(self.source(padded(source)), lengths, enforce_sorted=False)
        _, state = self.encoder(packed)
        y, _ = self.decoder(self.target(inputs), state)
        return self.output(y), {}


class Attention(nn.Module):
    def __init__(self, tied):
        super().__init__()
        self.source = nn.Embedding(SOURCE_WORDS, EMBEDDING)
        self.encoder = nn.GRU(EMBEDDING, HIDDEN, bidirectional=True)
        self.target = nn.Embedding(TARGET_WORDS, EMBEDDING)
        self.start = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.query = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.value = nn.Linear(2 * HIDDEN, HIDDEN, bias=False)
        self.score = nn.Linear(HIDDEN, 1, bias=False)
        self.decoder = nn.GRU(EMBEDDING + 2 * HIDDEN, HIDDEN)
        self.maxout = nn.Linear(HIDDEN + EMBEDDING + 2 * HIDDEN, 2 * EMBEDDING, bias=False)
        self.output = nn.Linear(EMBEDDING, TARGET_WORDS)
        if tied:
            self.output.weight = self.target.weight

    def parts(self):
        return {"encoder.embedding": self.source, "encoder.rnn": self.encoder, "decoder.embedding": self.target,
                "decoder.start": self.start, "decoder.attention.query": self.query,
                "decoder.attention.value": self.value, "decoder.attention.score": self.score,
                "decoder.rnn": self.decoder, "output.maxout": self.maxout, "output": self.output}

    def forward(self, source, inputs):
        lengths = [len(s) for s in source]
        packed = pack_padded_sequence(self.source(padded(source)), lengths, enforce_sorted=False)
        y, last = self.encoder(packed)
        h, _ = pad_packed_sequence(y, batch_first=True)
        behind = torch.arange(h.shape[1])[None] >= torch.tensor(lengths)[:, None]
        s = torch.tanh(self.start(last[1]))
        logits, looks = [], []
        for t in range(len(inputs)):
            word = self.target(inputs[t])
            e = self.score(torch.tanh(self.query(s)[:, None] + self.value(h)))[..., 0]
            a = e.masked_fill(behind, -torch.inf).softmax(1)
            c = (a[..., None] * h).sum(1)
            s = self.decoder(torch.cat([word, c], 1)[None], s[None])[1][0]
            t_tilde = self.maxout(torch.cat([s, word, c], 1))
            logits.append(self.output(t_tilde.view(len(source), EMBEDDING, 2).amax(2)))
            looks.append(a)
        return torch.stack(logits), {"attention": torch.stack(looks, 1)}


def run(name, model):
    model.double()
    parameters = {f"{part}.{key}": parameter for part, module in model.parts().items()
                  for key, parameter in module.named_parameters()
                  if not (part == "output" and parameter is model.target.weight)}
    fill(parameters, name)
    targets = padded(TARGET)
    inputs = padded([[BEGIN] + s[:-1] for s in TARGET])
    logits, others = model(SOURCE, inputs)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PAD, label_smoothing=SMOOTHING)
    loss.backward()
    values = {"logits": logits, "loss": loss} | others
    values |= {f"grad/{key}": parameter.grad for key, parameter in parameters.items()}
    return {f"{name}/{key}": value.detach().contiguous() for key, value in values.items()}


def main():
    entries = run("seq2seq", Seq2seq(reverse=False))
    entries |= run("seq2seq_reversed", Seq2seq(reverse=True))
    entries |= run("seq2seq_attention", Attention(tied=False))
    entries |= run("seq2seq_attention_tied", Attention(tied=True))
    save_file(entries, sys.argv[1], metadata={"torch": torch.__version__})


main()
