"""CycleGAN as it is usually written: fp32 PyTorch, a pass of its own for every picture, one graph for all losses.

Networks and losses are those of `models.cyclegan`: the same parameters in the same order, the report's architecture.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.cyclegan.cycle_losses import Weights
from models.cyclegan.replay import Replay


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU(True),
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def generator(width: int, blocks: int) -> nn.Sequential:
    w = width
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), nn.InstanceNorm2d(w), nn.ReLU(True),
        nn.Conv2d(w, 2 * w, 3, 2, 1), nn.InstanceNorm2d(2 * w), nn.ReLU(True),
        nn.Conv2d(2 * w, 4 * w, 3, 2, 1), nn.InstanceNorm2d(4 * w), nn.ReLU(True),
        *(Block(4 * w) for _ in range(blocks)),
        nn.ConvTranspose2d(4 * w, 2 * w, 3, 2, 1, 1), nn.InstanceNorm2d(2 * w), nn.ReLU(True),
        nn.ConvTranspose2d(2 * w, w, 3, 2, 1, 1), nn.InstanceNorm2d(w), nn.ReLU(True),
        nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh(),
    )  # fmt: skip


def discriminator(width: int) -> nn.Sequential:
    widths = [3, width, 2 * width, 4 * width, 8 * width]
    rows: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        norm = [nn.InstanceNorm2d(after)] if before != 3 else []
        rows += [nn.Conv2d(before, after, 4, 2, 1), *norm, nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*rows, nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(8 * width, 1, 4, padding=1))


class Plain:
    """Four networks, two optimisers, two history buffers."""

    def __init__(
        self, width: int, blocks: int, weights: Weights, lr: float, replay: int, seed: int, device: str = "cpu"
    ) -> None:
        self.a2b, self.b2a = generator(width, blocks), generator(width, blocks)
        self.disc_a, self.disc_b = discriminator(width), discriminator(width)
        for net in self.nets().values():
            net.to(device)
        self.weights = weights
        self.opt_g = self._adam(lr, self.a2b, self.b2a)
        self.opt_d = self._adam(lr, self.disc_a, self.disc_b)
        self.replay_a, self.replay_b = Replay(replay, seed), Replay(replay, seed + 1)

    @staticmethod
    def _adam(lr: float, *nets: nn.Module) -> torch.optim.Adam:
        return torch.optim.Adam(itertools.chain(*(net.parameters() for net in nets)), lr=lr, betas=(0.5, 0.999))

    def nets(self) -> dict[str, nn.Module]:
        return {"a2b": self.a2b, "b2a": self.b2a, "disc_a": self.disc_a, "disc_b": self.disc_b}

    def load(self, nets: dict[str, nn.Module]) -> None:
        """Start from the weights of other networks of the same architecture."""
        for name, net in self.nets().items():
            for mine, theirs in zip(net.parameters(), nets[name].parameters(), strict=True):
                mine.data.copy_(theirs.data)

    def step(self, a: Tensor, b: Tensor) -> dict[str, float]:
        self._freeze_critics(True)
        self.opt_g.zero_grad()
        total, fake_a, fake_b = self.generators(a, b)
        total.backward()  # type: ignore[no-untyped-call]
        self.opt_g.step()
        self._freeze_critics(False)
        self.opt_d.zero_grad()
        disc_a = self.critic(self.disc_a, a, self.replay_a(fake_a))
        disc_b = self.critic(self.disc_b, b, self.replay_b(fake_b))
        self.opt_d.step()
        return {"generators": float(total.detach()), "disc_a": disc_a, "disc_b": disc_b}

    def generators(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fake_b = self.a2b(a)
        back_a = self.b2a(fake_b)
        fake_a = self.b2a(b)
        back_b = self.a2b(fake_a)
        same_a, same_b = self.b2a(a), self.a2b(b)
        logits_b, logits_a = self.disc_b(fake_b), self.disc_a(fake_a)
        total = (
            functional.mse_loss(logits_b, torch.ones_like(logits_b))
            + functional.mse_loss(logits_a, torch.ones_like(logits_a))
            + self.weights.cycle * (functional.l1_loss(back_a, a) + functional.l1_loss(back_b, b))
            + self.weights.identity * (functional.l1_loss(same_a, a) + functional.l1_loss(same_b, b))
        )
        return total, fake_a, fake_b

    def critic(self, disc: nn.Module, real: Tensor, fake: Tensor) -> float:
        of_real, of_fake = disc(real), disc(fake.detach())
        total = functional.mse_loss(of_real, torch.ones_like(of_real))
        total = total + functional.mse_loss(of_fake, torch.zeros_like(of_fake))
        (0.5 * total).backward()  # type: ignore[no-untyped-call]
        return float(0.5 * total.detach())

    def _freeze_critics(self, frozen: bool) -> None:
        for net in (self.disc_a, self.disc_b):
            net.requires_grad_(not frozen)
