"""Sequences and tokens: recurrent layers, attention, embeddings."""

import torch
from torch import nn
from torch.nn import functional

from tests.zoo._case import N_TOKENS, case

# Recurrent layers -------------------------------------------------------------------------


class LastStep(nn.Module):
    def __init__(self, layer, n_outputs):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(n_outputs, 2)

    def forward(self, x):
        outputs, _ = self.layer(x)
        return self.head(outputs[:, -1])


@case("sequences", exact=False, refuses=["SynFlow"])
def rnn():
    return LastStep(nn.RNN(4, 6, batch_first=True), 6)


@case("sequences", exact=False, refuses=["SynFlow"])
def gru():
    return LastStep(nn.GRU(4, 5, batch_first=True), 5)


@case("sequences", exact=False, refuses=["SynFlow"])
def lstm():
    return LastStep(nn.LSTM(4, 5, batch_first=True), 5)


@case("sequences", exact=False, refuses=["SynFlow"])
def bidirectional_lstm():
    return LastStep(nn.LSTM(4, 4, batch_first=True, bidirectional=True), 8)


@case("sequences", exact=False, refuses=["onnx", "SynFlow"])
def projected_lstm():
    return LastStep(nn.LSTM(4, 5, batch_first=True, proj_size=3), 3)


@case("sequences", exact=False, random=True, refuses=["SynFlow"])
def stacked_gru():
    return LastStep(nn.GRU(4, 4, num_layers=2, dropout=0.2, batch_first=True), 4)


@case("sequences", exact=False, refuses=["SynFlow"])
class TimeFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.GRU(4, 5), nn.Linear(5, 2)

    def forward(self, x):
        _, last = self.layer(x.transpose(0, 1))
        return self.head(last[0])


@case("sequences", exact=False, refuses=["SynFlow"])
class InitialStates(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x):
        h0, c0 = torch.zeros(1, x.size(0), 5), torch.zeros(1, x.size(0), 5)
        outputs, _ = self.lstm(x, (h0, c0))
        return self.head(outputs[:, -1, :])


class LoopOverCells(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell, self.head = cell, nn.Linear(5, 2)

    def forward(self, x):
        state = None
        for step in x.unbind(dim=1):
            state = self.cell(step, state)
        return self.head(state[0] if isinstance(state, tuple) else state)


@case("sequences", exact=False, refuses=["compact", "onnx", "SynFlow"])
def rnn_cell():
    return LoopOverCells(nn.RNNCell(4, 5))


@case("sequences", exact=False, refuses=["compact", "onnx", "SynFlow"])
def gru_cell():
    return LoopOverCells(nn.GRUCell(4, 5))


@case("sequences", exact=False, refuses=["compact", "onnx", "SynFlow"])
def lstm_cell():
    return LoopOverCells(nn.LSTMCell(4, 5))


@case("sequences", refuses=["compact", "onnx"])
class ElmanByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.read, self.remember, self.head = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x):
        h = torch.zeros(len(x), 5, dtype=x.dtype)
        for t in range(5):
            h = torch.tanh(self.read(x[:, t]) + self.remember(h))
        return self.head(h)


# Attention --------------------------------------------------------------------------------


@case("sequences", exact=False, refuses=["SynFlow"])
class MultiheadAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        mixed, _ = self.attention(x, x, x)
        return self.head(mixed.mean(dim=1))


@case("sequences", exact=False, refuses=["SynFlow"])
class CrossAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 1, kdim=2, vdim=2, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        keys = x[:, 1:, 2:]
        mixed, _ = self.attention(x[:, :1], keys, keys, need_weights=False)
        return self.head(mixed[:, 0])


def encoder_layer(**settings):
    return nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True, **settings)


class MeanOfSteps(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.layer(x).mean(dim=1))


@case("sequences", exact=False, refuses=["SynFlow"])
def transformer_layer():
    return MeanOfSteps(encoder_layer())


@case("sequences", exact=False, refuses=["SynFlow"])
def transformer_encoder():
    return MeanOfSteps(nn.TransformerEncoder(encoder_layer(), 2, enable_nested_tensor=False))


@case("sequences", exact=False, refuses=["SynFlow"])
def transformer_of_normalized_inputs():
    layer = encoder_layer(norm_first=True, activation="gelu")
    return MeanOfSteps(nn.TransformerEncoder(layer, 1, nn.LayerNorm(4), enable_nested_tensor=False))


