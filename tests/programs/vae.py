"""A variational autoencoder (Kingma and Welling, 2014): reparametrised samples, and the bound in two spellings."""

import torch
from torch import nn, optim
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self, pixels=25, hidden=20, latent=3):
        super().__init__()
        self.fc1 = nn.Linear(pixels, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, pixels)
        self.pixels = pixels

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, self.pixels))
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, recon_x.size(1)), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def bound_with_distributions(model, x):
    mu, logvar = model.encode(x.view(-1, model.pixels))
    posterior = Normal(mu, (0.5 * logvar).exp())
    prior = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = posterior.rsample()
    logits = model.fc4(F.relu(model.fc3(z)))
    likelihood = torch.distributions.Bernoulli(logits=logits).log_prob(x.view(-1, model.pixels)).sum(-1)
    return -(likelihood - kl_divergence(posterior, prior).sum(-1)).mean()


def main(device="cpu", steps=8):
    torch.manual_seed(1)
    device = torch.device(device)
    model = VAE().to(device)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    images = (torch.rand(24, 1, 5, 5) > 0.6).to(device, torch.get_default_dtype())
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(images)
        loss = loss_function(recon_batch, images, mu, logvar)
        loss.backward()
        optimizer.step()
        losses.append(loss.item() / len(images))

        optimizer.zero_grad()
        loss = bound_with_distributions(model, images)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        sample = model.decode(torch.randn(4, 3).to(device)).cpu()
    return losses + sample.view(4, 1, 5, 5).mean(dim=(1, 2, 3)).tolist()


if __name__ == "__main__":
    print(main())
