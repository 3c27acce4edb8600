"""The optimizer: Muon for the convolutions, AdamW for everything else."""

from stages.digits.model.backend import keras

ops = keras.ops


class Muon(keras.optimizers.Muon):
    """Keras' Muon, which by itself leaves the kernels of convolutions to AdamW.

    A kernel (height, width, in, out) counts as a matrix (height · width · in, out), and its update is made
    orthogonal. The first convolution, with one channel in, the dense layer, scales and offsets are AdamW's. After
    Jordan and others, "Muon: An optimizer for hidden layers in neural networks" (2024).
    """

    def __init__(self, learning_rate: float, weight_decay: float):
        super().__init__(learning_rate, weight_decay=weight_decay, adam_weight_decay=weight_decay)

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) != 4 or variable.shape[2] == 1

    def _muon_update_step(
        self,
        gradient: keras.KerasTensor,
        variable: keras.Variable,
        lr: keras.KerasTensor,
        m: keras.Variable,
    ) -> None:
        self.assign(m, self.momentum * m + gradient)
        nesterov = ops.reshape(gradient + self.momentum * m, (-1, variable.shape[-1]))
        update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(nesterov, self.ns_steps))
        self.assign_sub(variable, ops.reshape(update, variable.shape))
