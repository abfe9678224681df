"""A word-level LSTM language model (truncated back-propagation, tied weights, gradient clipping, learning-rate decay)."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT = """the cat sat on the mat and the dog sat on the log while the bird in the tree saw the cat see the dog and
the dog chased the cat up the tree where the bird had been but the bird was gone so the cat came down again""".split()


class Dictionary:
    def __init__(self):
        self.word2idx = {}
        self.idx2word = []

    def add_word(self, word):
        if word not in self.word2idx:
            self.idx2word.append(word)
            self.word2idx[word] = len(self.idx2word) - 1
        return self.word2idx[word]

    def __len__(self):
        return len(self.idx2word)


class RNNModel(nn.Module):
    def __init__(self, ntoken, ninp, nhid, nlayers, dropout=0.0, tie_weights=True):
        super().__init__()
        self.ntoken, self.nhid, self.nlayers = ntoken, nhid, nlayers
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, nhid, nlayers, dropout=0.0)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            self.decoder.weight = self.encoder.weight
        self.init_weights()

    def init_weights(self):
        initrange = 0.1
        nn.init.uniform_(self.encoder.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output)).view(-1, self.ntoken)
        return F.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        return (weight.new_zeros(self.nlayers, bsz, self.nhid), weight.new_zeros(self.nlayers, bsz, self.nhid))


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def get_batch(source, i, bptt):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


@torch.no_grad()
def generate(model, start, length):
    model.eval()
    hidden, word, words = model.init_hidden(1), start.reshape(1, 1), []
    for _ in range(length):
        output, hidden = model(word, hidden)
        word_weights = output.squeeze().div(0.8).exp()
        word.fill_(torch.multinomial(word_weights, 1)[0])
        words.append(word.item())
    return words


def main(device="cpu", epochs=2):
    torch.manual_seed(1111)
    dictionary = Dictionary()
    ids = torch.tensor([dictionary.add_word(word) for word in TEXT], dtype=torch.int64)
    train_data = batchify(ids, 2).to(device)
    model = RNNModel(len(dictionary), 12, 12, 2).to(device)
    criterion = nn.NLLLoss()
    lr, losses = 5.0, []
    for _ in range(epochs):
        model.train()
        hidden = model.init_hidden(2)
        for i in range(0, train_data.size(0) - 1, 5):
            data, targets = get_batch(train_data, i, 5)
            model.zero_grad()
            hidden = repackage_hidden(hidden)
            output, hidden = model(data, hidden)
            loss = criterion(output, targets)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            for p in model.parameters():
                p.data.add_(p.grad, alpha=-lr)
            losses += [loss.item(), norm.item()]
        lr /= 4.0
    losses.append(math.exp(losses[-2]))
    return losses + generate(model, train_data[0, 0], 6)


if __name__ == "__main__":
    print(main())
