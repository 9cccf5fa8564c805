"""Images: pooling, padding, what moves pixels, and forwards that branch."""

import torch
from torch import nn
from torch.nn import functional

from tests.zoo._case import case, head

# Pooling, padding, pixels -----------------------------------------------------------------


@case("images")
def pools():
    return nn.Sequential(
        nn.Conv2d(2, 4, 1),
        nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
        nn.ReLU(),
        nn.AvgPool2d(2, stride=1, padding=1, count_include_pad=False),
        *head(100),
    )


@case("images", refuses=["onnx"])
def adaptive_pools():
    return nn.Sequential(
        nn.Conv2d(2, 4, 1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d((3, 4)),
        nn.AdaptiveAvgPool2d((None, 2)),
        *head(24),
    )


@case("images", exact=False)
def power_pool():
    return nn.Sequential(nn.Conv2d(2, 4, 1), nn.ReLU(), nn.LPPool2d(2, 2), *head(36))


@case(
    "images", exact=False, random=True, refuses=["SynFlow", "onnx"]
)  # random pools of 2 x 2 tile the map
def fractional_pool():
    return nn.Sequential(nn.Conv2d(2, 4, 1), nn.FractionalMaxPool2d(2, output_size=3), *head(36))


@case("images", exact=False, refuses=["compact", "onnx", "SynFlow"])
class Unpool(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 1)
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
        self.head = nn.Linear(108, 2)

    def forward(self, x):
        pooled, places = self.pool(self.conv(x))
        return self.head(self.unpool(torch.relu(pooled), places).flatten(start_dim=1))


@case("images")
def padding_layers():
    return nn.Sequential(
        nn.ZeroPad2d(1),
        nn.Conv2d(2, 3, 3),
        nn.ReflectionPad2d(1),
        nn.Conv2d(3, 3, 3),
        nn.ReLU(),
        nn.ReplicationPad2d(1),
        nn.Conv2d(3, 3, 3),
        nn.CircularPad2d(1),
        nn.MaxPool2d(4),
        *head(12),
    )


@case("images", constants=True)
def constant_padding():
    return nn.Sequential(nn.ConstantPad2d(1, 0.5), nn.Conv2d(2, 4, 3), nn.ReLU(), *head(144))


@case("images")
def shuffled_pixels():
    return nn.Sequential(
        nn.PixelUnshuffle(2),
        nn.Conv2d(8, 4, 1),
        nn.ChannelShuffle(2),
        nn.ReLU(),
        nn.PixelShuffle(2),
        nn.Conv2d(1, 2, 3),
        nn.ReLU(),
        *head(32),
    )


@case("images", exact=False, refuses=["SynFlow"])
def softmax_of_channels():
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.Softmax2d(), *head(48))


@case("images")
def upsampled():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(3, 2, 3),
        nn.ReLU(),
        nn.Upsample(size=4, mode="bilinear"),
        *head(32),
    )


@case("images")
def upsampled_by_old_layers():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3),
        nn.UpsamplingNearest2d(6),
        nn.Conv2d(3, 2, 3),
        nn.ReLU(),
        nn.UpsamplingBilinear2d(scale_factor=2),
        *head(128),
    )


@case("images")
class Interpolated(nn.Module):
    def __init__(self):
        super().__init__()
        self.coarse, self.fine = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 1)
        self.head = nn.Conv2d(6, 2, 1)

    def forward(self, x):
        coarse = functional.relu(self.coarse(functional.avg_pool2d(x, 2)))
        coarse = functional.interpolate(coarse, size=x.shape[2:], mode="nearest")
        maps = self.head(torch.cat([coarse, functional.relu(self.fine(x))], dim=1))
        return functional.adaptive_avg_pool2d(maps, 1).squeeze(-1).squeeze(-1)


@case("images")
class FoldedPatches(nn.Module):
    def __init__(self):
        super().__init__()
        self.unfold, self.fold = nn.Unfold(3, stride=3), nn.Fold((6, 6), 3, stride=3)
        self.layer, self.head = nn.Linear(18, 18), nn.Conv2d(2, 2, 6)

    def forward(self, x):
        patches = torch.relu(self.layer(self.unfold(x).transpose(1, 2)))
        return self.head(self.fold(patches.transpose(1, 2))).flatten(1)


# Forwards ---------------------------------------------------------------------------------


@case("images")
class ResidualOfConvolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.conv, self.norm = (
            nn.Conv2d(2, 4, 3),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.BatchNorm2d(4),
        )
        self.shortcut = nn.Conv2d(4, 4, 1, bias=False)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = functional.relu(self.stem(x))
        x = functional.relu(self.norm(self.conv(x)) + self.shortcut(x), inplace=True)
        return self.head(x.mean([2, 3]))


@case("images")
class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.middle = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.up, self.out = nn.ConvTranspose2d(4, 3, 2, stride=2), nn.Conv2d(6, 2, 1)

    def forward(self, x):
        skip = torch.relu(self.down(x))
        x = torch.relu(self.middle(functional.max_pool2d(skip, 2)))
        return self.out(torch.cat([torch.relu(self.up(x)), skip], 1)).amax((-2, -1))


@case("images", exact=False, constants=True, refuses=["SynFlow"])
class VisionTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(2, 4, 3, stride=3)
        self.position = nn.Parameter(torch.randn(1, 4, 4) / 10)
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(
            self.layer(self.patches(x).flatten(2).transpose(1, 2) + self.position)[:, 0]
        )


@case("images")
class ViewedAsRows(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(2, 3, 3), nn.Linear(48, 2)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        return self.head(x.contiguous().view(x.size(0), -1))


@case("images", refuses=["onnx"])
class SqueezedMaps(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.head = nn.Conv2d(2, 4, 6), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.head(torch.relu(self.features(x))).squeeze()


@case("images")
class SpaceToDepth(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(8, 4, 1), nn.Linear(36, 2)

    def forward(self, x):
        corners = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        x = self.conv(torch.cat(corners, dim=1)).relu()
        return self.head(x.flip(-1).roll((1, 1), (2, 3)).reshape(x.shape[0], -1))


@case("images")
class ChannelsLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(2, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.layer(x.permute(0, 2, 3, 1))).sum((1, 2)))


@case("images", exact=False, refuses=["SynFlow"])
class SpatialTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.place = nn.Linear(72, 6)
        self.place.weight.data /= 10
        self.head = nn.Linear(72, 2)

    def forward(self, x):
        angles = self.place(x.flatten(1)).view(-1, 2, 3)
        grid = functional.affine_grid(angles, x.size(), align_corners=False)
        return self.head(functional.grid_sample(x, grid, align_corners=False).flatten(1))