@case("sequences", exact=False, refuses=["SynFlow"])
class EncoderAndDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = {"num_encoder_layers": 1, "num_decoder_layers": 1, "dim_feedforward": 8}
        self.layer = nn.Transformer(4, 2, dropout=0.0, batch_first=True, **sizes)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.layer(x[:, :3], x[:, 3:])[:, -1])


@case("sequences", exact=False, refuses=["onnx", "SynFlow"])
class CausalAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.head = nn.Linear(4, 12), nn.Linear(4, 2)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.head(functional.scaled_dot_product_attention(q, k, v, is_causal=True)[:, -1])


@case("sequences", exact=False, constants=True, refuses=["SynFlow"])
class AttentionByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(4, 4)
        self.position = nn.Parameter(torch.randn(1, 5, 4) / 10)
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x + self.position], dim=1)
        weights = (self.q(x) @ self.k(x).transpose(-2, -1) / 3**0.5).softmax(dim=-1)
        return self.head((weights @ self.v(x))[:, 0])


@case("sequences", exact=False, refuses=["SynFlow"])
class AttentionPooling(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.head = nn.Linear(4, 1), nn.Linear(4, 2)

    def forward(self, x):
        return self.head((torch.softmax(self.score(x), dim=1) * x).sum(dim=1))


@case("vectors", exact=False, constants=True, refuses=["SynFlow"])
class TokensOfFeatures(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.zeros(6, 4))
        self.layer, self.head = encoder_layer(), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.layer(x[..., None] * self.weight + self.bias).mean(dim=1))


# Other layers over steps ------------------------------------------------------------------


@case("sequences")
def every_step_alone():
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(25, 2))


@case("sequences")
class NormalizedSteps(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm, self.head = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2)

    def forward(self, x):
        x = self.norm(self.layer(x).transpose(1, 2)).relu()
        return self.head(x.amax(dim=-1))


@case("sequences", exact=False)
class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.tokens, self.channels = nn.LayerNorm(4), nn.Linear(5, 5), nn.Linear(4, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = x + self.tokens(self.norm(x).mT).mT
        return self.head((x + functional.gelu(self.channels(x))).mean(1))


# Tokens -----------------------------------------------------------------------------------


@case("tokens", exact=False, refuses=["SynFlow"])
class EmbeddingMean(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(N_TOKENS, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.embedding(x.long()).mean(dim=1))


@case("tokens", exact=False, refuses=["SynFlow"])
class FlatEmbedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(N_TOKENS, 3, padding_idx=0)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(18, 4), nn.ReLU(), nn.Linear(4, 2))

    def forward(self, x):
        return self.net(self.embedding(x.to(torch.int64)))


@case("tokens", exact=False, refuses=["onnx", "SynFlow"])
class EmbeddingBag(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(N_TOKENS, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.bag(x.long()))


@case("tokens", exact=False, refuses=["SynFlow"])
class EmbeddingAndLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(N_TOKENS, 3)
        self.lstm, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        _, (h, _) = self.lstm(self.embedding(x.int()))
        return self.head(h[-1])


@case("tokens", exact=False, constants=True, refuses=["SynFlow"])
class EmbeddingAndTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.position = nn.Embedding(N_TOKENS, 4), nn.Embedding(6, 4)
        self.layer, self.head = encoder_layer(), nn.Linear(4, 2)

    def forward(self, x):
        x = self.embedding(x.long()) + self.position(torch.arange(x.shape[1]))
        return self.head(self.layer(x)[:, 0])


@case("tokens", y="numbers", exact=False, refuses=["SynFlow"])
class TiedEmbedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.layer = nn.Embedding(N_TOKENS, 4), nn.Linear(4, 4)

    def forward(self, x):
        state = torch.tanh(self.layer(self.embedding(x.long()).mean(dim=1)))
        return state @ self.embedding.weight[1:].T


@case("tokens", exact=False, refuses=["SynFlow"])
class OneHot(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6 * N_TOKENS, 4), nn.ReLU(), nn.Linear(4, 2))

    def forward(self, x):
        return self.net(functional.one_hot(x.long(), N_TOKENS).flatten(1).float())


@case("mixed", exact=False, refuses=["SynFlow"])
class TokensAndNumbers(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = nn.ModuleList([nn.Embedding(N_TOKENS, 2) for _ in range(2)])
        self.net = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))

    def forward(self, x):
        codes = [layer(x[:, i].long()) for i, layer in enumerate(self.embeddings)]
        return self.net(torch.cat([*codes, x[:, 2:]], dim=1))
