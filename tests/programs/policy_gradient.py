"""REINFORCE with a learned baseline (Williams, 1992) on a corridor whose right end pays."""

from collections import deque, namedtuple

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical

SavedAction = namedtuple("SavedAction", ["log_prob", "value"])


class Corridor:
    def __init__(self, length=5):
        self.length = length

    def reset(self):
        self.position = 1
        return self.observe()

    def observe(self):
        state = [0.0] * self.length
        state[self.position] = 1.0
        return state

    def step(self, action):
        self.position = max(0, self.position + (1 if action == 1 else -1))
        done = self.position == self.length - 1
        return self.observe(), 1.0 if done else -0.1, done


class Policy(nn.Module):
    def __init__(self, states, actions):
        super().__init__()
        self.affine1 = nn.Linear(states, 16)
        self.action_head = nn.Linear(16, actions)
        self.value_head = nn.Linear(16, 1)
        self.saved_actions, self.rewards, self.entropies = [], [], []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


def select_action(model, state, device):
    state = torch.tensor(state, device=device)
    probs, state_value = model(state)
    m = Categorical(probs)
    action = m.sample()
    model.saved_actions.append(SavedAction(m.log_prob(action), state_value))
    model.entropies.append(m.entropy())
    return action.item()


def finish_episode(model, optimizer, gamma=0.95):
    R, returns = 0, deque()
    for r in model.rewards[::-1]:
        R = r + gamma * R
        returns.appendleft(R)
    returns = torch.tensor(returns).to(model.affine1.weight.device)
    returns = (returns - returns.mean()) / (returns.std() + torch.finfo(torch.float32).eps)
    policy_losses, value_losses = [], []
    for (log_prob, value), R in zip(model.saved_actions, returns):
        advantage = R - value.item()
        policy_losses.append(-log_prob * advantage)
        value_losses.append(F.smooth_l1_loss(value, torch.unsqueeze(R, 0)))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum() - 0.01 * sum(model.entropies)
    loss.backward()
    optimizer.step()
    model.rewards.clear()
    model.saved_actions.clear()
    model.entropies.clear()
    return loss.item()


def main(device="cpu", episodes=10):
    torch.manual_seed(543)
    env, model = Corridor(), Policy(5, 2).to(device)
    optimizer = optim.Adam(model.parameters(), lr=3e-2)
    losses, lengths = [], []
    for _ in range(episodes):
        state = env.reset()
        for _ in range(20):
            action = select_action(model, state, device)
            state, reward, done = env.step(action)
            model.rewards.append(reward)
            if done:
                break
        lengths.append(len(model.rewards))
        losses.append(finish_episode(model, optimizer))
    return losses + lengths


if __name__ == "__main__":
    print(main())
