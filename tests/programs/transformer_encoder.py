"""Classifying padded token sequences with nn.TransformerEncoder: positions, padding mask, AdamW, warm-up."""

import math

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader


class PositionalEncoding(nn.Module):
    def __init__(self, d_model: int, dropout: float = 0.1, max_len: int = 32):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(1, max_len, d_model)
        pe[0, :, 0::2] = torch.sin(position * div_term)
        pe[0, :, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        x = x + self.pe[:, : x.size(1)]
        return self.dropout(x)


class Classifier(nn.Module):
    def __init__(self, vocabulary, d_model=16, nhead=4, layers=2, classes=3, pad=0):
        super().__init__()
        self.pad, self.d_model = pad, d_model
        self.embedding = nn.Embedding(vocabulary, d_model, padding_idx=pad)
        self.positions = PositionalEncoding(d_model)
        layer = nn.TransformerEncoderLayer(
            d_model, nhead, dim_feedforward=32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(d_model), enable_nested_tensor=False)
        self.cls = nn.Parameter(torch.randn(1, 1, d_model) * 0.02)
        self.head = nn.Linear(d_model, classes)
        for p in self.encoder.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    def forward(self, tokens):
        x = self.positions(self.embedding(tokens) * math.sqrt(self.d_model))
        x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), dim=1)
        mask = nn.functional.pad(tokens == self.pad, (1, 0), value=False)
        x = self.encoder(x, src_key_padding_mask=mask)
        return self.head(x[:, 0])


def collate(batch):
    sequences, labels = zip(*batch)
    return pad_sequence(sequences, batch_first=True, padding_value=0), torch.stack(labels)


def make_data(count, vocabulary, classes):
    data = []
    for _ in range(count):
        length = int(torch.randint(3, 9, ()))
        tokens = torch.randint(1, vocabulary, (length,))
        data.append((tokens, tokens.sum() % classes))
    return data


def main(device="cpu", epochs=3):
    torch.manual_seed(0)
    device = torch.device(device)
    loader = DataLoader(make_data(48, 12, 3), batch_size=12, shuffle=True, collate_fn=collate)
    model = Classifier(12).to(device)
    decay = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    rest = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    groups = [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.98), eps=1e-9)
    warmup = 4
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (warmup / (step + 1)) ** 0.5)
    )
    losses = []
    for _ in range(epochs):
        for tokens, labels in loader:
            tokens, labels = tokens.to(device), labels.to(device)
            loss = nn.functional.cross_entropy(model(tokens), labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        probabilities = model(tokens).softmax(dim=-1)
    return losses + probabilities.max(dim=-1).values.tolist()


if __name__ == "__main__":
    print(main())
