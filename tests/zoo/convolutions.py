"""Convolutions of signals, images and volumes, with normalization, dropout and gates."""

import torch
from torch import nn
from torch.nn import functional

from tests.zoo._case import case, head

# Images and volumes -------------------------------------------------------------------------


@case("images")
def conv2d():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3),
        nn.ReLU(),
        *head(6),
    )


@case("images")
def strided_and_dilated():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=(1, 2), padding=(1, 0)),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, dilation=(2, 1), padding="same"),
        nn.ReLU(),
        *head(48),
    )


@case("images")
def grouped():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, groups=2), nn.ReLU(), nn.Conv2d(6, 3, 3, groups=3), *head(12)
    )


@case("images")
def depthwise_separable():
    return nn.Sequential(
        nn.Conv2d(2, 2, 3, groups=2, bias=False),
        nn.Conv2d(2, 6, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        *head(6),
    )


@case("images")
def padding_modes():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
        nn.ReLU(),
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"),
        nn.ReLU(),
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="replicate"),
        nn.ReLU(),
        nn.AvgPool2d(3),
        *head(12),
    )


@case("images")
def transposed():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 3, 2, stride=2),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        *head(48),
    )


@case("images")
def grouped_transposed():
    return nn.Sequential(
        nn.Conv2d(2, 4, 4, stride=2),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=1),
        nn.ReLU(),
        *head(64),
    )


@case("volumes")
def conv3d():
    return nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(4, 4, 2),
        nn.ReLU(),
        *head(4),
    )


@case("volumes", random=True)
def transposed_conv3d():
    return nn.Sequential(
        nn.Conv3d(1, 3, 2, stride=2),
        nn.ReLU(),
        nn.Dropout3d(0.2),
        nn.ConvTranspose3d(3, 2, 2, stride=2),
        nn.ReLU(),
        nn.AvgPool3d(2),
        *head(16),
    )


@case("volumes", exact=False)
def norms_and_pools_of_volumes():
    return nn.Sequential(
        nn.Conv3d(1, 4, 1),
        nn.InstanceNorm3d(4, affine=True),
        nn.Tanh(),
        nn.AdaptiveMaxPool3d(2),
        nn.LPPool3d(2, 2, stride=1),
        nn.AdaptiveAvgPool3d(1),
        *head(4),
    )


@case("volumes")
def padded_volumes():
    return nn.Sequential(
        nn.ZeroPad3d(1),
        nn.Conv3d(1, 2, 3, bias=False),
        nn.ReflectionPad3d(1),
        nn.Conv3d(2, 2, 3, stride=2),
        nn.Tanh(),
        nn.ReplicationPad3d(1),
        nn.Conv3d(2, 2, 3),
        nn.CircularPad3d(1),
        nn.ConstantPad3d(1, 0.0),
        nn.AvgPool3d(3),
        *head(16),
    )


@case("volumes", exact=False, refuses=["compact", "onnx", "SynFlow"])
class UnpooledVolume(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv3d(1, 2, 1), nn.Linear(128, 2)
        self.pool, self.unpool = nn.MaxPool3d(2, return_indices=True), nn.MaxUnpool3d(2)

    def forward(self, x):
        return self.head(self.unpool(*self.pool(self.conv(x))).flatten(1))


@case("images", refuses=["fit"])
def lazy_convolution():
    return nn.Sequential(
        nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)
    )


# Normalization, dropout, gates ------------------------------------------------------------


def convolved(*layers):
    return nn.Sequential(nn.Conv2d(2, 4, 3), *layers, nn.ReLU(), *head(64))


@case("images", exact=False)
def group_norm_of_images():
    return convolved(nn.GroupNorm(2, 4))


@case("images", exact=False)
def instance_norm():
    return convolved(nn.InstanceNorm2d(4, affine=True))


@case("images", exact=False)
def instance_norm_with_statistics():
    return convolved(nn.InstanceNorm2d(4, track_running_stats=True))


@case("images", exact=False)
def layer_norm_of_images():
    return convolved(nn.LayerNorm([4, 4, 4]))


@case("images", exact=False, refuses=["SynFlow"])
def local_response_norm():
    return convolved(nn.LocalResponseNorm(3))


@case("images", random=True)
def dropout_of_channels():
    return convolved(nn.Dropout2d(0.2), nn.BatchNorm2d(4))


@case("images", exact=False)
class SqueezeAndExcitation(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 3),
            nn.ReLU(),
            nn.Linear(3, 6),
            nn.Sigmoid(),
        )
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        n, c, _, _ = x.size()
        return self.head((x * self.gate(x).view(n, c, 1, 1)).mean(dim=(2, 3)))


# Signals ----------------------------------------------------------------------------------


@case("signals")
def conv1d():
    return nn.Sequential(
        nn.Conv1d(2, 4, 3, padding=1),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(4, 4, 3, stride=2),
        nn.ReLU(),
        nn.AvgPool1d(2),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


@case("signals")
class CausalConvolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv1d(2, 2, 2, dilation=2**i) for i in range(3)])
        self.head = nn.Linear(2, 2)

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = x + torch.relu(layer(functional.pad(x, (2**i, 0))))
        return self.head(x[..., -1])


@case("signals")
def transposed_conv1d():
    return nn.Sequential(
        nn.Conv1d(2, 3, 4, stride=4),
        nn.ReLU(),
        nn.ConvTranspose1d(3, 2, 3, stride=2, output_padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool1d(2),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


@case("signals", exact=False, random=True)
def norms_and_pools_of_signals():
    return nn.Sequential(
        nn.Conv1d(2, 3, 3),
        nn.InstanceNorm1d(3),
        nn.Dropout1d(0.1),
        nn.LPPool1d(2, 2),
        nn.AdaptiveAvgPool1d(4),
        nn.Flatten(),
        nn.Linear(12, 2),
    )


@case("signals")
def padded_signals():
    return nn.Sequential(
        nn.ZeroPad1d(1),
        nn.Conv1d(2, 3, 3, bias=False),
        nn.ReflectionPad1d(1),
        nn.Conv1d(3, 3, 3),
        nn.Tanh(),
        nn.ReplicationPad1d(1),
        nn.Conv1d(3, 3, 3),
        nn.CircularPad1d(1),
        nn.ConstantPad1d(2, 0.0),
        nn.AvgPool1d(6),
        nn.Flatten(),
        nn.Linear(9, 2),
    )


@case("signals", exact=False, refuses=["compact", "onnx", "SynFlow"])
class UnpooledSignal(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(2, 3, 1), nn.Linear(36, 2)
        self.pool, self.unpool = nn.MaxPool1d(2, return_indices=True), nn.MaxUnpool1d(2)

    def forward(self, x):
        return self.head(self.unpool(*self.pool(self.conv(x))).flatten(1))


@case("sequences")
class ConvolvedSteps(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 8, 3, groups=2), nn.Linear(8, 2)

    def forward(self, x):
        x = self.conv(x.permute(0, 2, 1)).relu().permute(0, 2, 1)
        return self.head(x.max(dim=1)[0])


@case("signals", exact=False, refuses=["SynFlow"])
class FilteredInFourierSpace(nn.Module):
    def __init__(self):
        super().__init__()
        self.filter, self.head = nn.Parameter(torch.randn(2, 7)), nn.Linear(24, 2)

    def forward(self, x):
        return self.head(torch.fft.irfft(torch.fft.rfft(x) * self.filter, n=12).flatten(1))
