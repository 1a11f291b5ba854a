"""Writes draw.safetensors: DRAW's bound by the paper's equations (Gregor et al., 2015), and its
gradient by every weight.

Every input and weight is a quarter of the tensor that stands for "input.CASE.NAME" (the rule of
models.py); images have 0.5 added. Cells are nn.LSTMCell. Computed and kept in float64. Entries are
described in tests/reference/README.md.

Usage: python draw.py OUTPUT.safetensors
Needs: torch, numpy and safetensors (requirements.txt beside this file).
"""

import sys

import torch
from safetensors.torch import save_file
from torch import distributions, nn

from models import generated

BATCH = 3
RECONSTRUCTION_WEIGHTS = torch.tensor([0.5, 1.0, -0.7], dtype=torch.float64)
LATENT_WEIGHTS = torch.tensor([1.0, -0.3, 0.8], dtype=torch.float64)
CASES = {
    "attention": {"channels": 1, "height": 5, "width": 7, "read": 2, "write": 3, "hidden": 4, "latent": 3, "steps": 3},
    "colour": {"channels": 3, "height": 6, "width": 4, "read": 3, "write": 2, "hidden": 5, "latent": 2, "steps": 2},
    "plain": {"channels": 1, "height": 4, "width": 3, "read": 0, "write": 0, "hidden": 4, "latent": 3, "steps": 3},
}


def quarter(case, name, shape):
    return torch.as_tensor(generated(f"input.{case}.{name}", shape)).double() / 4


def gaussians(mu, variance, extent):
    """F[i, a], a = 1 ... extent: eqs. 25 and 26."""
    a = torch.arange(1, extent + 1).double()
    f = torch.exp(-(a[None, None, :] - mu[:, :, None]) ** 2 / (2 * variance[:, None, None]))
    return f / f.sum(dim=2, keepdim=True)


def filters(numbers, n, height, width):
    """F_X, F_Y and gamma: eqs. 19 to 26, with A the width and B the height."""
    gx = (width + 1) / 2 * (numbers[:, 0] + 1)
    gy = (height + 1) / 2 * (numbers[:, 1] + 1)
    variance, gamma = numbers[:, 2].exp(), numbers[:, 4].exp()
    delta = (max(width, height) - 1) / (n - 1) * numbers[:, 3].exp()
    offsets = torch.arange(1, n + 1).double() - n / 2 - 0.5
    mu_x = gx[:, None] + offsets * delta[:, None]
    mu_y = gy[:, None] + offsets * delta[:, None]
    return gaussians(mu_x, variance, width), gaussians(mu_y, variance, height), gamma


class Draw(nn.Module):
    def __init__(self, case, sizes):
        super().__init__()
        self.sizes = sizes
        pixels = sizes["channels"] * sizes["height"] * sizes["width"]
        attention = sizes["read"] > 0
        read = 2 * (sizes["channels"] * sizes["read"] ** 2 if attention else pixels)
        written = 10 + sizes["channels"] * sizes["write"] ** 2 if attention else pixels
        self.encoder = nn.LSTMCell(read + sizes["hidden"], sizes["hidden"])
        self.decoder = nn.LSTMCell(sizes["latent"], sizes["hidden"])
        self.latent = nn.Linear(sizes["hidden"], 2 * sizes["latent"])
        self.output = nn.Linear(sizes["hidden"], written)
        self.first = nn.ParameterDict({"canvas": torch.zeros(pixels),
                                       "encoder": torch.zeros(sizes["hidden"]),
                                       "decoder": torch.zeros(sizes["hidden"])})
        self.double()
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(quarter(case, name, parameter.shape))

    def read(self, x, error, output):
        if self.sizes["read"] == 0:
            return torch.cat([x.flatten(1), error.flatten(1)], 1)
        fx, fy, gamma = filters(output[:, :5], self.sizes["read"], self.sizes["height"], self.sizes["width"])
        patches = [torch.einsum("n,nib,ncba,nja->ncij", gamma, fy, image, fx) for image in (x, error)]
        return torch.cat([patch.flatten(1) for patch in patches], 1)

    def write(self, output, shape):
        if self.sizes["write"] == 0:
            return output.view(shape)
        n = self.sizes["write"]
        fx, fy, gamma = filters(output[:, 5:10], n, self.sizes["height"], self.sizes["width"])
        patch = output[:, 10:].view(-1, self.sizes["channels"], n, n)
        return torch.einsum("n,nib,ncij,nja->ncba", 1 / gamma, fy, patch, fx)

    def forward(self, x, noise):
        batch = x.shape[0]
        h_enc = self.first["encoder"].expand(batch, -1)
        h_dec = self.first["decoder"].expand(batch, -1)
        c_enc, c_dec = torch.zeros_like(h_enc), torch.zeros_like(h_dec)
        canvas = self.first["canvas"].view(1, *x.shape[1:]).expand(x.shape)
        latent = 0
        for e in noise:
            r = self.read(x, x - torch.sigmoid(canvas), self.output(h_dec))
            h_enc, c_enc = self.encoder(torch.cat([r, h_dec], 1), (h_enc, c_enc))
            mu, log_sigma = self.latent(h_enc).chunk(2, 1)
            q = distributions.Normal(mu, log_sigma.exp())
            latent = latent + distributions.kl_divergence(q, distributions.Normal(0.0, 1.0)).sum(1)
            h_dec, c_dec = self.decoder(mu + log_sigma.exp() * e, (h_dec, c_dec))
            canvas = canvas + self.write(self.output(h_dec), x.shape)
        # Not a Bernoulli's log_prob where a pixel is a mean: both terms of the cross entropy.
        p = torch.sigmoid(canvas)
        reconstruction = -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)
        return reconstruction, latent


def main():
    entries = {}
    for case, sizes in CASES.items():
        draw = Draw(case, sizes)
        x = quarter(case, "images", [BATCH, sizes["channels"], sizes["height"], sizes["width"]]) + 0.5
        noise = quarter(case, "noise", [sizes["steps"], BATCH, sizes["latent"]])
        reconstruction, latent = draw(x, noise)
        ((reconstruction * RECONSTRUCTION_WEIGHTS).sum() + (latent * LATENT_WEIGHTS).sum()).backward()
        entries |= {f"{case}/reconstruction": reconstruction.detach(), f"{case}/latent": latent.detach()}
        entries |= {f"{case}/grad/{name}": p.grad.contiguous() for name, p in draw.named_parameters()}
    save_file(entries, sys.argv[1], metadata={"torch": torch.__version__})


main()
