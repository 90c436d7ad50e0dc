# Copyright (c) mmdiffkd contributors.
"""A literal second formulation of DiffKD to test against.

Written from the equations alone: no fused coefficient, no shared code, plain
loops over NumPy scalars of the schedule.
"""

import numpy as np
import torch


def alphas_cumprod(total=1000, start=1e-4, end=0.02):
    return np.cumprod(1 - np.linspace(start, end, total))


def ddim_step(x, eps, alpha, alpha_prev):
    """Eq. 12 of DDIM with eta = 0: predict z_0, then point back to x_t."""
    predicted_clean = (x - np.sqrt(1 - alpha) * eps) / np.sqrt(alpha)
    direction = np.sqrt(1 - alpha_prev) * eps
    return np.sqrt(alpha_prev) * predicted_clean + direction


def ddim_chain(denoiser, x, timesteps):
    alphas = alphas_cumprod()
    for i, t in enumerate(timesteps):
        last = i + 1 == len(timesteps)
        alpha_prev = 1.0 if last else alphas[timesteps[i + 1]]
        eps = denoiser(x, torch.full((x.shape[0],), t))
        x = ddim_step(x, eps, alphas[t], alpha_prev)
    return x


def diffkd(
    module,
    student,
    teacher,
    student_noise,
    teacher_noise,
    timesteps,
    tuned=False,
):
    """The three losses of Eq. 9 from a FeatureDiffusion's networks.

    Returns:
        tuple: KD distance (MSE), diffusion loss, autoencoder loss or None.
    """
    latent, loss_ae = teacher, None
    if module.autoencoder is not None:
        latent, reconstruction = module.autoencoder(teacher)
        loss_ae = ((reconstruction - teacher) ** 2).mean()
        latent = latent.detach()
    z = module.student_projection(student)
    if tuned:  # at most unit variance, biased as in batch norm
        mean = z.mean(dim=(0, 2, 3), keepdim=True)
        variance = ((z - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
        z = (z - mean) / (variance + 1) ** 0.5
    matching = module.noise_matching
    pooled = matching.features(z).flatten(2).mean(-1)
    gamma = torch.softmax(matching.classifier(pooled), -1)[:, :1, None, None]
    x = gamma * z + (1 - gamma) * student_noise
    x = ddim_chain(module.denoiser, x, [400, 300, 200, 100, 0])
    loss_kd = ((module.output_projection(x) - latent) ** 2).mean()

    alphas = torch.from_numpy(alphas_cumprod())[timesteps][:, None, None, None]
    clean = latent / (latent**2).mean() ** 0.5 if tuned else latent
    noisy = alphas.sqrt() * clean + (1 - alphas).sqrt() * teacher_noise
    loss_diff = (
        (module.denoiser(noisy, timesteps) - teacher_noise) ** 2
    ).mean()
    return loss_kd, loss_diff, loss_ae


def guided_chain(denoiser, x, timesteps, weight, target, scale):
    """DDIM guided by a softmax of ``weight`` times the pooled clean sample.

    ``grad_x0 log p = W^T (onehot(y) - p) / (H * W)``, derived by hand.
    """
    alphas = alphas_cumprod()
    for i, t in enumerate(timesteps):
        last = i + 1 == len(timesteps)
        alpha_prev = 1.0 if last else alphas[timesteps[i + 1]]
        eps = denoiser(x, torch.full((x.shape[0],), t))
        clean = (x - np.sqrt(1 - alphas[t]) * eps) / np.sqrt(alphas[t])
        p = torch.softmax(clean.flatten(2).mean(2) @ weight.T, dim=1)
        onehot = torch.eye(len(weight), dtype=x.dtype)[target]
        gradient = (onehot - p) @ weight / (x.shape[2] * x.shape[3])
        gradient = gradient[:, :, None, None] / np.sqrt(alphas[t])
        eps = eps - np.sqrt(1 - alphas[t]) * scale * gradient
        x = ddim_step(x, eps, alphas[t], alpha_prev)
    return x


def dskd(
    module,
    student,
    teacher,
    student_noise,
    teacher_noise,
    timesteps,
    weight,
    target,
    scale,
):
    """Both sides and the losses of DSKD from a SelfDiffusion's networks.

    Returns:
        tuple: student, virtual teacher, diffusion loss.
    """
    z = module.student_projection(student)
    steps = [400, 300, 200, 100, 0]
    alphas = alphas_cumprod()
    # All samples of the student get the length of the normalised teacher.
    unit = z / (z**2).mean(dim=(1, 2, 3), keepdim=True) ** 0.5
    x = np.sqrt(alphas[400]) * unit + np.sqrt(1 - alphas[400]) * student_noise
    # The classifier sees the feature in its own units.
    deviation = (teacher**2).mean() ** 0.5
    virtual = guided_chain(
        module.denoiser, x, steps, deviation * weight, target, scale
    )
    a = torch.from_numpy(alphas)[timesteps][:, None, None, None]
    noisy = a.sqrt() * teacher / deviation + (1 - a).sqrt() * teacher_noise
    loss_diff = (
        (module.denoiser(noisy, timesteps) - teacher_noise) ** 2
    ).mean()
    return z, virtual.detach(), loss_diff
