"""A Wasserstein GAN with gradient penalty (Gulrajani et al., 2017): a gradient of a gradient in every step."""

import torch
import torch.autograd as autograd
import torch.nn as nn


class Generator(nn.Module):
    def __init__(self, latent=6, width=8):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(latent, width, 2, 1, 0, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
            nn.ConvTranspose2d(width, 1, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z):
        return self.main(z[..., None, None])


class Critic(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, width, 4, 2, 1), nn.LeakyReLU(0.2)
        )
        self.norm = nn.LayerNorm([width, 2, 2])
        self.out = nn.Linear(width * 4, 1)

    def forward(self, x):
        return self.out(self.norm(self.features(x)).flatten(start_dim=1)).squeeze(-1)


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.1)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight.data, 1.0, 0.02)
        nn.init.constant_(m.bias.data, 0)


def gradient_penalty(critic, real, fake):
    alpha = torch.rand(real.size(0), 1, 1, 1, device=real.device)
    interpolates = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(interpolates)
    gradients = autograd.grad(
        outputs=scores,
        inputs=interpolates,
        grad_outputs=torch.ones(scores.size(), device=real.device),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


def main(device="cpu", steps=6, critic_steps=2, latent=6):
    torch.manual_seed(0)
    device = torch.device(device)
    netG, netD = Generator(latent).to(device), Critic().to(device)
    netG.apply(weights_init)
    netD.apply(weights_init)
    optimizerD = torch.optim.Adam(netD.parameters(), lr=5e-3, betas=(0.5, 0.9))
    optimizerG = torch.optim.RMSprop(netG.parameters(), lr=5e-3)
    real = torch.sign(torch.randn(12, 1, 4, 4)).to(device)
    losses = []
    for _ in range(steps):
        for p in netD.parameters():
            p.requires_grad = True
        for _ in range(critic_steps):
            netD.zero_grad()
            with torch.no_grad():
                fake = netG(torch.randn(real.shape[0], latent, device=device))
            wasserstein = netD(fake).mean() - netD(real).mean()
            penalty = gradient_penalty(netD, real.data, fake.data)
            (wasserstein + 10 * penalty).backward()
            optimizerD.step()
            losses += [wasserstein.item(), penalty.item()]
        for p in netD.parameters():
            p.requires_grad = False
        netG.zero_grad()
        loss = -netD(netG(torch.randn(real.shape[0], latent, device=device))).mean()
        loss.backward()
        optimizerG.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    print(main())
