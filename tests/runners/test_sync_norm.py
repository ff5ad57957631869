"""Synchronised batch normalisation, where there is nobody to synchronise with."""

import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from runners.sync_norm import without_synchronisation


def test_a_backbone_of_synchronised_layers_trains_on_the_cpu_with_its_parameters_names() -> None:
    init_default_scope("mmdet")
    config = {"type": "ResNet", "depth": 18, "norm_cfg": {"type": "SyncBN", "requires_grad": True}, "norm_eval": False}
    plain = MODELS.build(without_synchronisation(config))
    assert plain.state_dict().keys() == MODELS.build(config).state_dict().keys()
    plain.train()
    features = plain(torch.randn(2, 3, 64, 64))
    features[-1].square().sum().backward()
    assert plain.bn1.weight.grad is not None


def test_only_the_type_of_such_layers_is_changed_wherever_they_stand() -> None:
    heads = [{"norm_cfg": {"type": "MMSyncBN"}}, {"norm_cfg": {"type": "GN", "num_groups": 32}, "name": "SyncBN"}]
    model = {"type": "X", "norm_cfg": ({"type": "SyncBN", "eps": 1e-3},), "heads": heads}
    assert without_synchronisation(model) == {
        "type": "X",
        "norm_cfg": ({"type": "BN", "eps": 1e-3},),
        "heads": [{"norm_cfg": {"type": "BN"}}, heads[1]],
    }
