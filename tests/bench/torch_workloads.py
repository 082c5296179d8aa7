"""PyTorch's side of the workloads that models.hpp, workloads.cpp and kernels.cpp have on ours, by the same names.

Everything is written as its users write it: eager mode, layers of torch.nn where there is one, default optimisers.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F


class Numbers:
    """Weights and data that both sides can work out, so that none are stored.

    Tensor number k that is asked for is lo + (hi − lo) · rand(shape, Generator(k)), and number i of that generator is
    word i of Philox 4×32-10 with key k and counter i / 4 (common/backend/philox.hpp), of which the upper 24 bits are
    taken. The arithmetic is float32's, so the two sides agree to the last bit.
    """
    remembered = None  # a dictionary, if there is time to be saved and memory to be spent

    def __init__(self, dtype):
        self.dtype, self.asked = dtype, 0

    def uniform(self, lo, hi, *shape):
        key, self.asked = self.asked, self.asked + 1
        if self.remembered is None:
            return self.draw(key, lo, hi, shape)
        which = key, lo, hi, shape
        if which not in self.remembered:
            self.remembered[which] = self.draw(key, lo, hi, shape)
        return self.remembered[which].clone()

    def draw(self, key, lo, hi, shape):
        x = torch.empty(shape)
        for piece_number, piece in enumerate(x.view(-1).split(1 << 16)):
            first = piece_number << 14  # a block of the generator is four numbers
            words = philox(key, torch.arange(first, first + (len(piece) + 3) // 4))[:len(piece)]
            piece.copy_((words >> 8).float() * 2**-24 * (hi - lo) + lo)
        return x.to(self.dtype)

    def labels(self, classes, *shape):
        return self.uniform(0, 1, *shape).float().mul(classes).long()

    def initialise(self, model):
        """Matrices and filters lie within ±1/√(inputs), biases within ±0.05; weights of norms stay 1."""
        model.to(self.dtype)
        for p in model.parameters():
            if p.dim() > 1:
                bound = 1 / math.sqrt(p.numel() // p.shape[0])
            elif p.eq(1).all():
                continue
            else:
                bound = 0.05
            p.data = self.uniform(-bound, bound, *p.shape)
        return model


def philox(key, counter):
    """The four words of each block, one after another. int64 arithmetic wraps around, which keeps both halves right."""
    mask = 0xFFFFFFFF
    zero = torch.zeros_like(counter)
    a, b, c, d = counter & mask, counter >> 32, zero, zero
    keys = [key, 0]
    for _ in range(10):
        p, q = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (q >> 32 & mask) ^ b ^ keys[0], q & mask, (p >> 32 & mask) ^ d ^ keys[1], p & mask
        keys = [(keys[0] + 0x9E3779B9) & mask, (keys[1] + 0xBB67AE85) & mask]
    return torch.stack([a, b, c, d], 1).view(-1)


# ---- Training steps: forward, loss, backward, update. Each maker returns a step, which returns the loss.

def training(optimizer, loss):
    def step():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        return value.detach()

    return step


def mlp(n, batch):
    model = n.initialise(nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)))
    x, y = n.uniform(0, 1, batch, 784), n.labels(10, batch)
    return training(torch.optim.SGD(model.parameters(), lr=0.1), lambda: F.cross_entropy(model(x), y))


def lenet(n):
    model = n.initialise(nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)))
    x, y = n.uniform(0, 1, 64, 1, 28, 28), n.labels(10, 64)
    return training(torch.optim.Adam(model.parameters()), lambda: F.cross_entropy(model(x), y))


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(y)))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.stage1 = nn.Sequential(*[Residual(16) for _ in range(3)])
        self.down = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.stage2 = nn.Sequential(*[Residual(32) for _ in range(2)])
        self.out = nn.Linear(32, 10)

    def forward(self, x):
        return self.out(self.stage2(self.down(self.stage1(self.stem(x)))).mean((2, 3)))


def resnet(n):
    model = n.initialise(ResNet())
    x, y = n.uniform(-1, 1, 32, 3, 32, 32), n.labels(10, 32)
    return training(torch.optim.SGD(model.parameters(), lr=0.002, momentum=0.9), lambda: F.cross_entropy(model(x), y))


class Tagger(nn.Module):
    def __init__(self, recurrent):
        super().__init__()
        self.recurrent, self.out = recurrent(64, 128), nn.Linear(128, 64)

    def forward(self, x):
        return self.out(self.recurrent(x)[0])


def tagger(n, recurrent):
    model = n.initialise(Tagger(recurrent))
    x, y = n.uniform(-1, 1, 50, 32, 64), n.labels(64, 50, 32)
    return training(torch.optim.Adam(model.parameters()),
                    lambda: F.cross_entropy(model(x).flatten(0, 1), y.flatten()))


class Seq2Seq(nn.Module):
    def __init__(self, vocabulary=2000, d=128):
        super().__init__()
        self.source, self.target = nn.Embedding(vocabulary, d), nn.Embedding(vocabulary, d)
        self.encoder, self.decoder = nn.LSTM(d, d, batch_first=True), nn.LSTM(d, d, batch_first=True)
        self.combine, self.out = nn.Linear(2 * d, d), nn.Linear(d, vocabulary)

    def forward(self, source, target):
        memory, state = self.encoder(self.source(source))
        hidden, _ = self.decoder(self.target(target), state)
        context = (hidden @ memory.transpose(1, 2)).softmax(-1) @ memory
        return self.out(torch.tanh(self.combine(torch.cat([hidden, context], -1))))


def seq2seq(n):
    model = n.initialise(Seq2Seq())
    source, target = n.labels(2000, 32, 20), n.labels(2000, 32, 21)
    given, wanted = target[:, :-1], target[:, 1:].flatten()
    return training(torch.optim.Adam(model.parameters()),
                    lambda: F.cross_entropy(model(source, given).flatten(0, 1), wanted))


def attention(n, time, batch):
    q, k, v = (n.uniform(-2, 2, batch, 4, time, 32).requires_grad_() for _ in range(3))
    weights = n.uniform(-1, 1, batch, 4, time, 32)
    return training(torch.optim.SGD([q, k, v], lr=0.01),
                    lambda: (F.scaled_dot_product_attention(q, k, v, is_causal=True) * weights).sum())


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0, batch_first=True)
        self.encoder, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(128, 10)

    def forward(self, x):
        return self.out(self.encoder(x).mean(1))


def encoder(n):
    model = n.initialise(Encoder())
    x, y = n.uniform(-1, 1, 16, 64, 128), n.labels(10, 16)
    return training(torch.optim.Adam(model.parameters()), lambda: F.cross_entropy(model(x), y))


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.ln1, self.qkv, self.proj = nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.ln2, self.up, self.down = nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.ln2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, vocabulary=65, time=128, d=128, heads=4, layers=4):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, d), nn.Embedding(time, d)
        self.blocks = nn.ModuleList([Block(d, heads) for _ in range(layers)])
        self.ln, self.head = nn.LayerNorm(d), nn.Linear(d, vocabulary, bias=False)

    def forward(self, tokens):
        x = self.token(tokens) + self.position.weight[:tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln(x))


def gpt(n):
    model = n.initialise(Gpt())
    text = n.labels(65, 16, 129)
    x, y = text[:, :-1].contiguous(), text[:, 1:].flatten()
    return training(torch.optim.AdamW(model.parameters()), lambda: F.cross_entropy(model(x).flatten(0, 1), y))


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.mean, self.log_variance = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.widen, self.out = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x, noise):
        h = F.relu(self.hidden(x))
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + noise * torch.exp(0.5 * log_variance)
        return self.out(F.relu(self.widen(z))), mean, log_variance


def vae(n):
    model = n.initialise(Vae())
    x, noise = n.uniform(0, 1, 128, 784), n.uniform(-1.7, 1.7, 128, 20)

    def loss():
        logits, mean, log_variance = model(x, noise)
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") + kl

    return training(torch.optim.Adam(model.parameters()), loss)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.widen = nn.Linear(64, 6272)
        self.up1, self.bn, self.up2 = (nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1), nn.BatchNorm2d(64),
                                       nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1))

    def forward(self, z):
        x = self.widen(z).view(-1, 128, 7, 7)
        return torch.tanh(self.up2(F.relu(self.bn(self.up1(x)))))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 64, 4, stride=2, padding=1), nn.Conv2d(64, 128, 4, stride=2, padding=1)
        self.bn, self.out = nn.BatchNorm2d(128), nn.Linear(6272, 1)

    def forward(self, x):
        x = F.leaky_relu(self.down1(x), 0.2)
        return self.out(F.leaky_relu(self.bn(self.down2(x)), 0.2).flatten(1))


def gan(n):
    generator, discriminator = n.initialise(Generator()), n.initialise(Discriminator())
    real, noise = n.uniform(-1, 1, 32, 1, 28, 28), n.uniform(-1.7, 1.7, 32, 64)
    yes, no = torch.ones(32, 1, dtype=n.dtype), torch.zeros(32, 1, dtype=n.dtype)
    options = {"lr": 5e-5, "betas": (0.5, 0.999)}
    g_optimizer = torch.optim.Adam(generator.parameters(), **options)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), **options)
    bce = F.binary_cross_entropy_with_logits

    def step():
        fake = generator(noise)
        d_optimizer.zero_grad()
        d_loss = bce(discriminator(real), yes) + bce(discriminator(fake.detach()), no)
        d_loss.backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        g_loss = bce(discriminator(fake), yes)
        g_loss.backward()
        g_optimizer.step()
        return (d_loss + g_loss).detach()

    return step


class SkipGram(nn.Module):
    def __init__(self, sparse):
        super().__init__()
        self.center = nn.Embedding(10000, 100, sparse=sparse)
        self.context = nn.Embedding(10000, 100, sparse=sparse)

    def forward(self, center, context):
        return (self.context(context) @ self.center(center).unsqueeze(2)).squeeze(2)


def sgns(n, sparse):
    model = n.initialise(SkipGram(sparse))
    center, context = n.labels(10000, 512), n.labels(10000, 512, 6)  # one that was there, five that were not
    wanted = torch.zeros(512, 6, dtype=n.dtype)
    wanted[:, 0] = 1
    return training(torch.optim.SGD(model.parameters(), lr=10),
                    lambda: F.binary_cross_entropy_with_logits(model(center, context), wanted))


# Where PyTorch has two ways, both are timed and the better one counts.
TRAINING = {
    "mlp_b64": [lambda n: mlp(n, 64)], "mlp_b1": [lambda n: mlp(n, 1)], "lenet_b64": [lenet], "resnet_b32": [resnet],
    "lstm_t50_b32": [lambda n: tagger(n, nn.LSTM)], "gru_t50_b32": [lambda n: tagger(n, nn.GRU)],
    "seq2seq_b32": [seq2seq], "attention_t64": [lambda n: attention(n, 64, 16)],
    "attention_t512": [lambda n: attention(n, 512, 4)], "encoder_b16": [encoder], "gpt_b16_t128": [gpt],
    "vae_b128": [vae], "gan_b32": [gan], "sgns_b512": [lambda n: sgns(n, True), lambda n: sgns(n, False)]}


# ---- Single operations

def tiny_op():
    x = torch.ones(1, requires_grad=True)

    def step():
        for _ in range(1000):
            y = x * x

    return step


def kernel(f, *shapes, gradient=False):
    def make(n):
        inputs = [n.uniform(-2, 2, *shape).requires_grad_(gradient) for shape in shapes or [(4096, 1024)]]
        if not gradient:
            return lambda: f(*inputs)
        ones = torch.ones_like(f(*inputs))
        return lambda: torch.autograd.grad(f(*inputs), inputs, ones)

    return make


def conv(channels, side, gradient=False):
    return kernel(lambda x, w: F.conv2d(x, w, padding=1), (32, channels, side, side), (channels, channels, 3, 3),
                  gradient=gradient)


def gather(n):
    x, index = n.uniform(-2, 2, 4096, 1024), n.labels(1024, 4096, 1024)
    return lambda: x.gather(1, index)


VECTOR = (4 << 20,)
KERNELS = {
    **{f"matmul_{n}": kernel(torch.matmul, (n, n), (n, n)) for n in (64, 256, 512, 1024, 2048)},
    "conv_c16": conv(16, 32), "conv_c64": conv(64, 16), "conv_c128": conv(128, 8),
    "conv_c16_grad": conv(16, 32, True), "conv_c64_grad": conv(64, 16, True), "conv_c128_grad": conv(128, 8, True),
    "gelu": kernel(F.gelu, VECTOR), "gelu_grad": kernel(F.gelu, VECTOR, gradient=True),
    "softmax": kernel(lambda x: x.softmax(-1)), "softmax_grad": kernel(lambda x: x.softmax(-1), gradient=True),
    "layer_norm": kernel(lambda x: F.layer_norm(x, (1024,))),
    "layer_norm_grad": kernel(lambda x: F.layer_norm(x, (1024,)), gradient=True),
    "relu_mul_add": kernel(lambda a, b: torch.relu(a * b + a), VECTOR, VECTOR),
    "relu_mul_add_3": kernel(lambda a, b: torch.relu(a * b + a), VECTOR, VECTOR),
    "sum": kernel(lambda x: x.sum()), "row_sums": kernel(lambda x: x.sum(1)), "col_sums": kernel(lambda x: x.sum(0)),
    "transpose": kernel(lambda x: x.t().contiguous()), "tiny_op": lambda n: tiny_op(), "gather": gather,
    "cumsum": kernel(lambda x: x.cumsum(1)), "sort": kernel(lambda x: x.sort(1))}


def make(name, dtype=torch.float32):
    """The steps of a workload, one for each way PyTorch has to do it."""
    return [maker(Numbers(dtype)) for maker in TRAINING.get(name) or [KERNELS[name]]]
