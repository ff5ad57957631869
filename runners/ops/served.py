"""The operators of mmcv that are served, by the names under which mmcv calls them."""

from collections.abc import Callable, Mapping
from typing import Any

from runners.ops.carafe import carafe_backward, carafe_forward
from runners.ops.deform_conv import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
)
from runners.ops.deformable_attention import ms_deform_attn_backward, ms_deform_attn_forward
from runners.ops.focal_loss import sigmoid_focal_loss_backward, sigmoid_focal_loss_forward
from runners.ops.masked_conv import masked_col2im_forward, masked_im2col_forward
from runners.ops.modulated_deform_conv import modulated_deform_conv_backward, modulated_deform_conv_forward
from runners.ops.nms import nms, nms_match
from runners.ops.roi_align import roi_align_backward, roi_align_forward
from runners.ops.roi_pool import roi_pool_backward, roi_pool_forward
from runners.ops.soft_nms import softnms
from runners.ops.softmax_focal_loss import softmax_focal_loss_backward, softmax_focal_loss_forward
from runners.ops.sync_batch_norm import (
    sync_bn_backward_data,
    sync_bn_backward_param,
    sync_bn_forward_mean,
    sync_bn_forward_output,
    sync_bn_forward_var,
)

_ON_TORCHVISION = (
    nms,
    nms_match,
    roi_align_forward,
    roi_align_backward,
    roi_pool_forward,
    roi_pool_backward,
    deform_conv_forward,
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    modulated_deform_conv_forward,
    modulated_deform_conv_backward,
)
_IN_PYTORCH = (
    softnms,
    sigmoid_focal_loss_forward,
    sigmoid_focal_loss_backward,
    softmax_focal_loss_forward,
    softmax_focal_loss_backward,
    ms_deform_attn_forward,
    ms_deform_attn_backward,
    masked_im2col_forward,
    masked_col2im_forward,
    carafe_forward,
    carafe_backward,
    sync_bn_forward_mean,
    sync_bn_forward_var,
    sync_bn_forward_output,
    sync_bn_backward_param,
    sync_bn_backward_data,
)

SERVED: Mapping[str, Callable[..., Any]] = {op.__name__: op for op in (*_ON_TORCHVISION, *_IN_PYTORCH)}
# What serves each, as people know it.
BY: Mapping[str, str] = {
    **{op.__name__: "torchvision" for op in _ON_TORCHVISION},
    **{op.__name__: "PyTorch" for op in _IN_PYTORCH},
}
