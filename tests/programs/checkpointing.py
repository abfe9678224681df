"""Training that can be interrupted: scheduler, clipping, checkpoints with everything, the best model, averaged weights."""

import copy
import os
import tempfile

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, ReduceLROnPlateau, SequentialLR


def make_model():
    return nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.LayerNorm(16), nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 2))


class Trainer:
    def __init__(self, device, total):
        self.device = torch.device(device)
        self.model = make_model().to(self.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-2, amsgrad=True)
        warmup = LinearLR(self.optimizer, start_factor=0.1, total_iters=3)
        cosine = CosineAnnealingLR(self.optimizer, T_max=total - 3, eta_min=1e-4)
        self.scheduler = SequentialLR(self.optimizer, [warmup, cosine], milestones=[3])
        self.losses, self.step_count = [], 0

    def step(self, x, y):
        self.model.train()
        loss = nn.functional.huber_loss(self.model(x), y, delta=0.5)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(self.model.parameters(), 0.5)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 0.3)
        self.optimizer.step()
        self.scheduler.step()
        with torch.no_grad():
            for averaged, p in zip(self.average.parameters(), self.model.parameters()):
                averaged.mul_(0.9).add_(p, alpha=0.1)
        self.step_count += 1
        self.losses += [loss.item(), norm.item(), self.optimizer.param_groups[0]["lr"]]

    def save(self, path):
        torch.save(
            {
                "step": self.step_count,
                "model_state_dict": self.model.state_dict(),
                "average": self.average.state_dict(),
                "optimizer_state_dict": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                "losses": self.losses,
                "rng_state": torch.get_rng_state(),
            },
            path,
        )

    def load(self, path):
        checkpoint = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(checkpoint["model_state_dict"])
        self.average.load_state_dict(checkpoint["average"])
        self.optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
        self.scheduler.load_state_dict(checkpoint["scheduler"])
        torch.set_rng_state(checkpoint["rng_state"].cpu())
        self.losses, self.step_count = checkpoint["losses"], checkpoint["step"]


def finetune(model, x, y, epochs=8):
    for p in model[0].parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.5)
    scheduler = ReduceLROnPlateau(optimizer, mode="min", factor=0.1, patience=0, threshold=0.05)
    best, best_loss, losses = None, float("inf"), []
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step(loss.item())
        if loss.item() < best_loss:
            best, best_loss = copy.deepcopy(model.state_dict()), loss.item()
        losses += [loss.item(), optimizer.param_groups[0]["lr"]]
    model.load_state_dict(best)
    return losses + [nn.MSELoss()(model(x), y).item()]


def main(device="cpu", steps=12):
    torch.manual_seed(0)
    x = torch.randn(32, 4).to(device)
    y = torch.stack((x[:, 0] * x[:, 1], x[:, 2:].abs().sum(dim=1)), dim=-1)
    trainer = Trainer(device, steps)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "checkpoint.pt")
        while trainer.step_count < steps // 2:
            trainer.step(x, y)
        trainer.save(path)
        for _ in range(2):
            trainer.step(x, y)  # These steps are lost in the crash.
        resumed = Trainer(device, steps)
        resumed.load(path)
    while resumed.step_count < steps:
        resumed.step(x, y)
    again = resumed.losses[3 * (steps // 2) : 3 * (steps // 2 + 2)]
    assert again == trainer.losses[3 * (steps // 2) :], "the resumed run repeats the steps that were lost"
    with torch.inference_mode():
        averaged = nn.functional.mse_loss(resumed.average(x), y).item()
    return resumed.losses + [averaged] + finetune(resumed.average.requires_grad_(True), x, y)


if __name__ == "__main__":
    print(main())
