"""What MMDetection 3.3.0 itself gets wrong, put right for this process."""

from mmdet.models.dense_heads import SSDHead


def mend_mmdet() -> None:
    """Mend it; doing so twice changes nothing.

    SSD's head computes its class loss without a module, and the prediction that all dense heads share asks that
    module, since 3.3.0, whether it has channels of its own: no SSD can predict.
    """
    if not hasattr(SSDHead, "loss_cls"):
        SSDHead.loss_cls = None
