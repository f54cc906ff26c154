"""features/panel -> fitted models: one artifact a model type, and the table `fit` that says how each was made.

A model type is a module with two functions; its name is the `type` in models.yaml:

    fit(panel, *, horizon, **params) -> bytes                  the artifact: everything that predict needs, never a pickle
    predict(artifact, panel, *, horizon) -> float32 [S, horizon]   demand a day for the days after the panel's last
    SUFFIX                                                      of the artifact's file

A type that learns from features may also tell, for explanations and model cards:

    contributions(artifact, panel, series, *, horizon) -> {group of features: [series, horizon]}   what adds up to predict
    gains(artifact) -> {feature: share}                         what splits on each took off the loss
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
"""Threads of xgboost that wait for each other sleep. By default they spin, also where other processes want the core: with two
threads on two busy cores training took four times the CPU. It is read when xgboost is loaded, so that it is said here, before."""
